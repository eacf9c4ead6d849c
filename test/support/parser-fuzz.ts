/**
 * Mangled input for everything that parses what a client or a file says: the outcome is a value that holds what it
 * promises, or a StoreError, and never anything else.
 */
import assert from 'node:assert/strict'
import { StoreError } from '../../src/base/errors.ts'
import { formatFid, parseFid } from '../../src/base/fid.ts'
import type { Random } from '../../src/base/random.ts'
import { formatReplication, parseReplication } from '../../src/base/replication.ts'
import { formatTtl, parseTtl, ttlSeconds } from '../../src/base/ttl.ts'
import { dropExifThumbnail } from '../../src/blobs/volume/exif-thumbnail.ts'
import { parseFilePath, plainFid } from '../../src/blobs/volume/file-path.ts'
import { planImage } from '../../src/blobs/volume/image-query.ts'
import { parseManifest } from '../../src/blobs/volume/manifest.ts'
import { pairHeaders } from '../../src/blobs/volume/pairs.ts'
import { parseFileQuery } from '../../src/blobs/volume/query.ts'
import { decodeWhole, encodeNeedle, sealRecord } from '../../src/disk/needle.ts'
import { ifRangeHolds, parseHttpDate } from '../../src/net/conditional.ts'
import { parseContentDisposition } from '../../src/net/content-disposition.ts'
import { fileOfForm, formBoundary } from '../../src/net/multipart.ts'
import { parseRanges } from '../../src/net/ranges.ts'
import { withCameraExif } from './exif.ts'
import { needleOf } from './needles.ts'

interface Parser {
  /** Well-formed input, from which mangled ones are made. */
  seeds: readonly Buffer[]
  /** Throws an AssertionError where a value does not hold what it promises. */
  check(input: Buffer): void
}

const SEED = 7
const FILE_BYTES = 1_000
const BOUNDARY = 'xYz'

const texts = (...each: string[]) => each.map((text) => Buffer.from(text, 'latin1'))
const latin1 = (check: (text: string) => void) => (input: Buffer) => check(input.toString('latin1'))

function record(): Buffer {
  const needle = needleOf(5, 1, 300)
  const into = Buffer.alloc(4_096)
  const encoded = encodeNeedle(needle, into)
  const bytes = into.subarray(0, encoded.lengthBytes)
  sealRecord(bytes, encoded, { seed: SEED, appendNsHigh: 1, appendNsLow: 2 })
  return bytes
}

