import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byterangesFrame, contentRange, parseRanges } from './ranges.ts'

test('ranges of a file of 100 bytes', () => {
  const cases: [header: string | undefined, wanted: unknown][] = [
    [undefined, undefined],
    ['bytes=0-0', [[0, 1]]],
    ['bytes=0-', [[0, 100]]],
    ['bytes=99-', [[99, 100]]],
    ['bytes=90-200', [[90, 100]]],
    ['bytes=-10', [[90, 100]]],
    ['bytes=-1000', [[0, 100]]],
    ['BYTES=1-2', [[1, 3]]],
    [
      'bytes=0-1, 5-6,-1',
      [
        [0, 2],
        [5, 7],
        [99, 100],
      ],
    ],
    [
      'bytes=0-1,,5-6',
      [
        [0, 2],
        [5, 7],
      ],
    ],
    ['bytes=0-1,500-600', [[0, 2]]],
    ['bytes=100-', 'invalid'],
    ['bytes=-0', 'invalid'],
    ['bytes=5-4', 'invalid'],
    ['bytes=a-b', 'invalid'],
    ['bytes=--5', 'invalid'],
    ['bytes=1-2-3', 'invalid'],
    ['bytes=', 'invalid'],
    ['bytes=-', 'invalid'],
    ['bytes', 'invalid'],
    ['bytes= ,', 'invalid'],
    ['bytes=+1-2', 'invalid'],
    ['bytes=0x1-2', 'invalid'],
    ['lines=1-2', undefined],
    ['bytes=0-99,0-99', undefined],
    ['bytes=99999999999999999999-', 'invalid'],
    ['bytes=0-99999999999999999999', [[0, 100]]],
  ]
  for (const [header, wanted] of cases) {
    const got = parseRanges(header, 100)
    const shown = Array.isArray(got) ? got.map(({ start, end }) => [start, end]) : got
    assert.deepEqual(shown, wanted, String(header))
  }
})

test('nothing of an empty file can be asked for', () => {
  for (const header of ['bytes=0-', 'bytes=-1', 'bytes=0-0']) assert.equal(parseRanges(header, 0), 'invalid')
})

test('too many ranges', () => {
  const header = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${i}-${i}`).join(',')}`
  assert.equal((parseRanges(header(100), 1000) as unknown[]).length, 100)
  assert.equal(parseRanges(header(101), 1000), 'invalid')
})

test('a multipart/byteranges body is as long as its frame says', () => {
  const ranges = [
    { start: 0, end: 2 },
    { start: 90, end: 100 },
  ]
  const frame = byterangesFrame(ranges, { boundary: 'B', contentType: 'text/plain', sizeBytes: 100 })
  const body = `${frame.heads[0]}ab${frame.heads[1]}0123456789${frame.tail}`
  assert.equal(body.length, frame.sizeBytes)
  assert.match(
    body,
    /^--B\r\nContent-Range: bytes 0-1\/100\r\nContent-Type: text\/plain\r\n\r\nab\r\n--B\r\n/,
  )
  assert.ok(body.endsWith('0123456789\r\n--B--\r\n'))
  assert.equal(contentRange(ranges[1]!, 100), 'bytes 90-99/100')
})
