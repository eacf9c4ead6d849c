/** Random input for all that the hash store reads of strangers. Nothing may crash, and what is read must be what was written. */
import assert from 'node:assert/strict'
import { StoreError } from '../../src/base/errors.ts'
import type { Random } from '../../src/base/random.ts'
import { decodeManifest } from '../../src/protocols/hashstore/manifest.ts'
import { pathOfText, textOfPath } from '../../src/protocols/hashstore/paths.ts'
import { parseMachines } from '../../src/protocols/hashstore/placement.ts'
import {
  encodeHead,
  headLength,
  OPENING_BYTES,
  OPS,
  parseOpening,
  parseReply,
  parseRequest,
  type Request,
} from '../../src/protocols/hashstore/wire.ts'

export const FUZZERS: Record<string, (random: Random) => void> = {
  openings: fuzzOpenings,
  heads: fuzzHeads,
  paths: fuzzPaths,
  texts: fuzzTexts,
}

const PIECES = [
  'WRITFILE,',
  'FETCFILE,',
  'CAIRNEXT,',
  '0013',
  '9999',
  '0000',
  '-001',
  ' 1',
  '\0',
  '\n',
  'é',
  '😀',
  '{',
  '}',
  '"op":',
  '"put"',
  '"size":',
  '1e9',
  '%',
  '%00',
  '%41',
  '\\',
  '/',
  ',',
  '127.0.0.1,1',
  '\ud800',
]

function someText(random: Random): string {
  return Array.from({ length: random.below(8) }, () => PIECES[random.below(PIECES.length)]!).join('')
}

/** Text, at times with bytes changed; or any bytes. */
function someBytes(random: Random): Buffer {
  const bytes = random.below(3) === 0 ? random.bytes(random.below(40)) : Buffer.from(someText(random))
  if (bytes.length > 0 && random.below(2) === 0) bytes[random.below(bytes.length)] = random.below(256)
  return bytes
}

/** What `read` gives; undefined where it refuses, as it should. */
function refused<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    assert.ok(
      error instanceof StoreError && ['bad_request', 'corrupt', 'unsupported'].includes(error.code),
      String(error),
    )
    return undefined
  }
}

function fuzzOpenings(random: Random): void {
  const bytes = Buffer.concat([someBytes(random), random.bytes(OPENING_BYTES)]).subarray(0, OPENING_BYTES)
  const opening = parseOpening(bytes)
  if (opening === undefined || opening.kind === 'extended') return
  const word = opening.kind === 'write' ? 'WRITFILE' : 'FETCFILE'
  assert.equal(`${word},${String(opening.pathBytes).padStart(4, '0')}`, bytes.toString('latin1'))
}

function fuzzHeads(random: Random): void {
  const bytes = someBytes(random)
  refused(() => parseRequest(bytes))
  refused(() => parseReply(bytes))
  if (bytes.length >= 4) refused(() => headLength(bytes))
  const request: Request = {
    op: OPS[random.below(OPS.length)]!,
    path: someText(random).toWellFormed(),
    size: random.u32(),
    unlessNewer: random.below(2) === 0,
    all: random.below(2) === 0,
    ...(random.below(2) === 0 && { time: random.u32(), manifest: someText(random).toWellFormed() }),
  }
  const head = encodeHead(request)
  assert.equal(headLength(head), head.length - 4)
  assert.deepEqual(parseRequest(head.subarray(4)), request)
}

function fuzzPaths(random: Random): void {
  const path = someBytes(random)
  const text = textOfPath(path)
  assert.ok(text.isWellFormed() && !text.includes('\0'))
  assert.deepEqual(pathOfText(text), path)
}

function fuzzTexts(random: Random): void {
  const text = someText(random)
  const path = refused(() => pathOfText(text))
  if (path !== undefined) assert.equal(textOfPath(path), text)
  refused(() => parseMachines(text))
  refused(() => decodeManifest(Buffer.from(text)))
}
