/** A file as one value on a server that knows nothing of files: `docs/formats/sfss-record.md` has the bytes. */
import { crc32c } from '../../base/checksum.ts'
import { StoreError } from '../../base/errors.ts'

export interface FileRecord {
  path: string
  /** Microseconds since 1970 when it was written, or more: of several copies the highest counts. */
  version: number
  /** Of the writer, at random: decides between equal versions. */
  writer: number
  modifiedMs: number
  contentType: string
  /** Undefined: it was removed. */
  data: Buffer | undefined
}

const MAGIC = 0x53465353
const FORMAT = 1
const REMOVED = 1
/** Magic u32, checksum u32, format u8, flags u8, length of the type u8, spare u8, version u64, writer u32, modified u64, length of the path u16. */
const HEAD_BYTES = 34
const CHECKED_FROM = 8

export function encodeFileRecord(record: FileRecord): Buffer {
  const { version, writer, modifiedMs, data } = record
  const [path, type] = [Buffer.from(record.path), Buffer.from(record.contentType, 'latin1')]
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + path.length + type.length + (data?.length ?? 0))
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt8(FORMAT, 8)
  bytes.writeUInt8(data === undefined ? REMOVED : 0, 9)
  bytes.writeUInt8(type.length, 10)
  bytes.writeUInt8(0, 11)
  bytes.writeBigUInt64BE(BigInt(version), 12)
  bytes.writeUInt32BE(writer, 20)
  bytes.writeBigUInt64BE(BigInt(modifiedMs), 24)
  bytes.writeUInt16BE(path.length, 32)
  let at = HEAD_BYTES
  at += path.copy(bytes, at)
  at += type.copy(bytes, at)
  data?.copy(bytes, at)
  bytes.writeUInt32BE(crc32c(bytes.subarray(CHECKED_FROM)), 4)
  return bytes
}

/** Its data is a window on `bytes`. Throws `corrupt`, also for the record of another path; `unsupported` for a later format. */
export function decodeFileRecord(bytes: Buffer, path: string): FileRecord {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32BE(0) !== MAGIC) throw damaged()
  if (crc32c(bytes.subarray(CHECKED_FROM)) !== bytes.readUInt32BE(4)) throw damaged()
  if (bytes[8] !== FORMAT) throw new StoreError('unsupported', `a file in format ${bytes[8]}`)
  const typeAt = HEAD_BYTES + bytes.readUInt16BE(32)
  const dataAt = typeAt + bytes[10]!
  if (dataAt > bytes.length || bytes.toString('utf8', HEAD_BYTES, typeAt) !== path) throw damaged()
  return {
    path,
    version: Number(bytes.readBigUInt64BE(12)),
    writer: bytes.readUInt32BE(20),
    modifiedMs: Number(bytes.readBigUInt64BE(24)),
    contentType: bytes.toString('latin1', typeAt, dataAt),
    data: (bytes[9]! & REMOVED) === 0 ? bytes.subarray(dataAt) : undefined,
  }
}

/** Above 0 when `one` was written after `other`. */
export function compareVersions(one: FileRecord, other: FileRecord): number {
  return one.version - other.version || one.writer - other.writer
}

function damaged(): StoreError {
  return new StoreError('corrupt', 'a damaged copy of a file')
}
