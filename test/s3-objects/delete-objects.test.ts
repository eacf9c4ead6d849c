/** DeleteObject and DeleteObjects. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ALICE, element, elements, errorOf, type S3Client, type S3Kit, startS3 } from '../s3/s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/dels')
})
after(() => kit.close())

function post(client: S3Client, xml: string, headers: Record<string, string> = {}) {
  const md5 = createHash('md5').update(xml).digest('base64')
  const all = { 'Content-MD5': md5, ...headers }
  return client.send('POST', { path: '/dels', query: { delete: '' }, body: xml, headers: all })
}
const keysXml = (keys: readonly string[], more = '') =>
  `<Delete>${keys.map((key) => `<Object><Key>${key}</Key></Object>`).join('')}${more}</Delete>`

test('a delete of nothing is a delete', async () => {
  const reply = await kit.client.delete('/dels/none')
  assert.equal(reply.status, 204)
  assert.equal(reply.headers['x-amz-version-id'], undefined)
  assert.equal(errorOf(await kit.client.delete('/no-such-bucket/none')), '404 NoSuchBucket')
})

test('only what matches', async () => {
  const { etag } = (await kit.client.put('/dels/one', 'x')).headers
  const remove = (headers: Record<string, string>) => kit.client.delete('/dels/one', {}, headers)
  assert.equal(errorOf(await remove({ 'If-Match': '"other"' })), '412 PreconditionFailed')
  assert.equal(errorOf(await remove({ 'x-amz-if-match-size': '9' })), '412 PreconditionFailed')
  assert.equal((await remove({ 'If-Match': etag!, 'x-amz-if-match-size': '1' })).status, 204)
  assert.equal(errorOf(await kit.client.get('/dels/one')), '404 NoSuchKey')
})

test('only what matches, where versions are kept: a marker is something, nothing is nothing', async () => {
  await kit.client.put('/marked')
  const enabled = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await kit.client.putXml('/marked', 'versioning', enabled)
  const remove = (etag: string) => kit.client.delete('/marked/key', {}, { 'If-Match': etag })
  for (const etag of ['*', '"other"']) {
    const nothing = await remove(etag)
    assert.deepEqual([nothing.status, nothing.headers['x-amz-delete-marker']], [204, undefined])
  }
  const { etag } = (await kit.client.put('/marked/key', 'x')).headers
  assert.equal(errorOf(await remove('"other"')), '412 PreconditionFailed')
  assert.equal((await remove(etag!)).headers['x-amz-delete-marker'], 'true')
  assert.equal(errorOf(await remove('"other"')), '412 PreconditionFailed')
  assert.equal((await remove('*')).headers['x-amz-delete-marker'], 'true')
})

test('several keys, told and quietly', async () => {
  const keys = ['a', 'b &amp; c', 'd']
  for (const key of ['a', 'b & c', 'd']) await kit.client.put(`/dels/${key}`, 'x')
  const told = await post(kit.client, keysXml(keys))
  assert.equal(told.status, 200, told.text)
  assert.deepEqual(elements(told.text, 'Key'), keys)
  assert.equal(errorOf(await kit.client.get('/dels/b & c')), '404 NoSuchKey')
  const quiet = await post(kit.client, keysXml(['a'], '<Quiet>true</Quiet>'))
  assert.deepEqual(elements(quiet.text, 'Key'), [])
})

test('each key has its own conditions and its own error', async () => {
  await kit.client.put('/dels/e1', 'x')
  await kit.client.put('/dels/e2', 'x')
  const xml = `<Delete><Object><Key>e1</Key><ETag>other</ETag></Object><Object><Key>e2</Key><Size>1</Size></Object>
    <Object><Key>e3</Key><VersionId>nonsense</VersionId></Object></Delete>`
  const reply = await post(kit.client, xml)
  assert.equal(reply.status, 200, reply.text)
  assert.deepEqual(elements(reply.text, 'Code'), ['PreconditionFailed', 'NoSuchVersion'])
  assert.equal((await kit.client.head('/dels/e1')).status, 200)
  assert.equal((await kit.client.head('/dels/e2')).status, 404)
})

test('documents that are refused', async () => {
  const many = Array.from({ length: 1001 }, (_, i) => `k${i}`)
  const [client] = [kit.client]
  assert.equal(errorOf(await post(client, keysXml(many))), '400 MalformedXML')
  assert.equal((await post(client, keysXml(many.slice(1)))).status, 200)
  assert.equal(errorOf(await post(client, '<Delete></Delete>')), '400 MalformedXML')
  assert.equal(errorOf(await post(client, '<Delete><Object/></Delete>')), '400 MalformedXML')
  const wrong = { 'Content-MD5': createHash('md5').update('').digest('base64') }
  assert.equal(errorOf(await post(client, keysXml(['a']), wrong)), '400 BadDigest')
  const ask = { path: '/dels', query: { delete: '' }, body: keysXml(['a']) }
  assert.equal(errorOf(await client.send('POST', ask)), '400 InvalidRequest')
})

test('who may delete nothing is told so for each key', async () => {
  await kit.client.put('/dels/kept', 'x')
  for (const client of [kit.as(ALICE), kit.as()]) {
    const reply = await post(client, keysXml(['kept', 'other']))
    assert.equal(reply.status, 200, reply.text)
    assert.deepEqual(elements(reply.text, 'Code'), ['AccessDenied', 'AccessDenied'])
  }
  assert.equal((await kit.client.head('/dels/kept')).status, 200)
})

test('markers are named', async () => {
  const { client } = kit
  const xml = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await client.put('/dels', xml, { query: { versioning: '' } })
  await client.put('/dels/v', 'x')
  const made = await post(client, keysXml(['v']))
  assert.equal(element(made.text, 'DeleteMarker'), 'true')
  const id = element(made.text, 'DeleteMarkerVersionId')!
  const gone = await post(
    client,
    `<Delete><Object><Key>v</Key><VersionId>${id}</VersionId></Object></Delete>`,
  )
  assert.equal(element(gone.text, 'VersionId'), id)
  assert.equal(element(gone.text, 'DeleteMarkerVersionId'), id)
  assert.equal((await client.get('/dels/v')).text, 'x')
  const again = await post(
    client,
    `<Delete><Object><Key>v</Key><VersionId>${id}</VersionId></Object></Delete>`,
  )
  assert.equal(element(again.text, 'VersionId'), id)
  assert.equal(element(again.text, 'Code'), undefined)
  assert.equal((await client.delete('/dels/v', { versionId: id })).status, 204)
  await client.delete('/dels/v')
  const badly = await client.delete('/dels/v', {}, { 'If-Match': 'x' })
  assert.equal(errorOf(badly), '412 PreconditionFailed')
  assert.equal((await client.delete('/dels/v', {}, { 'If-Match': '*' })).status, 204)
})
