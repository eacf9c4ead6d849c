/** What holds for every request, whatever it asks: errors, ids, early refusals, hosts, counters, the log. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, test } from 'node:test'
import type { Log, LogFields } from '../../src/base/log.ts'
import { silentLog } from '../../src/base/log.ts'
import { ALICE, BOB, element, errorOf, fill, type S3Client, type S3Kit, startS3 } from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
const lines: LogFields[] = []
const log: Log = { ...silentLog, debug: (fields) => void lines.push(fields), with: () => log }
before(async () => {
  kit = await startS3({ domains: ['s3.test'], log, logsRequests: true })
  alice = kit.as(ALICE)
  await alice.put('/bucket')
})
after(() => kit.close())

/** Sends bytes as they are, and resolves with all that comes back until the connection ends or `until` is there. */
function raw(bytes: string, until = '\r\n\r\n'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(kit.port, '127.0.0.1')
    let received = ''
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no end: ${received}`)))
    socket.on('data', (piece) => {
      received += piece.toString('latin1')
      if (received.includes(until)) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
    socket.write(bytes, 'latin1')
  })
}

test('a HEAD has no body, not even an error', async () => {
  const reply = await alice.head('/no-such-bucket')
  assert.equal(reply.status, 404)
  assert.equal(reply.text, '')
  assert.match(reply.headers['x-amz-request-id'] as string, /^[0-9A-F]{16}$/)
})

test('every reply has ids of its own, a date and a server', async () => {
  const replies = await Promise.all([alice.get('/bucket'), alice.get('/bucket'), alice.get('/none')])
  const ids = new Set(replies.map(({ headers }) => headers['x-amz-request-id']))
  assert.equal(ids.size, 3)
  for (const { headers } of replies) {
    assert.equal(headers.server, 'Cairn/0.0.0')
    assert.ok(Number.isFinite(Date.parse(headers.date!)))
    assert.equal(headers['x-amz-id-2'], replies[0]!.headers['x-amz-id-2'])
  }
})

test('load balancers ask without credentials whether the door lives, but buckets come first', async () => {
  for (const path of [
    '/healthz',
    '/minio/health/live',
    '/minio/health/ready',
    '/minio/health/cluster/read',
  ]) {
    for (const method of ['GET', 'HEAD']) {
      const reply = await kit.as().send(method, { path })
      assert.deepEqual([reply.status, reply.text], [200, ''], path)
    }
  }
  assert.equal(errorOf(await kit.as().put('/minio/health/live')), '404 NoSuchBucket')
  assert.equal(errorOf(await kit.as().get('/minio/health/lively')), '404 NoSuchBucket')
  await alice.put('/minio')
  assert.equal(errorOf(await kit.as().get('/minio/health/live')), '403 AccessDenied')
  await alice.put('/minio/health/live', 'an object')
  assert.equal((await alice.get('/minio/health/live')).text, 'an object')
})

test('errors of requests that are hardly ones', async () => {
  const uri = await kit.as().send('GET', { path: '/', target: '/bucket/%zz' })
  assert.equal(errorOf(uri), '400 InvalidURI')
  assert.equal(element(uri.text, 'Resource'), '/bucket/%zz')
  assert.match(
    await raw('GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n', '</Error>'),
    /^HTTP\/1.1 400 .*<Code>BadRequest</s,
  )
  const big = `GET / HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`
  assert.match(await raw(big, '</Error>'), /^HTTP\/1.1 400 .*<Code>RequestHeaderSectionTooLarge</s)
  const method = await alice.send('PATCH', { path: '/bucket' })
  assert.equal(errorOf(method), '405 MethodNotAllowed')
  assert.equal(method.headers.allow, 'PUT, HEAD, DELETE, GET, POST')
  assert.equal(element(method.text, 'Method'), 'PATCH')
  assert.equal(element(method.text, 'ResourceType'), 'BUCKET')
})

test('headers that mean nothing are taken for none', async () => {
  assert.equal((await alice.put('/bucket/expected', 'x', { headers: { Expect: '200' } })).status, 200)
  assert.equal(
    errorOf(await kit.as().send('GET', { path: '/bucket', headers: { Authorization: '' } })),
    '403 AccessDenied',
  )
})

test('who may not is told before a body is sent', async () => {
  const head =
    'PUT /bucket/key HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n'
  const reply = await raw(head, '</Error>')
  assert.match(reply, /^HTTP\/1.1 403 /)
  assert.match(reply, /<Code>AccessDenied<\/Code>/)
})

test('a body that is refused is drained, and the connection goes on', async () => {
  const body = 'x'.repeat(300_000)
  const put = `PUT /bucket/key HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const both = await raw(
    `${put}GET /none-such HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    'NoSuchBucket',
  )
  assert.match(both, /403 Forbidden.*404 Not Found/s)
})

test('a document that is cut off changes nothing', async () => {
  const status = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await alice.put('/public-settings', '', { headers: { 'x-amz-acl': 'private' } })
  const policy = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: '*',
        Action: 's3:PutBucketVersioning',
        Resource: 'arn:aws:s3:::public-settings',
      },
    ],
  }
  await alice.send('PUT', { path: '/public-settings', query: { policy: '' }, body: JSON.stringify(policy) })
  for (const length of [status.length + 1, 200_000]) {
    const reply = await new Promise<string>((resolve, reject) => {
      const socket = net.connect(kit.port, '127.0.0.1')
      let received = ''
      socket.on('data', (piece) => (received += piece))
      socket.on('error', reject)
      socket.on('close', () => resolve(received))
      socket.end(
        `PUT /public-settings?versioning HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${status}`,
      )
    })
    assert.doesNotMatch(reply, /^HTTP\/1.1 2/)
  }
  const { text } = await alice.get('/public-settings', { versioning: '' })
  assert.equal(element(text, 'Status'), undefined)
})

test('documents have a size', async () => {
  const xml = `<VersioningConfiguration><Status>${' '.repeat(1024 * 1024)}Enabled</Status></VersioningConfiguration>`
  assert.equal(errorOf(await alice.putXml('/bucket', 'versioning', xml)), '400 MaxMessageLengthExceeded')
  assert.equal(kit.budget.usedBytes, 0)
})

test('buckets by host', async () => {
  await alice.put('/hosted')
  await fill(kit, 'hosted', ['k'])
  const reply = await alice.send('GET', {
    path: '/',
    host: `hosted.s3.test:${kit.port}`,
    query: { 'list-type': '2' },
  })
  assert.equal(element(reply.text, 'Name'), 'hosted')
  const missing = await alice.send('GET', { path: '/', host: 'nothing.s3.test' })
  assert.equal(errorOf(missing), '404 NoSuchBucket')
  assert.equal(element(missing.text, 'Resource'), '/nothing/')
  const byPath = await alice.send('GET', { path: '/hosted', host: 's3.test' })
  assert.equal(element(byPath.text, 'Name'), 'hosted')
})

test('the owner that a client expects', async () => {
  const head = (owner: string) => alice.head('/bucket', { 'x-amz-expected-bucket-owner': owner })
  assert.equal((await head('alice')).status, 200)
  assert.equal((await head('bob')).status, 403)
})

test('who may not list does not learn which keys there are', async () => {
  await fill(kit, 'bucket', ['here'])
  const policy = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: '*',
        Action: 's3:GetObjectTagging',
        Resource: 'arn:aws:s3:::bucket/*',
      },
    ],
  }
  await alice.send('PUT', { path: '/bucket', query: { policy: '' }, body: JSON.stringify(policy) })
  const ask = (client: S3Client, key: string) => client.get(`/bucket/${key}`, { tagging: '' })
  assert.equal((await ask(kit.as(BOB), 'here')).status, 200)
  assert.equal(errorOf(await ask(kit.as(BOB), 'gone')), '403 AccessDenied')
  const missing = await ask(alice, 'gone')
  assert.equal(errorOf(missing), '404 NoSuchKey')
  assert.equal(element(missing.text, 'Key'), 'gone')
})

test('a key that is deleted in a bucket with versions says so', async () => {
  await alice.put('/marked')
  await alice.putXml(
    '/marked',
    'versioning',
    '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>',
  )
  const bucket = await fill(kit, 'marked', ['k'])
  const { versionId } = await kit.objects.delete({ bucket, key: 'k' })
  const latest = await alice.get('/marked/k', { tagging: '' })
  assert.equal(errorOf(latest), '404 NoSuchKey')
  assert.equal(latest.headers['x-amz-delete-marker'], 'true')
  const named = await alice.get('/marked/k', { tagging: '', versionId: versionId! })
  assert.equal(errorOf(named), '405 MethodNotAllowed')
  assert.equal(named.headers.allow, 'DELETE')
  assert.equal(named.headers['x-amz-version-id'], versionId)
  const asked = { attributes: '', versionId: versionId! }
  const attributes = await alice.get('/marked/k', asked, { 'x-amz-object-attributes': 'ETag' })
  assert.equal(errorOf(attributes), '404 NoSuchKey')
})

test('requests are counted by action, and logged without their query', async () => {
  const before = kit.counters.totals().get('GetBucketLocation')?.requests ?? 0
  lines.length = 0
  await alice.get('/bucket', { location: '' })
  await kit.as().get('/bucket', { location: '' })
  const counted = kit.counters.totals().get('GetBucketLocation')!
  assert.equal(counted.requests, before + 2)
  assert.equal(counted.clientErrors, 1)
  assert.ok(counted.bytesSent > 0)
  const first = lines[0]!
  assert.equal(first.action, 'GetBucketLocation')
  assert.equal(first.path, '/bucket')
  assert.equal(first.status, 200)
  assert.ok(!JSON.stringify(lines).includes('Signature'))
})
