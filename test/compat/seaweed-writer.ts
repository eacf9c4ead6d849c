/** Writes records and index entries as SeaweedFS does, without a trailer: what its server, `weed compact` and `weed fix` leave. */
import { crc32c } from '@node-rs/crc32'
import { readSeaweedVolume, recordBytes, type SeaweedRecord } from './seaweed-files.ts'

export const DELETED = 0xffffffff

export interface SeaweedFile {
  key: bigint
  cookie: number
  data: Buffer
  name?: Buffer
  appendNs: bigint
  /** Flags beside those that the fields call for: a `weed compact` keeps the trailer's 0x40. */
  flags?: number
}

export function encodeRecord(file: SeaweedFile): Buffer {
  const { data, name } = file
  const flags = (file.flags ?? 0) | (name === undefined ? 0 : 0x02)
  const fields =
    name === undefined ? Buffer.from([flags]) : Buffer.concat([Buffer.from([flags, name.length]), name])
  const size = data.length === 0 ? 0 : 4 + data.length + fields.length
  const record = Buffer.alloc(recordBytes(size))
  record.writeUInt32BE(file.cookie, 0)
  record.writeBigUInt64BE(file.key, 4)
  record.writeUInt32BE(size, 12)
  if (size > 0) {
    record.writeUInt32BE(data.length, 16)
    Buffer.concat([data, fields]).copy(record, 20)
  }
  record.writeUInt32BE(crc32c(data), 16 + size)
  record.writeBigUInt64BE(file.appendNs, 20 + size)
  return record
}

export function encodeEntry(key: bigint, offset: number, size: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64BE(key, 0)
  bytes.writeUInt32BE(offset / 8, 8)
  bytes.writeUInt32BE(size, 12)
  return bytes
}

export interface VolumeFiles {
  dat: Buffer
  idx: Buffer
}

/** What a SeaweedFS server leaves that wrote a file, or deleted it (`undefined` data is a deletion). */
export function appendAsSeaweed(files: VolumeFiles, file: SeaweedFile, deletes = false): VolumeFiles {
  const record = encodeRecord(deletes ? { ...file, data: Buffer.alloc(0) } : file)
  const size = deletes ? DELETED : record.readUInt32BE(12)
  return {
    dat: Buffer.concat([files.dat, record]),
    idx: Buffer.concat([files.idx, encodeEntry(file.key, files.dat.length, size)]),
  }
}

/** What `weed compact` makes: live records of more than 0 bytes, without trailers, the revision one higher. */
export function compactAsSeaweed(files: VolumeFiles): VolumeFiles {
  const { liveByIndex } = readSeaweedVolume(files.dat, files.idx)
  const superBlock = Buffer.from(files.dat.subarray(0, 8))
  superBlock.writeUInt16BE((superBlock.readUInt16BE(4) + 1) & 0xffff, 4)
  let out: VolumeFiles = { dat: superBlock, idx: Buffer.alloc(0) }
  const records = [...liveByIndex.values()].sort((a, b) => a.offset - b.offset)
  for (const record of records) if (record.size > 0) out = appendAsSeaweed(out, fileOf(record))
  return out
}

/** Drops trailer and block checksums; keeps flags, name and time. Other fields are not used by these tests. */
function fileOf(record: SeaweedRecord): SeaweedFile {
  return {
    key: record.key,
    cookie: record.cookie,
    data: record.data,
    ...(record.name === undefined ? {} : { name: record.name }),
    appendNs: record.appendNs,
    flags: 0x40,
  }
}

/** What `weed fix` makes of the index: a scan, records of 0 bytes counting as deletions; sorted by key, if asked. */
export function fixAsSeaweed(files: VolumeFiles, sorted: boolean): VolumeFiles {
  const { records, liveByScan } = readSeaweedVolume(files.dat, undefined)
  const entries = sorted
    ? [...liveByScan.values()]
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .map((record) => encodeEntry(record.key, record.offset, record.size))
    : records.map((record) =>
        encodeEntry(record.key, record.offset, record.size === 0 ? DELETED : record.size),
      )
  return { dat: files.dat, idx: Buffer.concat(entries) }
}
