/** CopyObject: where it copies from, what goes along, and what it refuses. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { parseTtl } from '../../src/base/ttl.ts'
import { ALICE, BOB, element, errorOf, type S3Kit, startS3 } from '../s3/s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/from')
  await kit.client.put('/dest')
  const headers = {
    'x-amz-meta-a': '1',
    'Content-Type': 'text/x',
    'x-amz-tagging': 't=1',
    'x-amz-acl': 'public-read',
  }
  await kit.client.put('/from/a b/ü?%', 'bytes', { headers })
})
after(() => kit.close())

const SOURCE = '/from/a%20b/%C3%BC%3F%25'
const copy = (path: string, headers: Record<string, string>) => kit.client.put(path, '', { headers })
const from = (source: string, more: Record<string, string> = {}) => ({ 'x-amz-copy-source': source, ...more })

test('bytes, metadata and tags go along; ACL and class do not', async () => {
  for (const source of [SOURCE, SOURCE.slice(1)]) {
    const reply = await copy('/dest/copy', from(source))
    assert.equal(reply.status, 200, reply.text)
    assert.equal(element(reply.text, 'ETag'), '&quot;4b3a6218bb3e3a7303e8a171a60fcf92&quot;')
    assert.ok(element(reply.text, 'LastModified'))
    const got = await kit.client.get('/dest/copy')
    assert.equal(got.text, 'bytes')
    assert.equal(got.headers['x-amz-meta-a'], '1')
    assert.equal(got.headers['content-type'], 'text/x')
    assert.equal(got.headers['x-amz-tagging-count'], '1')
  }
  assert.equal(errorOf(await kit.as().get('/dest/copy')), '403 AccessDenied')
})

test('directives', async () => {
  const replaced = from(SOURCE, {
    'x-amz-metadata-directive': 'REPLACE',
    'x-amz-tagging-directive': 'REPLACE',
    'x-amz-meta-b': '2',
    'x-amz-storage-class': 'STANDARD_IA',
  })
  await copy('/dest/replaced', replaced)
  const { headers } = await kit.client.head('/dest/replaced')
  assert.equal(headers['x-amz-meta-a'], undefined)
  assert.equal(headers['x-amz-meta-b'], '2')
  assert.equal(headers['content-type'], 'binary/octet-stream')
  assert.equal(headers['x-amz-tagging-count'], undefined)
  assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA')
  for (const directive of ['metadata', 'tagging'])
    assert.equal(
      errorOf(await copy('/dest/x', from(SOURCE, { [`x-amz-${directive}-directive`]: 'MOVE' }))),
      '400 InvalidArgument',
    )
})

test('onto itself only with a change', async () => {
  await kit.client.put('/dest/self', 'x', { headers: { 'x-amz-meta-a': '1' } })
  const refused = await copy('/dest/self', from('/dest/self'))
  assert.equal(errorOf(refused), '400 InvalidRequest')
  assert.match(refused.text, /This copy request is illegal because it is trying to copy an object to itself/)
  const change = { 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-b': '2' }
  assert.equal((await copy('/dest/self', from('/dest/self', change))).status, 200)
  const got = await kit.client.get('/dest/self')
  assert.equal(got.text, 'x')
  assert.deepEqual([got.headers['x-amz-meta-a'], got.headers['x-amz-meta-b']], [undefined, '2'])
  assert.equal(
    (await copy('/dest/self', from('/dest/self', { 'x-amz-storage-class': 'GLACIER_IR' }))).status,
    200,
  )
  assert.equal((await kit.client.head('/dest/self')).headers['x-amz-meta-b'], '2')
})

test('sources that are none', async () => {
  const table: [string, string][] = [
    ['/from/none', '404 NoSuchKey'],
    ['/no-such-bucket/k', '404 NoSuchBucket'],
    ['from', '400 InvalidArgument'],
    ['/from/', '400 InvalidArgument'],
    ['//k', '400 InvalidArgument'],
    ['/from/%zz', '400 InvalidArgument'],
    [`${SOURCE}?versionId=x`, '400 InvalidArgument'],
    [`${SOURCE}?versionId=L4kqtJlcpXroDTDmpUMLUo3oUHIFjpLq`, '404 NoSuchVersion'],
    ['/from/a%20b/../%C3%BC', '404 NoSuchKey'],
  ]
  for (const [source, error] of table)
    assert.equal(errorOf(await copy('/dest/x', from(source))), error, source)
  const tooMuch = { ...from(SOURCE), 'x-amz-meta-a': 'x'.repeat(2_048) }
  assert.equal(errorOf(await copy('/dest/x', tooMuch)), '400 MetadataTooLarge')
})

test('conditions on the source', async () => {
  const { etag } = (await kit.client.head('/from/a b/ü?%')).headers
  const past = 'Mon, 01 Jan 2001 00:00:00 GMT'
  const table: [Record<string, string>, number][] = [
    [{ 'x-amz-copy-source-if-match': etag! }, 200],
    [{ 'x-amz-copy-source-if-match': 'x' }, 412],
    [{ 'x-amz-copy-source-if-none-match': etag! }, 412],
    [{ 'x-amz-copy-source-if-none-match': 'x' }, 200],
    [{ 'x-amz-copy-source-if-modified-since': past }, 200],
    [{ 'x-amz-copy-source-if-unmodified-since': past }, 412],
    [{ 'x-amz-copy-source-if-match': etag!, 'x-amz-copy-source-if-unmodified-since': past }, 200],
  ]
  for (const [headers, status] of table)
    assert.equal((await copy('/dest/if', from(SOURCE, headers))).status, status, JSON.stringify(headers))
  assert.equal(
    errorOf(await copy('/dest/if', from(SOURCE, { 'If-None-Match': '*' }))),
    '412 PreconditionFailed',
  )
})

test('who may not read the source does not copy it', async () => {
  const alice = kit.as(ALICE)
  await alice.put('/alices')
  await alice.put('/alices/secret', 'x')
  const bob = kit.as(BOB)
  await bob.put('/bobs')
  const theft = await bob.put('/bobs/x', '', { headers: from('/alices/secret') })
  assert.equal(errorOf(theft), '403 AccessDenied')
  assert.equal(errorOf(await bob.put('/bobs/x', '', { headers: from('/alices/none') })), '403 AccessDenied')
  const upload = await bob.send('POST', { path: '/bobs/x', query: { uploads: '' } })
  const query = { partNumber: '1', uploadId: element(upload.text, 'UploadId')! }
  assert.equal(
    errorOf(await bob.put('/bobs/x', '', { query, headers: from('/alices/secret') })),
    '403 AccessDenied',
  )
  await alice.put('/alices/open', 'x', { headers: { 'x-amz-acl': 'public-read' } })
  assert.equal((await bob.put('/bobs/x', '', { headers: from('/alices/open') })).status, 200)
})

test('versions of the source', async () => {
  const { client } = kit
  await client.put('/kept')
  const xml = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await client.put('/kept', xml, { query: { versioning: '' } })
  const one = (await client.put('/kept/k', '1')).headers['x-amz-version-id'] as string
  await client.put('/kept/k', '2')
  const back = await copy('/kept/k', from(`/kept/k?versionId=${one}`))
  assert.equal(back.status, 200, back.text)
  assert.equal(back.headers['x-amz-copy-source-version-id'], one)
  assert.notEqual(back.headers['x-amz-version-id'], one)
  assert.equal((await client.get('/kept/k')).text, '1')
  const marker = (await client.delete('/kept/k')).headers['x-amz-version-id'] as string
  assert.equal(errorOf(await copy('/kept/x', from('/kept/k'))), '404 NoSuchKey')
  assert.equal(errorOf(await copy('/kept/x', from(`/kept/k?versionId=${marker}`))), '400 InvalidRequest')
})

test('a copy of a file with a time to live has none, and keeps its bytes when those of the file go', async () => {
  const own = await startS3()
  try {
    await own.client.put('/bucket')
    const { writable, engine } = own.volumes
    const [short, long] = [1, 2]
    const bucket = (await own.objects.bucket('bucket'))!
    const attributes = { posix: { ttlSeconds: 3_600, createdMs: systemClock.nowMs() } }
    const whole = Buffer.from('bytes')
    const body = { sizeBytes: whole.length, whole, pieces: async function* () {} }
    writable.splice(0, 2, short)
    for (const key of ['file', 'itself'])
      await own.objects.put({ bucket, key, body, attributes, placement: { ttl: parseTtl('61m') } })
    writable.splice(0, 1, long)
    const headers = from('/bucket/file')
    assert.equal((await own.client.put('/bucket/copy', '', { headers })).status, 200)
    const replaced = from('/bucket/itself', { 'x-amz-metadata-directive': 'REPLACE' })
    assert.equal((await own.client.put('/bucket/itself', '', { headers: replaced })).status, 200)
    await engine.keeper.deleteVolume(short)
    for (const key of ['copy', 'itself']) {
      assert.equal((await own.client.get(`/bucket/${key}`)).text, 'bytes')
      assert.equal((await own.objects.find(bucket, key)).info.attributes.posix, undefined)
    }
    assert.equal((await own.client.get('/bucket/file')).status, 503)
  } finally {
    await own.close()
  }
})
