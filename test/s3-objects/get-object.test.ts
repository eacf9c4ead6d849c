/** GetObject and HeadObject: ranges, parts, conditions, overrides, versions. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { element, errorOf, type S3Kit, startS3 } from '../s3/s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/gets')
  await kit.client.put('/gets/k', 'testcontent')
})
after(() => kit.close())

const get = (headers: Record<string, string>, query: Record<string, string> = {}) =>
  kit.client.get('/gets/k', query, headers)

test('ranges', async () => {
  const table: [string, number, string, string | undefined][] = [
    ['bytes=4-7', 206, 'cont', 'bytes 4-7/11'],
    ['bytes=4-', 206, 'content', 'bytes 4-10/11'],
    ['bytes=-7', 206, 'content', 'bytes 4-10/11'],
    ['bytes=-100', 206, 'testcontent', 'bytes 0-10/11'],
    ['bytes=0-100', 206, 'testcontent', 'bytes 0-10/11'],
    ['bytes=10-10', 206, 't', 'bytes 10-10/11'],
    ['bytes=5-2', 200, 'testcontent', undefined],
    ['bytes=a-b', 200, 'testcontent', undefined],
    ['bytes= -7', 200, 'testcontent', undefined],
    ['bytes=0 -1', 200, 'testcontent', undefined],
    ['bytes=0-1,3-4', 200, 'testcontent', undefined],
    ['lines=0-1', 200, 'testcontent', undefined],
  ]
  for (const [Range, status, text, contentRange] of table) {
    const reply = await get({ Range })
    assert.equal(reply.status, status, Range)
    assert.equal(reply.text, text, Range)
    assert.equal(reply.headers['content-range'], contentRange, Range)
    const head = await kit.client.head('/gets/k', { Range })
    assert.equal(head.status, status)
    assert.equal(head.headers['content-length'], String(text.length))
  }
})

test('ranges outside of the object', async () => {
  await kit.client.put('/gets/empty')
  for (const [path, Range, size] of [
    ['/gets/k', 'bytes=40-50', '11'],
    ['/gets/k', 'bytes=-0', '11'],
    ['/gets/empty', 'bytes=0-0', '0'],
    ['/gets/empty', 'bytes=-0', '0'],
  ] as const) {
    const reply = await kit.client.get(path, {}, { Range })
    assert.equal(errorOf(reply), '416 InvalidRange', Range)
    assert.equal(element(reply.text, 'ActualObjectSize'), size)
    assert.equal(element(reply.text, 'RangeRequested'), Range)
    assert.equal(reply.headers['content-range'], `bytes */${size}`)
  }
})

test('the last bytes of nothing are all of it', async () => {
  const reply = await kit.client.get('/gets/empty', {}, { Range: 'bytes=-5' })
  assert.deepEqual([reply.status, reply.text], [200, ''])
})

test('If-Range', async () => {
  const { etag } = (await kit.client.head('/gets/k')).headers
  assert.equal((await get({ Range: 'bytes=0-0', 'If-Range': etag! })).status, 206)
  assert.equal((await get({ Range: 'bytes=0-0', 'If-Range': '"other"' })).status, 200)
})

test('conditions, and which of them outweighs the other', async () => {
  const { etag, 'last-modified': modified } = (await kit.client.head('/gets/k')).headers
  const before = new Date(Date.parse(modified!) - 60_000).toUTCString()
  const table: [Record<string, string>, number][] = [
    [{ 'If-Match': etag! }, 200],
    [{ 'If-Match': etag!.replaceAll('"', '') }, 200],
    [{ 'If-Match': '*' }, 200],
    [{ 'If-Match': `"a", ${etag}` }, 200],
    [{ 'If-Match': '"a"' }, 412],
    [{ 'If-None-Match': etag! }, 304],
    [{ 'If-None-Match': `W/${etag}` }, 304],
    [{ 'If-None-Match': '"a"' }, 200],
    [{ 'If-Modified-Since': modified! }, 304],
    [{ 'If-Modified-Since': before }, 200],
    [{ 'If-Modified-Since': 'nonsense' }, 200],
    [{ 'If-Unmodified-Since': modified! }, 200],
    [{ 'If-Unmodified-Since': before }, 412],
    [{ 'If-Match': etag!, 'If-Unmodified-Since': before }, 200],
    [{ 'If-None-Match': '"a"', 'If-Modified-Since': modified! }, 200],
    [{ 'If-None-Match': etag!, 'If-Modified-Since': before }, 304],
  ]
  for (const [headers, status] of table) {
    const reply = await get(headers)
    assert.equal(reply.status, status, JSON.stringify(headers))
    assert.equal((await kit.client.head('/gets/k', headers)).status, status)
    if (status !== 304) continue
    assert.equal(reply.headers.etag, etag)
    assert.equal(reply.body.length, 0)
  }
  const failed = await get({ 'If-Match': '"a"' })
  assert.equal(errorOf(failed), '412 PreconditionFailed')
  assert.equal(element(failed.text, 'Condition'), 'If-Match')
})

test('response headers of the request, for signed requests only', async () => {
  const query = {
    'response-content-type': 'text/foo',
    'response-content-disposition': 'inline',
    'response-content-encoding': 'x',
    'response-content-language': 'en',
    'response-cache-control': 'no-store',
    'response-expires': '0',
  }
  const { headers } = await get({}, query)
  for (const [name, value] of Object.entries(query))
    assert.equal(headers[name.slice('response-'.length)], value)
  const split = await get({}, { 'response-content-type': 'a\r\nX: y' })
  assert.equal(errorOf(split), '400 InvalidArgument')
  assert.equal(errorOf(await get({}, { 'response-colour': 'red' })), '400 InvalidArgument')
  await kit.client.put('/gets/open', 'x', { headers: { 'x-amz-acl': 'public-read' } })
  const anonymous = kit.as()
  assert.equal((await anonymous.get('/gets/open')).text, 'x')
  assert.equal(errorOf(await anonymous.get('/gets/open', query)), '400 InvalidRequest')
  assert.equal(errorOf(await anonymous.get('/gets/k')), '403 AccessDenied')
  assert.equal(errorOf(await anonymous.get('/gets/none')), '403 AccessDenied')
})

test('part numbers of an object that has no parts', async () => {
  const whole = await get({}, { partNumber: '1' })
  assert.equal(whole.status, 206)
  assert.equal(whole.text, 'testcontent')
  assert.equal(whole.headers['x-amz-mp-parts-count'], undefined)
  assert.equal(errorOf(await get({}, { partNumber: '2' })), '416 InvalidPartNumber')
  for (const partNumber of ['0', '-1', 'x', '10001'])
    assert.equal(errorOf(await get({}, { partNumber })), '400 InvalidArgument')
  assert.equal(errorOf(await kit.client.get('/gets/none', { partNumber: '0' })), '400 InvalidArgument')
  assert.equal(errorOf(await get({ Range: 'bytes=0-1' }, { partNumber: '1' })), '400 InvalidRequest')
})

test('a long object, whole and in ranges over its chunks', async () => {
  const bytes = Buffer.alloc(9 * 1024 * 1024)
  for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(i, i)
  await kit.client.put('/gets/long', bytes)
  assert.ok((await kit.client.get('/gets/long')).body.equals(bytes))
  for (const [start, end] of [
    [4194300, 4194310],
    [0, 5_000_000],
    [8_388_600, bytes.length],
  ] as const) {
    const { body } = await kit.client.get('/gets/long', {}, { Range: `bytes=${start}-${end - 1}` })
    assert.ok(body.equals(bytes.subarray(start, end)))
  }
})

test('versions and delete markers', async () => {
  const { client } = kit
  await client.put('/versions')
  await client.put('/versions/k', 'null')
  const xml = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await client.put('/versions', xml, { query: { versioning: '' } })
  const first = (await client.put('/versions/k', 'one')).headers['x-amz-version-id'] as string
  const marker = await client.delete('/versions/k')
  const markerId = marker.headers['x-amz-version-id'] as string
  assert.equal(marker.headers['x-amz-delete-marker'], 'true')
  const gone = await client.get('/versions/k')
  assert.equal(errorOf(gone), '404 NoSuchKey')
  assert.equal(gone.headers['x-amz-delete-marker'], 'true')
  const named = await client.get('/versions/k', { versionId: markerId })
  assert.equal(errorOf(named), '405 MethodNotAllowed')
  assert.equal(named.headers.allow, 'DELETE')
  assert.ok(named.headers['last-modified'] !== undefined)
  assert.equal((await client.get('/versions/k', { versionId: 'null' })).text, 'null')
  const got = await client.get('/versions/k', { versionId: first })
  assert.equal(got.text, 'one')
  assert.equal(got.headers['x-amz-version-id'], first)
  const malformed = await client.get('/versions/k', { versionId: 'nonsense' })
  assert.equal(errorOf(malformed), '400 InvalidArgument')
  assert.equal(element(malformed.text, 'Message'), 'Invalid version id specified')
  assert.equal(errorOf(await client.get('/gets/k', { versionId: first })), '404 NoSuchVersion')
  // As another store makes them.
  const foreign = { versionId: 'L4kqtJlcpXroDTDmpUMLUo3oUHIFjpLq' }
  assert.equal(errorOf(await client.get('/versions/k', foreign)), '404 NoSuchVersion')
  const deleted = await client.delete('/versions/k', foreign)
  assert.deepEqual([deleted.status, deleted.headers['x-amz-version-id']], [204, foreign.versionId])
  const undone = await client.delete('/versions/k', { versionId: markerId })
  assert.equal(undone.status, 204)
  assert.equal(undone.headers['x-amz-delete-marker'], 'true')
  assert.equal((await client.get('/versions/k')).text, 'one')
})
