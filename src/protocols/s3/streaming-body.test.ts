import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { SignerV4 } from '../../iam/sign.ts'
import { HmacKey } from './auth/hmac.ts'
import type { ChunkedPayload } from './auth/payload.ts'
import { S3Error } from './s3-error.ts'
import { ChunkDecoder, decodeArriving, decodeChunked } from './streaming-body.ts'

const UNSIGNED: Omit<ChunkedPayload, 'decodedBytes'> = {
  kind: 'chunked',
  chain: undefined,
  hasTrailer: true,
  trailerNames: [],
}
const CRC = 'x-amz-checksum-crc32'

function decode(text: string, decodedBytes: number, more: Partial<ChunkedPayload> = {}) {
  return decodeChunked(Buffer.from(text, 'latin1'), { ...UNSIGNED, decodedBytes, ...more })
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
  return 'taken'
}

describe('framing', () => {
  test('what is taken', () => {
    assert.equal(decode('5\r\nhello\r\n0\r\n\r\n', 5).data.toString(), 'hello')
    assert.equal(decode('3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n', 5).data.toString(), 'hello')
    assert.equal(decode('0\r\n\r\n', 0).data.length, 0)
    assert.equal(decode('0\r\n', 0).data.length, 0, 'the empty line behind the last may be missing')
    assert.equal(decode('005 \r\nhello\r\n0\r\n\r\n', 5).data.toString(), 'hello')
    assert.equal(decode('5;a=b\r\nhello\r\n0\r\n\r\n', 5).data.toString(), 'hello')
    assert.equal(decode('A\r\n0123456789\r\n0\r\n\r\njunk behind the end', 10).data.length, 10)
    assert.equal(decode('2\r\n\r\n\r\n0\r\n\r\n', 2).data.toString(), '\r\n')
  })

  test('what is not', () => {
    const cases: [text: string, decodedBytes: number][] = [
      ['', 0],
      ['hello', 5],
      ['5\r\nhello\r\n', 5],
      ['5\r\nhello', 5],
      ['5\r\nhel', 5],
      ['5\nhello\n0\n\n', 5],
      ['5\rhello\r0\r\r', 5],
      ['5\r\nhelloX\r\n0\r\n\r\n', 5],
      ['5\r\nhello\r\n0\r\n\r', 5],
      ['5\r\nhello\r\n0', 5],
      ['5\r\nhello\r\n0\r\n\r\n', 4],
      ['5\r\nhello\r\n0\r\n\r\n', 6],
      ['0\r\n5\r\nhello\r\n0\r\n\r\n', 5],
      ['-5\r\nhello\r\n0\r\n\r\n', 5],
      ['+5\r\nhello\r\n0\r\n\r\n', 5],
      ['0x5\r\nhello\r\n0\r\n\r\n', 5],
      ['\u000b5\r\nhello\r\n0\r\n\r\n', 5],
      ['\r\n', 0],
      ['g\r\n', 0],
      ['ffffffffffffff\r\n', 5],
      [`5;${'x'.repeat(9_000)}\r\nhello\r\n0\r\n\r\n`, 5],
      ['x'.repeat(20_000), 5],
    ]
    for (const [text, decodedBytes] of cases)
      assert.equal(
        codeOf(() => decode(text, decodedBytes)),
        'IncompleteBody',
        JSON.stringify(text.slice(0, 40)),
      )
  })

  test('says how many bytes came and how many should', () => {
    assert.throws(() => decode('a\r\n0123456789\r\n0\r\n\r\n', 5), {
      extra: { NumberBytesProvided: '10', NumberBytesExpected: '5' },
    })
  })
})

test('what is behind the end is dropped, but not without end', () => {
  const decoder = new ChunkDecoder({ ...UNSIGNED, decodedBytes: 0 })
  decoder.push(Buffer.from('0\r\n\r\n'), () => {})
  const more = Buffer.alloc(256 * 1024)
  for (let i = 0; i < 4; i++) decoder.push(more, () => {})
  assert.equal(
    codeOf(() => decoder.push(more, () => {})),
    'MalformedTrailerError',
  )
})

describe('trailing headers', () => {
  const ask = (text: string) => codeOf(() => decode(`5\r\nhello\r\n0\r\n${text}`, 5, { trailerNames: [CRC] }))

  test('what is taken', () => {
    const given = (text: string) =>
      decode(`5\r\nhello\r\n0\r\n${text}`, 5, { trailerNames: [CRC] }).trailers.get(CRC)
    assert.equal(given(`${CRC}:AAAA\r\n\r\n`), 'AAAA')
    assert.equal(given(`${CRC}: AAAA \r\n\r\n`), 'AAAA')
    assert.equal(given(`${CRC.toUpperCase()}:AAAA\r\n`), 'AAAA')
    assert.equal(given(`${CRC}:AAAA\r\n${CRC}:BBBB\r\n\r\n`), 'BBBB')
    assert.equal(given(`${CRC}:AAAA\r\n\r\nx:y\r\n`), 'AAAA')
    assert.equal(given(`${CRC}:AAAA\n\r\n\r\n`), 'AAAA')
    assert.equal(given(`${CRC}:AAAA\n\n`), 'AAAA')
  })

  test('what is not', () => {
    for (const text of [
      '',
      '\r\n',
      `x:y\r\n\r\n`,
      `${CRC}:A\r\nx:y\r\n\r\n`,
      `\r\n${CRC}:A\r\n\r\n`,
      `${CRC}\r\n\r\n`,
    ])
      assert.equal(ask(text), 'MalformedTrailerError', JSON.stringify(text))
    for (const text of [`${CRC}:AAAA`, `${CRC}:AAAA\r`, `${CRC}:${'A'.repeat(9_000)}\r\n`])
      assert.equal(ask(text), 'IncompleteBody', JSON.stringify(text.slice(0, 40)))
    const none = { hasTrailer: false, trailerNames: [] }
    assert.equal(
      codeOf(() => decode(`0\r\n${CRC}:A\r\n\r\n`, 0, none)),
      'MalformedTrailerError',
    )
  })
})

