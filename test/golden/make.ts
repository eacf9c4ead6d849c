/**
 * Makes volumes of every kind of record in the format of this release, the same bytes each time:
 * `node test/golden/make.ts DIRECTORY`. The first release's are in `v1`, and every later release must open them.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { NewNeedle } from '../../src/disk/needle.ts'
import { SimClock } from '../sim/sim-clock.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { dataOf, fidOf, KIB, MIB, needleOf } from '../support/needles.ts'
import { openEngine } from '../support/sim-engine.ts'

/** One needle that must be found, or a key under which nothing may be found. */
export interface GoldenNeedle {
  volumeId: number
  keyHigh: number
  keyLow: number
  cookie: number
  note: string
  /** Undefined for what is deleted. */
  expected:
    | {
        sha256: string
        lengthBytes: number
        checksum: number
        gzipped: boolean
        manifest: boolean
        name: string | null
        mime: string | null
        lastModifiedS: number | null
        ttl: number
        pairs: string | null
      }
    | undefined
}

export interface Golden {
  files: Map<string, Buffer>
  needles: GoldenNeedle[]
}

const DIRECTORY = '/golden'
const START_MS = Date.UTC(2026, 10, 21, 4, 0, 0)
/** 10 years. */
const TTL = (10 << 8) | 6
const PLAIN = { name: undefined, mime: undefined, lastModifiedS: undefined, pairs: undefined }

/** Data that does not repeat for the checks, and compresses for the repository. */
function paleData(seed: number, lengthBytes: number): Buffer {
  const data = Buffer.alloc(lengthBytes)
  for (let at = 0; at < lengthBytes; at += 4096) dataOf(seed + at, 16).copy(data, at)
  return data
}

function needlesOf(): [note: string, needle: NewNeedle][] {
  const full = {
    name: Buffer.from('名前 ünï.txt'),
    mime: Buffer.from('text/plain; charset=utf-8'),
    lastModifiedS: 1_400_000_000,
    pairs: Buffer.from('{"Owner":"bob","Color":"blue"}'),
  }
  const sized = (key: number, lengthBytes: number) => needleOf(key, 1, 0, { ...PLAIN, data: paleData(key, lengthBytes) })
  return [
    ['one byte', sized(1, 1)],
    ['all fields', needleOf(2, 1, 300, full)],
    ['an empty file', needleOf(3, 1, 0)],
    ['gzip flag', needleOf(4, 1, 0, { ...PLAIN, gzipped: true, data: gzipSync('hello '.repeat(100)) })],
    ['chunk manifest flag', needleOf(5, 1, 0, { ...PLAIN, manifest: true, data: Buffer.from('{"chunks":[]}') })],
    ['a key above 2^53', needleOf(6, 1, 40, { ...PLAIN, keyHigh: 0xfedcba98 })],
    ['one block exactly', sized(7, 64 * KIB)],
    ['a block and a byte', sized(8, 64 * KIB + 1)],
    ['some blocks', sized(9, 300 * KIB)],
    ['just below 1 MiB', sized(10, MIB - 100)],
    ['1 MiB exactly, with a name', needleOf(11, 1, 0, { ...PLAIN, name: Buffer.from('mib.bin'), data: paleData(11, MIB) })],
    ['above 1 MiB, all fields', needleOf(12, 1, 0, { ...full, data: paleData(12, MIB + 70 * KIB) })],
    ['a TTL', needleOf(13, 1, 100, { ...PLAIN, ttl: TTL })],
    ['the longest fields', needleOf(14, 1, 20, longest())],
  ]
}

function longest(): Partial<NewNeedle> {
  return {
    name: Buffer.alloc(255, 'n'),
    mime: Buffer.alloc(255, 'm'),
    lastModifiedS: 2 ** 40 - 1,
    pairs: Buffer.from(JSON.stringify({ k: 'v'.repeat(65_535 - 8) })),
  }
}

