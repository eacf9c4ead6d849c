/** Objects of one account in the bucket of another: whose they are, and who may read them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ALICE, BOB, canonicalId, element, elements, errorOf, type S3Kit, startS3 } from '../s3/s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.as(ALICE).put('/shared', '', { headers: { 'x-amz-acl': 'public-read-write' } })
})
after(() => kit.close())

const ownerOf = (acl: string) => elements(acl, 'ID')[0]

test('who writes an object owns it', async () => {
  const [alice, bob] = [kit.as(ALICE), kit.as(BOB)]
  assert.equal((await bob.put('/shared/k', 'x')).status, 200)
  const acl = await bob.get('/shared/k', { acl: '' })
  assert.equal(ownerOf(acl.text), canonicalId('bob'))
  assert.deepEqual(elements(acl.text, 'Permission'), ['FULL_CONTROL'])
  assert.equal((await bob.get('/shared/k')).text, 'x')
  assert.equal(errorOf(await alice.get('/shared/k')), '403 AccessDenied')
  assert.equal(errorOf(await alice.get('/shared/k', { acl: '' })), '403 AccessDenied')
  // The bucket is hers, so she may remove it.
  assert.equal((await alice.delete('/shared/k')).status, 204)
})

test('canned lists for the owner of the bucket', async () => {
  const [alice, bob] = [kit.as(ALICE), kit.as(BOB)]
  await bob.put('/shared/read', 'x', { headers: { 'x-amz-acl': 'bucket-owner-read' } })
  assert.equal((await alice.get('/shared/read')).text, 'x')
  assert.equal(errorOf(await alice.get('/shared/read', { acl: '' })), '403 AccessDenied')
  await bob.put('/shared/full', 'x', { headers: { 'x-amz-acl': 'bucket-owner-full-control' } })
  const acl = await alice.get('/shared/full', { acl: '' })
  assert.equal(ownerOf(acl.text), canonicalId('bob'))
  assert.deepEqual(elements(acl.text, 'Permission'), ['FULL_CONTROL', 'FULL_CONTROL'])
})

test('uploads in parts and copies are theirs, too', async () => {
  const bob = kit.as(BOB)
  const path = '/shared/parts'
  const uploadId = element((await bob.send('POST', { path, query: { uploads: '' } })).text, 'UploadId')!
  const { etag } = (await bob.put(path, 'x', { query: { partNumber: '1', uploadId } })).headers
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`
  assert.equal((await bob.send('POST', { path, query: { uploadId }, body })).status, 200)
  assert.equal(ownerOf((await bob.get(path, { acl: '' })).text), canonicalId('bob'))
  const headers = { 'x-amz-copy-source': '/shared/parts' }
  assert.equal((await bob.put('/shared/copy', '', { headers })).status, 200)
  assert.equal(ownerOf((await bob.get('/shared/copy', { acl: '' })).text), canonicalId('bob'))
})

test('where lists are off, everything is the bucket owner’s', async () => {
  const [alice, bob] = [kit.as(ALICE), kit.as(BOB)]
  await alice.put('/enforced', '', { headers: { 'x-amz-object-ownership': 'BucketOwnerEnforced' } })
  const Statement = [
    { Effect: 'Allow', Principal: '*', Action: 's3:PutObject*', Resource: 'arn:aws:s3:::enforced/*' },
  ]
  await alice.put('/enforced', JSON.stringify({ Version: '2012-10-17', Statement }), {
    query: { policy: '' },
  })
  assert.equal((await bob.put('/enforced/k', 'x')).status, 200)
  assert.equal((await alice.get('/enforced/k')).text, 'x')
  assert.equal(ownerOf((await alice.get('/enforced/k', { acl: '' })).text), canonicalId('alice'))
  const acl = { headers: { 'x-amz-acl': 'public-read' } }
  assert.equal(errorOf(await alice.put('/enforced/k', 'x', acl)), '400 AccessControlListNotSupported')
})

test('grants in headers', async () => {
  const headers = {
    'x-amz-grant-read': `id=${canonicalId('bob')}`,
    'x-amz-grant-full-control': `id="${canonicalId('alice')}"`,
  }
  const alice = kit.as(ALICE)
  await alice.put('/private')
  assert.equal((await alice.put('/private/k', 'x', { headers })).status, 200)
  assert.equal((await kit.as(BOB).get('/private/k')).text, 'x')
  assert.equal(errorOf(await kit.as().get('/private/k')), '403 AccessDenied')
  const both = { headers: { ...headers, 'x-amz-acl': 'private' } }
  assert.equal(errorOf(await alice.put('/private/k', 'x', both)), '400 InvalidRequest')
  const unknown = { headers: { 'x-amz-grant-read': 'id=nobody' } }
  assert.equal(errorOf(await alice.put('/private/k', 'x', unknown)), '400 InvalidArgument')
})
