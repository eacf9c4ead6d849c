/** The bytes of a blob in a hashed store: the names with one hash, each with its value. See `docs/formats/hashed-store.md`. */
import { StoreError } from '../base/errors.ts'

/** What a name has. */
export interface HashedItem {
  name: Buffer
  flags: number
  /** Rises with each change of a name. */
  version: number
  expiresMs: number
  value: Buffer
}

const FORMAT = 1
/** Length of the name u16, flags u32, version u64, expiry u64, length of the value u32. */
const HEAD_BYTES = 26

export function encodeHashedItems(items: readonly HashedItem[]): Buffer {
  const sizes = items.map(({ name, value }) => HEAD_BYTES + name.length + value.length)
  const record = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + size, 1))
  let at = record.writeUInt8(FORMAT, 0)
  for (const { name, flags, version, expiresMs, value } of items) {
    at = record.writeUInt16BE(name.length, at)
    at = record.writeUInt32BE(flags, at)
    at = record.writeBigUInt64BE(BigInt(version), at)
    at = record.writeBigUInt64BE(BigInt(expiresMs), at)
    at = record.writeUInt32BE(value.length, at)
    at += name.copy(record, at)
    at += value.copy(record, at)
  }
  return record
}

/** Windows on `record`. Throws `corrupt`, or `unsupported` for a later format. */
export function decodeHashedItems(record: Buffer): HashedItem[] {
  if (record.length === 0) throw damaged()
  if (record[0] !== FORMAT)
    throw new StoreError('unsupported', `record of a hashed store in format ${record[0]}`)
  const items: HashedItem[] = []
  for (let at = 1; at < record.length; ) {
    const nameAt = at + HEAD_BYTES
    if (nameAt > record.length) throw damaged()
    const valueAt = nameAt + record.readUInt16BE(at)
    const end = valueAt + record.readUInt32BE(at + 22)
    if (end > record.length) throw damaged()
    items.push({
      name: record.subarray(nameAt, valueAt),
      flags: record.readUInt32BE(at + 2),
      version: Number(record.readBigUInt64BE(at + 6)),
      expiresMs: Number(record.readBigUInt64BE(at + 14)),
      value: record.subarray(valueAt, end),
    })
    at = end
  }
  if (items.length === 0) throw damaged()
  return items
}

function damaged(): StoreError {
  return new StoreError('corrupt', 'damaged record of a hashed store')
}