/** Makes all volumes; the bytes do not depend on when and where. */
export async function makeGolden(): Promise<Golden> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const needles: GoldenNeedle[] = []
  const open = (on: SimDisk) => {
    return openEngine(on, { directories: [DIRECTORY], views: 1, clock: new SimClock(START_MS), seed: 1 })
  }
  const engine = await open(disk)
  const [first, ttl, compacted, healed, empty] = [1, 2, 3, 4, 5]
  for (const id of [first, compacted, healed, empty]) {
    await engine.admin.createVolume({ id, collection: '', replicaPlacement: 0, ttl: 0 })
  }
  await engine.admin.createVolume({ id: ttl, collection: 'pics', replicaPlacement: 0, ttl: TTL })
  const write = async (volumeId: number, note: string, needle: NewNeedle, kept = true) => {
    engine.clock.advance(1)
    await engine.views[0]!.get(volumeId)!.write(needle)
    if (kept) needles.push(golden(volumeId, note, needle, needle.ttl === 0 && volumeId === ttl ? TTL : needle.ttl))
  }
  const remove = (volumeId: number, key: number) => {
    engine.clock.advance(1)
    engine.views[0]!.get(volumeId)!.remove(fidOf(key, volumeId))
    needles.push({ ...place(volumeId, needleOf(key, 1, 0)), note: 'deleted', expected: undefined })
  }
  for (const [note, needle] of needlesOf()) await write(first, note, needle)
  for (const volumeId of [first, compacted]) {
    await write(volumeId, 'overwritten: first', needleOf(30, 1, 500, PLAIN), false)
    await write(volumeId, 'overwritten: second', needleOf(30, 2, 90))
    await write(volumeId, 'to be deleted', needleOf(31, 1, 500), false)
    remove(volumeId, 31)
    await write(volumeId, 'to be deleted and written again', needleOf(32, 1, 10), false)
    engine.views[0]!.get(volumeId)!.remove(fidOf(32, volumeId))
    await write(volumeId, 'deleted and written again', needleOf(32, 2, 11))
    await write(volumeId, 'an empty file, deleted', needleOf(33, 1, 0), false)
    remove(volumeId, 33)
  }
  await write(ttl, "the volume's TTL", needleOf(1, 1, 120))
  await write(compacted, 'large and moved', needleOf(34, 1, 0, { ...PLAIN, data: paleData(34, MIB + KIB) }))
  await engine.admin.compactVolume(compacted, 0)
  await write(compacted, 'written after the compaction', needleOf(35, 1, 77))
  await engine.checkpoint()
  await write(healed, 'before a hole', needleOf(1, 1, 200))
  const holeAt = disk.contents(`${DIRECTORY}/${healed}.dat`).length
  await write(healed, 'lost in a hole', needleOf(2, 1, 600), false)
  needles.push({ ...place(healed, needleOf(2, 1, 0)), note: 'lost in a hole', expected: undefined })
  await write(healed, 'behind a hole', needleOf(3, 1, 200))
  const after = disk.kill()
  after.corrupt(`${DIRECTORY}/${healed}.dat`, (bytes) => void bytes.fill(0, holeAt, holeAt + 40))
  const second = await open(after)
  await second.stop()
  const files = new Map(after.list(DIRECTORY).map((name) => [name, after.contents(`${DIRECTORY}/${name}`)]))
  return { files, needles }
}

function place(volumeId: number, needle: NewNeedle) {
  return { volumeId, keyHigh: needle.keyHigh, keyLow: needle.keyLow, cookie: needle.cookie }
}

function golden(volumeId: number, note: string, needle: NewNeedle, ttl: number): GoldenNeedle {
  const empty = needle.data.length === 0
  const text = (bytes: Buffer | undefined) => (empty ? null : (bytes?.toString('utf8') ?? null))
  return {
    ...place(volumeId, needle),
    note,
    expected: {
      sha256: createHash('sha256').update(needle.data).digest('hex'),
      lengthBytes: needle.data.length,
      checksum: crcOf(needle.data),
      gzipped: needle.gzipped,
      manifest: needle.manifest,
      name: text(needle.name),
      mime: text(needle.mime),
      lastModifiedS: empty ? null : (needle.lastModifiedS ?? null),
      ttl: empty ? 0 : ttl,
      pairs: text(needle.pairs),
    },
  }
}

/** CRC32C bit by bit: no library's word is taken for it. */
function crcOf(data: Buffer): number {
  let crc = 0xffffffff
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1))
  }
  return ~crc >>> 0
}

if (import.meta.main) {
  const directory = process.argv[2]
  if (directory === undefined) throw new Error('usage: node test/golden/make.ts DIRECTORY')
  const { files, needles } = await makeGolden()
  mkdirSync(directory, { recursive: true })
  for (const [name, bytes] of files) writeFileSync(join(directory, `${name}.gz`), gzipSync(bytes, { level: 9 }))
  writeFileSync(join(directory, 'needles.json'), `${JSON.stringify(needles, null, 1)}\n`)
}
