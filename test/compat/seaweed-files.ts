/**
 * A second reader of SeaweedFS's volume files (version 3, 4-byte offsets), sharing no code with the engine: it walks a
 * `.dat` as `weed fix`, `export` and `compact` do, applies an `.idx` as its volume server does, and makes the checks
 * of its start-up and of its scrub. Whatever the engine writes must pass here.
 */
import { crc32c } from '@node-rs/crc32'

const SUPER_BLOCK_BYTES = 8
const HEADER_BYTES = 16
const CHECKSUM_BYTES = 4
const TIME_BYTES = 8
const ENTRY_BYTES = 16
/** Above this `size`, SeaweedFS reads checksum and time right behind the last optional field. */
const PAGED_READ_BYTES = 1024 * 1024
const DELETED = 0xffffffff

const GZIP = 0x01
const NAME = 0x02
const MIME = 0x04
const LAST_MODIFIED = 0x08
const TTL = 0x10
const PAIRS = 0x20
const MANIFEST = 0x80

export interface SeaweedRecord {
  offset: number
  lengthBytes: number
  cookie: number
  key: bigint
  size: number
  data: Buffer
  gzipped: boolean
  manifest: boolean
  name: Buffer | undefined
  mime: Buffer | undefined
  lastModifiedS: number | undefined
  ttl: number | undefined
  pairs: Buffer | undefined
  /** Bytes inside `size` behind the last optional field, which SeaweedFS ignores. */
  leftOverBytes: number
  checksum: number
  appendNs: bigint
}

export interface SeaweedEntry {
  key: bigint
  offset: number
  /** 0xFFFFFFFF is a deletion. */
  size: number
}

export interface SeaweedVolume {
  version: number
  replicaPlacement: number
  ttl: number
  compactionRevision: number
  records: SeaweedRecord[]
  entries: SeaweedEntry[]
  /** What `weed fix` would serve: the last record of each key, records of size 0 counting as deletions. */
  liveByScan: Map<bigint, SeaweedRecord>
  /** What the volume server serves with this `.idx`. */
  liveByIndex: Map<bigint, SeaweedRecord>
  /** Each would make one of SeaweedFS's tools or servers fail, warn, truncate or go read-only. */
  problems: string[]
}

/** Length of a whole record on disk; the padding is 1 to 8 bytes. */
export function recordBytes(size: number): number {
  const bare = HEADER_BYTES + size + CHECKSUM_BYTES + TIME_BYTES
  return bare + 8 - (bare % 8)
}

/** Reads a volume; `idx` undefined skips what needs it. Never throws for what the files hold. */
export function readSeaweedVolume(dat: Buffer, idx: Buffer | undefined): SeaweedVolume {
  const volume: SeaweedVolume = {
    version: dat[0] ?? 0,
    replicaPlacement: dat[1] ?? 0,
    ttl: dat.length < SUPER_BLOCK_BYTES ? 0 : dat.readUInt16BE(2),
    compactionRevision: dat.length < SUPER_BLOCK_BYTES ? 0 : dat.readUInt16BE(4),
    records: [],
    entries: [],
    liveByScan: new Map(),
    liveByIndex: new Map(),
    problems: [],
  }
  if (dat.length < SUPER_BLOCK_BYTES) {
    volume.problems.push(`the .dat has ${dat.length} bytes, not even a super block`)
    return volume
  }
  if (volume.version !== 3) volume.problems.push(`version ${volume.version}`)
  if (dat.readUInt16BE(6) !== 0) volume.problems.push(`super block extra size ${dat.readUInt16BE(6)}`)
  walk(dat, volume)
  if (idx !== undefined) applyIndex(idx, dat.length, volume)
  return volume
}

/** Reads a volume and throws when SeaweedFS would find fault with it. */
export function checkSeaweedVolume(dat: Buffer, idx: Buffer | undefined, what = 'volume'): SeaweedVolume {
  const volume = readSeaweedVolume(dat, idx)
  if (volume.problems.length === 0) return volume
  const shown = volume.problems.slice(0, 10).join('\n  ')
  throw new Error(`SeaweedFS would not take this ${what} (${volume.problems.length} problems):\n  ${shown}`)
}

function walk(dat: Buffer, volume: SeaweedVolume): void {
  let offset = SUPER_BLOCK_BYTES
  while (offset < dat.length) {
    if (offset + HEADER_BYTES > dat.length) {
      volume.problems.push(`${dat.length - offset} bytes left at ${offset}, less than a header`)
      return
    }
    const size = dat.readInt32BE(offset + 12)
    if (size < 0 || offset + recordBytes(size) > dat.length) {
      volume.problems.push(`record at ${offset} of size ${size} passes the end of the file, ${dat.length}`)
      return
    }
    const record = parse(dat, offset, size, volume.problems)
    volume.records.push(record)
    if (size > 0) volume.liveByScan.set(record.key, record)
    else volume.liveByScan.delete(record.key)
    offset += record.lengthBytes
  }
}