export const PARSERS: Readonly<Record<string, Parser>> = {
  'file id': {
    seeds: texts('3,01637037d6', '3,01637037d6_12', '4294967295,ffffffffffffffff00000001'),
    check: latin1((text) => {
      const fid = parseFid(text)
      assert.deepEqual(parseFid(formatFid(fid)), fid)
    }),
  },
  'path of a file': {
    seeds: texts('/3,01637037d6', '/3/01637037d6/my%20name.jpg', '/3%2C01637037d6.jpg', '/3,01637037d6_1'),
    check: latin1((text) => {
      const short = plainFid(text)
      const { fid } = parseFilePath(text)
      assert.ok(fid.volumeId <= 0xffffffff && fid.cookie <= 0xffffffff)
      if (short !== undefined) assert.deepEqual(short, fid)
    }),
  },
  'query of a file': {
    seeds: texts(
      'ts=1700000000&ttl=3d&cm=true&fsync=1&type=replicate',
      'width=100&height=50&mode=fit&crop_x1=1&crop_y1=2&crop_x2=30&crop_y2=40',
      'response-content-type=text%2Fplain&dl=true&pretty=y&jwt=a.b.c&readDeleted=false',
    ),
    check: latin1((text) => {
      const { image, responseHeaders } = parseFileQuery(text)
      for (const each of responseHeaders) assert.doesNotMatch(each, /[\r\n\0]/)
      const plan = image && planImage(image, { width: 300, height: 200 })
      for (const box of [plan?.crop, plan?.resize])
        if (box !== undefined)
          assert.ok(box.width >= 1 && box.width <= 300 && box.height >= 1 && box.height <= 200)
    }),
  },
  ranges: {
    seeds: texts('bytes=0-99', 'bytes=-1', 'bytes=5-,7-8', 'bytes=0-0,10-20,999-'),
    check: latin1((text) => {
      const ranges = parseRanges(text, FILE_BYTES)
      if (!Array.isArray(ranges)) return
      for (const { start, end } of ranges) assert.ok(start >= 0 && start < end && end <= FILE_BYTES)
    }),
  },
  dates: {
    seeds: texts(
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
    ),
    check: latin1((text) => {
      const seconds = parseHttpDate(text)
      assert.ok(seconds === undefined || Number.isSafeInteger(seconds))
      ifRangeHolds(text, { etag: '"a"', lastModifiedS: 1 })
    }),
  },
  'content disposition': {
    seeds: texts(
      'form-data; name="file"; filename="a \\"b\\".txt"',
      "attachment; filename*=UTF-8''%e2%82%ac%20rates",
      'inline; filename=h.txt; x=y',
    ),
    check: latin1((text) => {
      for (const value of parseContentDisposition(text)?.parameters.values() ?? [])
        assert.equal(typeof value, 'string')
    }),
  },
  'boundary of a form': {
    seeds: texts('multipart/form-data; boundary=xYz', 'Multipart/Form-Data ; charset=a; boundary="x y"'),
    check: latin1((text) => {
      const boundary = formBoundary(text)
      assert.ok(boundary === undefined || (boundary.length >= 1 && boundary.length <= 70))
    }),
  },
  form: {
    seeds: texts(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--${BOUNDARY}--\r\n`,
      `preamble\r\n--${BOUNDARY} \r\nContent-Disposition: form-data; name="ttl"\r\n\r\n3d\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n\r\n--${BOUNDARY}--`,
    ),
    check(input) {
      const { data } = fileOfForm(input, BOUNDARY)
      const start = data.byteOffset - input.byteOffset
      assert.ok(data.buffer === input.buffer && start >= 0 && start + data.length <= input.length)
    },
  },
  manifest: {
    seeds: texts(
      '{"name":"a","mime":"b/c","size":30,"chunks":[{"fid":"3,01637037d6","offset":0,"size":10},{"fid":"4,02637037d6","offset":10,"size":20}]}',
    ),
    check(input) {
      const { sizeBytes, chunks } = parseManifest(input)
      assert.equal(
        sizeBytes,
        chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0),
      )
    },
  },
  pairs: {
    seeds: texts('{"Owner":"bob","X-Color":"r\\u00fcd"}', '{}'),
    check(input) {
      for (const each of pairHeaders(input)) assert.doesNotMatch(each, /[\r\n\0]/)
    },
  },
  TTL: {
    seeds: texts('3m', '255y', '60m'),
    check: latin1((text) => {
      const ttl = parseTtl(text)
      assert.equal(ttlSeconds(parseTtl(formatTtl(ttl))), ttlSeconds(ttl))
    }),
  },
  replication: {
    seeds: texts('010', '200', '1'),
    check: latin1((text) => {
      const byte = parseReplication(text)
      assert.equal(parseReplication(formatReplication(byte)), byte)
    }),
  },
  record: {
    seeds: [record()],
    check(input) {
      // Padding is free; all else is sealed.
      const { dataSizeBytes } = decodeWhole(input, SEED).needle
      assert.equal(dataSizeBytes, 300)
    },
  },
  'EXIF of a JPEG': {
    seeds: [true, false].map((bigEndian) =>
      withCameraExif(Buffer.from('ffd8ffd9', 'hex'), {
        ...{ orientation: 6, bigEndian, thumbnail: Buffer.from('ffd8ffd9', 'hex') },
      }),
    ),
    check(input) {
      const { length } = input
      dropExifThumbnail(input)
      assert.equal(input.length, length)
    },
  },
}

const PIECES = texts(
  ...[
    '\0',
    '\r\n',
    ',',
    ';',
    '=',
    '"',
    '\\',
    '%',
    '%00',
    '%zz',
    '-',
    '--',
    '0',
    '99999999999999999999',
    '-1',
    '1e9',
  ],
  ...[
    '/',
    '..',
    '_',
    ' ',
    '\t',
    '\xff',
    '\u00e9',
    '{',
    '[',
    ']',
    '}',
    'null',
    '"chunks":',
    'bytes=',
    `--${BOUNDARY}`,
  ],
)

function mangled(seeds: readonly Buffer[], random: Random): Buffer {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!
  let input = Buffer.from(pick(seeds))
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(input.length + 1)
    const [head, tail] = [input.subarray(0, at), input.subarray(at)]
    const way = random.below(5)
    if (way === 0) input = Buffer.concat([head, pick(PIECES), tail])
    else if (way === 1) input = Buffer.concat([head, tail.subarray(random.below(9))])
    else if (way === 2) input = Buffer.concat([head, pick(seeds).subarray(random.below(20))])
    else if (way === 3) input = Buffer.concat([head, head.subarray(-9), tail])
    else if (at < input.length) input[at]! ^= 1 << random.below(8)
  }
  return input
}

/** Feeds `count` mangled inputs to a parser; the failure names the input. */
export function fuzzParser(name: string, random: Random, count: number): void {
  const { seeds, check } = PARSERS[name]!
  for (const seed of seeds) check(Buffer.from(seed))
  for (let i = 0; i < count; i++) {
    const input = mangled(seeds, random)
    const before = input.toString('hex')
    try {
      check(input)
    } catch (error) {
      if (error instanceof StoreError) continue
      throw new Error(`${name} fails on ${before}`, { cause: error })
    }
  }
}
