/** Needles for tests: their content follows from their numbers, so that any byte that is wrong is seen. */
import assert from 'node:assert/strict'
import type { Fid } from '../../src/base/fid.ts'
import type { Needle, NewNeedle } from '../../src/disk/needle.ts'
import { randomOf } from './seeds.ts'

export const KIB = 1024
export const MIB = 1024 * KIB

/** The cookie of a test key. */
export function cookieOf(key: number): number {
  return Math.imul(key, 0x9e3779b1) >>> 0
}

export function fidOf(key: number, volumeId = 1): Fid {
  return { volumeId, keyHigh: 0, keyLow: key, cookie: cookieOf(key) }
}

/** Bytes that do not repeat within reach, made fast. */
export function dataOf(seed: number, lengthBytes: number): Buffer {
  const data = Buffer.allocUnsafe(lengthBytes)
  let x = (Math.imul(seed + 1, 0x9e3779b1) ^ lengthBytes) >>> 0 || 1
  let at = 0
  for (; at + 4 <= lengthBytes; at += 4) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    data.writeInt32LE(x, at)
  }
  for (; at < lengthBytes; at++) data[at] = x >>>= 3
  return data
}

/** A needle whose data, name and further fields follow from key, version and size. */
export function needleOf(
  key: number,
  version: number,
  lengthBytes: number,
  fields: Partial<NewNeedle> = {},
): NewNeedle {
  const random = randomOf(key * 1000 + version)
  const some = <T>(value: T) => (random.below(2) === 0 ? value : undefined)
  return {
    keyHigh: 0,
    keyLow: key,
    cookie: cookieOf(key),
    data: dataOf(key * 7919 + version, lengthBytes),
    gzipped: false,
    manifest: false,
    name: some(Buffer.from(`key-${key}-version-${version}.bin`)),
    mime: some(Buffer.from('text/x-test')),
    lastModifiedS: some(1_700_000_000 + version),
    ttl: 0,
    pairs: random.below(8) === 0 ? Buffer.from(JSON.stringify({ Owner: `bob-${version}` })) : undefined,
    ...fields,
  }
}

export const EMPTY = { name: undefined, mime: undefined, lastModifiedS: undefined, pairs: undefined }

/** A read needle as plain values, its data whole. Closes what must be closed. */
export interface ReadNeedle {
  cookie: number
  data: Buffer
  gzipped: boolean
  manifest: boolean
  name: string | undefined
  mime: string | undefined
  lastModifiedS: number | undefined
  ttl: number
  pairs: string | undefined
  checksum: number
}

export async function collect(found: Needle): Promise<ReadNeedle> {
  // The needle may be borrowed: everything is copied before the first wait.
  const plain = {
    cookie: found.cookie,
    gzipped: found.gzipped,
    manifest: found.manifest,
    name: found.name?.toString('latin1'),
    mime: found.mime?.toString('latin1'),
    lastModifiedS: found.lastModifiedS,
    ttl: found.ttl,
    pairs: found.pairs?.toString('latin1'),
    checksum: found.checksum,
  }
  if (found.large === undefined) {
    assert.ok(found.data, 'a small needle has its data')
    return { ...plain, data: Buffer.from(found.data) }
  }
  const pieces: Buffer[] = []
  try {
    for await (const piece of found.large.read(0, found.dataSizeBytes)) pieces.push(piece)
  } finally {
    found.large.close()
  }
  return { ...plain, data: Buffer.concat(pieces) }
}

/** True when what was read is what was written. */
export function isSame(read: ReadNeedle, written: NewNeedle): boolean {
  const empty = written.data.length === 0
  const text = (bytes: Buffer | undefined) => (empty ? undefined : bytes?.toString('latin1'))
  return (
    read.data.equals(written.data) &&
    read.cookie === written.cookie &&
    read.gzipped === (written.gzipped && !empty) &&
    read.manifest === (written.manifest && !empty) &&
    read.name === text(written.name) &&
    read.mime === text(written.mime) &&
    read.pairs === text(written.pairs) &&
    (empty || (read.lastModifiedS ?? 0) === (written.lastModifiedS ?? 0))
  )
}

export function describe(needle: NewNeedle | ReadNeedle | undefined): string {
  if (needle === undefined) return 'absent'
  const name = needle.name?.toString('latin1') ?? 'no name'
  return `${needle.data.length} bytes ${needle.data.subarray(0, 4).toString('hex')} (${name})`
}
