/** Bodies that break off: the client is told in S3's form where it still listens, and nothing of them is kept. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { element, elements, type S3Kit, startS3 } from '../s3/s3-kit.ts'
import { contentOf, rawExchange, signedHead, statusOf } from './faults-kit.ts'

/** The fast lane's, one beyond it, one of several blobs. */
const SIZES = [1, 1_000, 60_000, 100_000, 9_000_000]
const PART = 5 * 1024 * 1024

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/cut')
  await kit.client.put('/forms')
})
after(() => kit.close())

function assertIncomplete(reply: string, what: string): void {
  assert.equal(statusOf(reply), 400, `${what}: ${reply.slice(0, 400)}`)
  assert.match(reply, /\r\nContent-Type: application\/xml\r\n/i, what)
  assert.equal(element(reply, 'Code'), 'IncompleteBody', what)
  assert.ok(element(reply, 'RequestId'), what)
  assert.equal(reply.split('HTTP/1.1 ').length, 2, `${what}: one reply`)
}

/** Handlers of connections that are gone may still be at work for a moment. */
async function assertNothingKept(): Promise<void> {
  for (let i = 0; i < 1_000 && kit.budget.usedBytes > 0; i++) await systemClock.sleep(20)
  assert.equal(kit.budget.usedBytes, 0)
  assert.deepEqual(await contentOf(kit, 'cut'), { keys: [], uploads: [] })
}

for (const payload of ['hash', 'UNSIGNED-PAYLOAD'] as const) {
  test(`PutObject with less than was announced, ${payload}`, async () => {
    for (const size of SIZES) {
      const body = Buffer.alloc(size, 'b')
      const ask = { method: 'PUT', path: `/cut/short-${size}`, lengthBytes: size, body }
      const head = signedHead(kit.port, payload === 'hash' ? ask : { ...ask, payload })
      for (const sent of new Set([0, size >> 1, size - 1])) {
        const bytes = Buffer.concat([Buffer.from(head), body.subarray(0, sent)])
        assertIncomplete(await rawExchange(kit.port, bytes), `${sent} of ${size} bytes`)
        await rawExchange(kit.port, bytes, 'reset')
      }
    }
    await assertNothingKept()
  })
}

test('aws-chunked bodies cut at every place of their frame', async () => {
  const data = 'd'.repeat(70)
  const crc = 'AAAAAA=='
  const wire = `46\r\n${data}\r\n0\r\nx-amz-checksum-crc32:${crc}\r\n\r\n`
  const headers = [
    ['x-amz-decoded-content-length', '70'],
    ['x-amz-trailer', 'x-amz-checksum-crc32'],
    ['Content-Encoding', 'aws-chunked'],
  ] as const
  const common = {
    method: 'PUT',
    path: '/cut/chunked',
    headers,
    payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  }
  for (let sent = 0; sent < wire.length; sent++) {
    const cut = wire.slice(0, sent)
    // The connection ends in the frame; or Content-Length does, and the frame is all that is not whole.
    const ended = signedHead(kit.port, { ...common, lengthBytes: wire.length }) + cut
    assertIncomplete(await rawExchange(kit.port, ended), `frame cut at ${sent}`)
    const framed = await rawExchange(kit.port, signedHead(kit.port, { ...common, lengthBytes: sent }) + cut)
    assert.equal(statusOf(framed), 400, `framed ${sent}: ${framed}`)
    assert.match(element(framed, 'Code')!, /^(IncompleteBody|MalformedTrailerError|BadDigest)$/)
  }
  await assertNothingKept()
})

test('parts that break off are no parts', async () => {
  const begun = await kit.client.send('POST', { path: '/cut/parts', query: { uploads: '' } })
  const uploadId = element(begun.text, 'UploadId')!
  for (const size of [1_000, PART]) {
    const body = Buffer.alloc(size, 'p')
    const query = [
      ['partNumber', '1'],
      ['uploadId', uploadId],
    ] as const
    const head = signedHead(kit.port, { method: 'PUT', path: '/cut/parts', query, body, lengthBytes: size })
    const bytes = Buffer.concat([Buffer.from(head), body.subarray(0, size - 1)])
    assertIncomplete(await rawExchange(kit.port, bytes), `part of ${size}`)
  }
  const listed = await kit.client.get('/cut/parts', { uploadId })
  assert.deepEqual(elements(listed.text, 'PartNumber'), [])
  assert.equal((await kit.client.delete('/cut/parts', { uploadId })).status, 204)
  await assertNothingKept()
})

test('documents that break off change nothing', async () => {
  await kit.client.put('/forms/kept', 'kept')
  const xml = '<Delete><Object><Key>kept</Key></Object></Delete>'
  const headers = [['Content-MD5', createHash('md5').update(xml).digest('base64')]] as const
  const ask = { method: 'POST', path: '/forms', query: [['delete', '']] as const, headers }
  const head = signedHead(kit.port, { ...ask, body: Buffer.from(xml), lengthBytes: xml.length })
  assertIncomplete(await rawExchange(kit.port, head + xml.slice(0, -1)), 'delete')
  assert.equal((await kit.client.get('/forms/kept')).text, 'kept')
})

test('a cut body is not a way past the signature', async () => {
  const head = 'PUT /cut/anonymous HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf'
  const reply = await rawExchange(kit.port, head)
  assert.equal(statusOf(reply), 403)
  assert.equal(element(reply, 'Code'), 'AccessDenied')
  await assertNothingKept()
})

test('an answer that came before its cut body is the only one', async () => {
  const head = 'PUT /cut/anonymous HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhalf'
  const reply = await rawExchange(kit.port, head)
  assert.equal(reply.split('HTTP/1.1 ').length, 2, reply)
  await assertNothingKept()
})

test('a POST that is no form', async () => {
  for (const type of [undefined, 'text/plain', 'application/x-www-form-urlencoded']) {
    const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type }
    const reply = await kit.client.send('POST', { path: '/forms', body: 'key=a', headers })
    assert.equal(reply.status, 412)
    assert.equal(element(reply.text, 'Code'), 'PreconditionFailed')
    assert.match(reply.text, /<Condition>Bucket POST must be of the enclosure-type multipart\/form-data</)
  }
})
