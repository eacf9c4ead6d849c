/**
 * Bytes on the wire that two readers could take for different requests, and refused requests before others on one connection: what
 * stands in a body is never a request, and nothing of what is refused is stored.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { element, type S3Kit, startS3 } from '../s3/s3-kit.ts'
import { contentOf, rawExchange, signedHead, statusOf } from './faults-kit.ts'

const HIDDEN = 'DELETE /wire/kept HTTP/1.1\r\nHost: a\r\n\r\n'
const BODY = 'hello'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/wire')
  await kit.client.put('/wire/kept', 'kept')
  // Whoever is taken to ask for it may delete what is kept.
  const allowed = {
    Effect: 'Allow',
    Principal: '*',
    Action: 's3:DeleteObject',
    Resource: 'arn:aws:s3:::wire/*',
  }
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [allowed] })
  assert.equal((await kit.client.put('/wire', policy, { query: { policy: '' } })).status, 204)
})
after(() => kit.close())

const LENGTH = `Content-Length: ${BODY.length}\r\n`
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const IN_CHUNKS = `${BODY.length}\r\n${BODY}\r\n0\r\n\r\n`

/** A put whose head says the length of its body as the test wants. */
function put(lines: string, body: string, path = '/wire/refused'): string {
  const ask = { method: 'PUT', path, body: Buffer.from(BODY), lengthBytes: BODY.length }
  const head = signedHead(kit.port, ask)
  assert.ok(head.includes(LENGTH))
  return head.replace(LENGTH, lines) + body
}

const repliesOf = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 ([0-9]{3}) /g)].map(([, status]) => Number(status))

async function assertNothingChanged(): Promise<void> {
  assert.deepEqual(await contentOf(kit, 'wire'), { keys: ['kept'], uploads: [] })
  assert.equal(kit.budget.usedBytes, 0)
}

test('bodies whose end is not plain', async () => {
  const shapes: Record<string, string> = {
    'a length and chunks': put(LENGTH + CHUNKED, IN_CHUNKS),
    'chunks and a length': put(CHUNKED + LENGTH, IN_CHUNKS),
    'a length, and a coding that is none': put(`${LENGTH}Transfer-Encoding: xchunked\r\n`, BODY),
    'a coding that is none': put('Transfer-Encoding: xchunked\r\n', IN_CHUNKS),
    'chunks that are not the last coding': put('Transfer-Encoding: chunked, identity\r\n', IN_CHUNKS),
    'chunks twice': put(CHUNKED + CHUNKED, IN_CHUNKS),
    'a length twice': put(LENGTH + LENGTH, BODY),
    'two lengths': put(`${LENGTH}Content-Length: 6\r\n`, BODY),
    'a list of lengths': put('Content-Length: 5, 5\r\n', BODY),
    'a length with a sign': put('Content-Length: +5\r\n', BODY),
    'a negative length': put('Content-Length: -5\r\n', BODY),
    'a length in hex': put('Content-Length: 0x5\r\n', BODY),
    'no digits': put('Content-Length:\r\n', BODY),
    'too many digits': put('Content-Length: 99999999999999999999999\r\n', BODY),
    'a space before the colon': put('Content-Length : 5\r\n', BODY),
    'a folded header': put(`X-Folded: a\r\n b\r\n${LENGTH}`, BODY),
    'line feeds alone': put(LENGTH, '').replaceAll('\r\n', '\n') + BODY,
    'a zero byte in a header': put(`X-A: a\0b\r\n${LENGTH}`, BODY),
    'a carriage return in a header': put(`X-A: a\rb\r\n${LENGTH}`, BODY),
    'another version': put(LENGTH, BODY).replace('HTTP/1.1', 'HTTP/2.0'),
    'two hosts': put(`Host: b\r\n${LENGTH}`, BODY),
    'no host': put(LENGTH, BODY).replace(/Host: .*\r\n/, ''),
    'a chunk that is longer than it says': put(CHUNKED, `5\r\n${BODY}${BODY}\r\n0\r\n\r\n`),
    'a chunk of no number': put(CHUNKED, `g\r\n${BODY}\r\n0\r\n\r\n`),
    'a chunk ended by a line feed': put(CHUNKED, `5\n${BODY}\n0\n\n`),
  }
  for (const [name, bytes] of Object.entries(shapes)) {
    const reply = await rawExchange(kit.port, bytes + HIDDEN, 'wait')
    assert.deepEqual(repliesOf(reply), [400], `${name}: ${reply}`)
    assert.equal(element(reply, 'Code'), 'BadRequest', name)
    assert.match(reply, /\r\nConnection: close\r\n/i, name)
  }
  await assertNothingChanged()
})