const NOW = Date.UTC(2026, 0, 1)
const SECRET = { accessKey: 'KEY', secretKey: 'secret-key' }

/** A signed body in chunks of these lengths, and what its head says of it. */
function signedBody(lengths: readonly number[]): { bytes: Buffer; payload: ChunkedPayload; data: Buffer } {
  const signer = new SignerV4(SECRET)
  const seed = '0'.repeat(64)
  const chain = signer.chunks(seed, NOW)
  const data = Buffer.alloc(
    lengths.reduce((sum, each) => sum + each, 0),
    'some data of some length ',
  )
  const parts: Buffer[] = []
  let at = 0
  for (const length of [...lengths, 0]) {
    const part = data.subarray(at, at + length)
    at += length
    parts.push(
      Buffer.from(`${length.toString(16)};chunk-signature=${chain.chunk(part)}\r\n`),
      part,
      Buffer.from('\r\n'),
    )
  }
  const key = signingKey()
  const scope = signer.scope('20260101T000000Z')
  const payload: ChunkedPayload = {
    kind: 'chunked',
    decodedBytes: data.length,
    chain: { key, amzDate: '20260101T000000Z', scope, seed, accessKey: 'KEY' },
    hasTrailer: false,
    trailerNames: [],
  }
  return { bytes: Buffer.concat(parts), payload, data }
}

function signingKey(): HmacKey {
  let key = Buffer.from('AWS4secret-key')
  for (const part of ['20260101', 'us-east-1', 's3', 'aws4_request']) {
    key = createHmac('sha256', key).update(part).digest()
  }
  return new HmacKey(key)
}

describe('signed chunks', () => {
  test('arrive in any pieces', async () => {
    const { bytes, payload, data } = signedBody([8_192, 10_000, 5])
    for (const pieceBytes of [1, 2, 7, 64, 4_096, 65_536]) {
      const pieces: Buffer[] = []
      for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes))
      const found: Buffer[] = []
      const decoder = new ChunkDecoder(payload)
      for await (const piece of decodeArriving(iterate(pieces), decoder)) found.push(piece)
      assert.deepEqual(Buffer.concat(found), data, `pieces of ${pieceBytes}`)
    }
  })

  test('are windows on what arrived, not copies', () => {
    const { bytes, payload } = signedBody([20_000])
    assert.equal(decodeChunked(bytes, payload).data.buffer, bytes.buffer)
  })

  test('no byte of them can be another', () => {
    const { bytes, payload } = signedBody([8_192, 20])
    for (let at = 0; at < bytes.length; at += at > 100 && at < 8_200 ? 97 : 1) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      const code = codeOf(() => decodeChunked(changed, payload))
      // The line break behind the last chunk is all that nothing depends on.
      if (at < bytes.length - 2) assert.notEqual(code, 'taken', `byte ${at}`)
    }
  })

  test('that are small must be the last', () => {
    const { bytes, payload } = signedBody([8_191, 20])
    assert.throws(() => decodeChunked(bytes, payload), {
      code: 'InvalidChunkSizeError',
      status: 403,
      extra: { Chunk: '2', BadChunkSize: '8191' },
    })
    const last = signedBody([8_192, 20])
    assert.equal(decodeChunked(last.bytes, last.payload).data.length, 8_212)
  })

  test('a line that goes on behind its signature is no line of a chunk', () => {
    const { bytes, payload } = signedBody([20])
    const lineEnd = bytes.indexOf('\r\n')
    const joined = Buffer.concat([bytes.subarray(0, lineEnd), bytes.subarray(lineEnd + 2)])
    assert.throws(() => decodeChunked(joined, payload), { code: 'IncompleteBody' })
  })

  test('wrong ones are told with what should have been signed', () => {
    const { bytes, payload } = signedBody([20])
    bytes[30]! ^= 1
    assert.throws(
      () => decodeChunked(bytes, payload),
      (error: unknown) => {
        assert(error instanceof S3Error)
        assert.equal(error.code, 'SignatureDoesNotMatch')
        assert.match(error.extra!.StringToSign!, /^AWS4-HMAC-SHA256-PAYLOAD\n20260101T000000Z\n/)
        return true
      },
    )
  })
})

async function* iterate(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces
}