function parse(dat: Buffer, offset: number, size: number, problems: string[]): SeaweedRecord {
  const body = dat.subarray(offset + HEADER_BYTES, offset + HEADER_BYTES + size)
  const tail = offset + HEADER_BYTES + size
  const record: SeaweedRecord = {
    offset,
    lengthBytes: recordBytes(size),
    cookie: dat.readUInt32BE(offset),
    key: dat.readBigUInt64BE(offset + 4),
    size,
    data: body.subarray(0, 0),
    gzipped: false,
    manifest: false,
    name: undefined,
    mime: undefined,
    lastModifiedS: undefined,
    ttl: undefined,
    pairs: undefined,
    leftOverBytes: 0,
    checksum: dat.readUInt32BE(tail),
    appendNs: dat.readBigUInt64BE(tail + CHECKSUM_BYTES),
  }
  const complain = (what: string) =>
    problems.push(`record at ${offset}, key ${record.key}, size ${size}: ${what}`)
  // SeaweedFS checks no checksum without data; its own delete markers keep that of what they delete.
  if (size === 0) return record
  const after = parseFields(body, record)
  if (after === undefined) {
    complain('its fields pass its end')
    return record
  }
  record.leftOverBytes = size - after
  const computed = crc32c(record.data)
  if (computed !== record.checksum)
    complain(`checksum ${record.checksum.toString(16)}, data has ${computed.toString(16)}`)
  if (size > PAGED_READ_BYTES) checkPagedTail(dat, offset + HEADER_BYTES + after, record, complain)
  return record
}

/** Fills the record; returns where the last optional field ends, or undefined when one passes the end. */
function parseFields(body: Buffer, record: SeaweedRecord): number | undefined {
  let at = 0
  const take = (length: number): Buffer | undefined => {
    if (at + length > body.length) return undefined
    at += length
    return body.subarray(at - length, at)
  }
  const dataSize = take(4)?.readUInt32BE(0)
  if (dataSize === undefined) return undefined
  const data = take(dataSize)
  if (data === undefined) return undefined
  record.data = data
  // SeaweedFS stops reading fields without complaint where the body ends between two of them.
  const flags = take(1)?.[0] ?? 0
  record.gzipped = (flags & GZIP) !== 0
  record.manifest = (flags & MANIFEST) !== 0
  for (const flag of [NAME, MIME]) {
    if ((flags & flag) === 0 || at >= body.length) continue
    const value = take(take(1)![0]!)
    if (value === undefined) return undefined
    if (flag === NAME) record.name = value
    else record.mime = value
  }
  if ((flags & LAST_MODIFIED) !== 0 && at < body.length) {
    const value = take(5)
    if (value === undefined) return undefined
    record.lastModifiedS = value.readUIntBE(0, 5)
  }
  if ((flags & TTL) !== 0 && at < body.length) {
    const value = take(2)
    if (value === undefined) return undefined
    record.ttl = value.readUInt16BE(0)
  }
  if ((flags & PAIRS) !== 0 && at < body.length) {
    const length = take(2)?.readUInt16BE(0)
    const value = length === undefined ? undefined : take(length)
    if (value === undefined) return undefined
    record.pairs = value
  }
  return at
}

function checkPagedTail(
  dat: Buffer,
  at: number,
  record: SeaweedRecord,
  complain: (what: string) => void,
): void {
  const stop = record.offset + record.lengthBytes
  if (at + CHECKSUM_BYTES + TIME_BYTES > stop)
    complain('no checksum behind its last field, where paged reads look')
  else if (dat.readUInt32BE(at) !== record.checksum)
    complain('another checksum behind its last field than at its end')
  else if (dat.readBigUInt64BE(at + CHECKSUM_BYTES) !== record.appendNs) {
    complain('another append time behind its last field than at its end')
  }
}

function applyIndex(idx: Buffer, datBytes: number, volume: SeaweedVolume): void {
  const { problems } = volume
  if (idx.length % ENTRY_BYTES !== 0) problems.push(`the .idx has ${idx.length} bytes, no multiple of 16`)
  if (idx.length === 0 && datBytes > SUPER_BLOCK_BYTES)
    problems.push(`empty .idx beside a .dat of ${datBytes} bytes`)
  const byOffset = new Map(volume.records.map((record) => [record.offset, record]))
  const seen = new Set<number>()
  let sum = SUPER_BLOCK_BYTES
  let last: SeaweedEntry | undefined
  for (let at = 0; at + ENTRY_BYTES <= idx.length; at += ENTRY_BYTES) {
    const entry = {
      key: idx.readBigUInt64BE(at),
      offset: idx.readUInt32BE(at + 8) * 8,
      size: idx.readUInt32BE(at + 12),
    }
    volume.entries.push(entry)
    const onDisk = entry.size === DELETED ? 0 : entry.size
    sum += recordBytes(onDisk)
    if (last === undefined || entry.offset > last.offset) last = entry
    const record = byOffset.get(entry.offset)
    const where = `entry ${at / ENTRY_BYTES} (key ${entry.key}, offset ${entry.offset}, size ${entry.size})`
    if (record === undefined) problems.push(`${where}: no record begins there`)
    else if (record.key !== entry.key || record.size !== onDisk) {
      problems.push(`${where}: the record there has key ${record.key}, size ${record.size}`)
    } else {
      if (seen.has(entry.offset)) problems.push(`${where}: a second entry for one record`)
      seen.add(entry.offset)
      if (entry.size === DELETED) volume.liveByIndex.delete(entry.key)
      else volume.liveByIndex.set(entry.key, record)
    }
  }
  if (sum !== datBytes) problems.push(`entries sum up to ${sum} bytes, the .dat has ${datBytes}`)
  if (last === undefined) return
  const end = last.offset + recordBytes(last.size === DELETED ? 0 : last.size)
  if (end !== datBytes) problems.push(`the last record by the .idx ends at ${end}, the .dat at ${datBytes}`)
}
