/** The bytes of a blob in a hashed store: the names with one hash, each with its value. See `docs/formats/hashed-store.md`. */
import { StoreError } from '../base/errors.ts'

/** What a name has. */
export interface HashedItem {
  name: Buffer
  flags: number
  /** Rises with each change of a name, but for those of its expiry alone. */
  version: number
  /** Changes of the expiry since, up to HASHED_TOUCHES_MAX. */
  touches: number
  expiresMs: number
  value: Buffer
}

export const HASHED_TOUCHES_MAX = 2 ** 11 - 1
const FORMAT = 1
const FORMAT_BYTES = 1
/** Length of the name u16, flags u32, touches 11 bits and version 53 bits, expiry u64, length of the value u32. */
const HEAD_BYTES = 26
/** Of the version, in the upper 32 bits of where it lies. */
const VERSION_HIGH = 2 ** 21

export function encodeHashedItems(items: readonly HashedItem[]): Buffer {
  const record = Buffer.allocUnsafe(items.reduce((sum, item) => sum + itemBytes(item), FORMAT_BYTES))
  let at = record.writeUInt8(FORMAT, 0)
  for (const item of items) at = encodeItem(item, record, at)
  return record
}

/** The bytes of a blob that has one item. */
export function hashedItemBytes(item: Pick<HashedItem, 'name' | 'value'>): number {
  return FORMAT_BYTES + itemBytes(item)
}

/** A blob that has one item, into memory that has room for it. */
export function encodeHashedItem(item: HashedItem, into: Buffer): void {
  encodeItem(item, into, into.writeUInt8(FORMAT, 0))
}

function itemBytes({ name, value }: Pick<HashedItem, 'name' | 'value'>): number {
  return HEAD_BYTES + name.length + value.length
}

function encodeItem(
  { name, flags, version, touches, expiresMs, value }: HashedItem,
  into: Buffer,
  at: number,
): number {
  into.writeUInt16BE(name.length, at)
  into.writeUInt32BE(flags, at + 2)
  into.writeUInt32BE(touches * VERSION_HIGH + Math.floor(version / 2 ** 32), at + 6)
  into.writeUInt32BE(version % 2 ** 32, at + 10)
  writeWhole(expiresMs, into, at + 14)
  into.writeUInt32BE(value.length, at + 22)
  const nameAt = at + HEAD_BYTES
  // Names are short: a call costs more.
  for (let i = 0; i < name.length; i++) into[nameAt + i] = name[i]!
  into.set(value, nameAt + name.length)
  return nameAt + name.length + value.length
}

/** As u64. */
function writeWhole(value: number, into: Buffer, at: number): void {
  into.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  into.writeUInt32BE(value % 2 ** 32, at + 4)
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
      version: (record.readUInt32BE(at + 6) % VERSION_HIGH) * 2 ** 32 + record.readUInt32BE(at + 10),
      touches: Math.floor(record.readUInt32BE(at + 6) / VERSION_HIGH),
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