test('a refused body is read to its end, and no further', async () => {
  const next = `GET /wire HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
  for (const size of [100, 70_000, 3_000_000]) {
    const body = HIDDEN.repeat(Math.ceil(size / HIDDEN.length)).slice(0, size)
    const ask = { method: 'PUT', path: '/wire/refused', lengthBytes: size, payload: 'UNSIGNED-PAYLOAD' }
    const headOf = (more: Partial<typeof ask> & { headers?: [string, string][] }) =>
      signedHead(kit.port, { ...ask, ...more })
    const zeros = Buffer.alloc(16).toString('base64')
    const refused: [head: string, status: number][] = [
      [headOf({ path: '/no-such-bucket/key' }), 404],
      [headOf({}).replace('Signature=', 'Signature=0'), 403],
      [headOf({ headers: [['Content-MD5', zeros]] }), 400],
      [headOf({ headers: [['Content-MD5', 'none']] }), 400],
      [headOf({ payload: '0'.repeat(64) }), 400],
      [headOf({ headers: [['x-amz-copy-source', '/wire/none']] }), 404],
    ]
    for (const [head, status] of refused) {
      const reply = await rawExchange(kit.port, head + body + next, 'wait')
      assert.deepEqual(repliesOf(reply), [status, 403], `${size}: ${head}${reply}`)
      const chunked = head.replace(`Content-Length: ${size}\r\n`, CHUNKED)
      const chunks = `${size.toString(16)}\r\n${body}\r\n0\r\n\r\n`
      const other = await rawExchange(kit.port, chunked + chunks + next, 'wait')
      assert.equal(repliesOf(other).length, 2, `in chunks, ${size}: ${head}${other}`)
      assert.equal(repliesOf(other)[1], 403)
    }
  }
  await assertNothingChanged()
})

test('who waits to be told to send a body is told so only when the body is wanted', async () => {
  const expect = (head: string) => head.replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n')
  for (const size of [5, 1_000_000]) {
    const body = Buffer.alloc(size, HIDDEN)
    const ask = { method: 'PUT', path: '/wire/expected', lengthBytes: size, body }
    const wrong = expect(signedHead(kit.port, ask)).replace('Signature=', 'Signature=0')
    const reply = await rawExchange(kit.port, wrong, 'wait')
    assert.deepEqual(repliesOf(reply), [403], reply)
    assert.match(reply, /\r\nConnection: close\r\n/i)
    const missing = expect(signedHead(kit.port, { ...ask, path: '/no-such-bucket/key' }))
    assert.deepEqual(repliesOf(await rawExchange(kit.port, missing, 'wait')), [404])
    await assertNothingChanged()
    const right = expect(signedHead(kit.port, ask)).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')
    const bytes = Buffer.concat([Buffer.from(right), body])
    assert.equal(repliesOf(await rawExchange(kit.port, bytes, 'wait')).at(-1), 200)
    assert.ok((await kit.client.get('/wire/expected')).body.equals(body))
    await kit.client.delete('/wire/expected')
  }
})

test('aws-chunked bodies of another length than they say', async () => {
  const data = 'd'.repeat(70)
  const wire = `46\r\n${data}\r\n0\r\nx-amz-checksum-crc32:A0x7+A==\r\n\r\n`
  const send = (decoded: string | undefined) => {
    const headers: [string, string][] = [['x-amz-trailer', 'x-amz-checksum-crc32']]
    if (decoded !== undefined) headers.push(['x-amz-decoded-content-length', decoded])
    const payload = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
    const ask = { method: 'PUT', path: '/wire/chunked', lengthBytes: wire.length, payload, headers }
    return rawExchange(kit.port, signedHead(kit.port, ask) + wire)
  }
  const wrong: [decoded: string | undefined, error: string][] = [
    ['69', '400 IncompleteBody'],
    ['71', '400 IncompleteBody'],
    ['0', '400 IncompleteBody'],
    [undefined, '411 MissingContentLength'],
    ['x', '411 MissingContentLength'],
    ['-70', '411 MissingContentLength'],
    ['7e1', '411 MissingContentLength'],
  ]
  for (const [decoded, error] of wrong) {
    const reply = await send(decoded)
    assert.equal(`${statusOf(reply)} ${element(reply, 'Code')}`, error, String(decoded))
  }
  await assertNothingChanged()
  assert.equal(statusOf(await send('70')), 200)
  const md5 = createHash('md5').update(data).digest('hex')
  assert.equal((await kit.client.head('/wire/chunked')).headers.etag, `"${md5}"`)
})

test('heads and bodies that stop coming', async () => {
  const settings = { headerTimeoutMs: 300, slowGraceMs: 300, sweepPeriodMs: 50 }
  const slow = await startS3({ settings })
  try {
    await slow.client.put('/wire')
    const stopped = [`GET /wire HTTP/1.1\r\nHost: a\r\n`]
    const ask = { method: 'PUT', path: '/wire/stopped', payload: 'UNSIGNED-PAYLOAD' }
    for (const lengthBytes of [1_000, 10_000_000])
      stopped.push(`${signedHead(slow.port, { ...ask, lengthBytes })}begun`)
    stopped.push(signedHead(slow.port, { ...ask, lengthBytes: 9 }).replace('Content-Length: 9\r\n', CHUNKED))
    for (const bytes of stopped) {
      const reply = await rawExchange(slow.port, bytes, 'wait')
      assert.deepEqual(repliesOf(reply), [400], `${bytes}${reply}`)
      assert.equal(element(reply, 'Code'), 'RequestTimeout')
      assert.match(reply, /<Message>Your socket connection to the server was not read from or written to/)
    }
    assert.deepEqual(await contentOf(slow, 'wire'), { keys: [], uploads: [] })
    for (let i = 0; i < 100 && slow.budget.usedBytes > 0; i++) await systemClock.sleep(20)
    assert.equal(slow.budget.usedBytes, 0)
  } finally {
    await slow.close()
  }
})
