/** CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation and ListBuckets. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ALICE, BOB, canonicalId, element, elements, errorOf, ROOT, type S3Kit, startS3 } from './s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
})
after(() => kit.close())

test('a bucket is made, found, located and removed', async () => {
  const alice = kit.as(ALICE)
  const made = await alice.put('/first-bucket')
  assert.equal(made.status, 200, made.text)
  assert.equal(made.headers.location, '/first-bucket')
  assert.equal(made.text, '')
  assert.match(made.headers['x-amz-request-id'] as string, /^[0-9A-F]{16}$/)
  assert.ok(made.headers['x-amz-id-2'])
  const head = await alice.head('/first-bucket')
  assert.equal(head.status, 200)
  assert.equal(head.headers['x-amz-bucket-region'], 'us-east-1')
  const location = await alice.get('/first-bucket', { location: '' })
  assert.equal(
    location.text,
    '<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>',
  )
  assert.equal(location.headers['content-type'], 'application/xml')
  assert.equal((await alice.delete('/first-bucket')).status, 204)
  assert.equal((await alice.head('/first-bucket')).status, 404)
})

test('names that are none', async () => {
  for (const name of [
    'ab',
    'Upper',
    'under_score',
    'a..b',
    'a.-b',
    'a-.b',
    '192.168.0.1',
    'xn--a',
    'a'.repeat(64),
    '-ab',
    'a b',
  ]) {
    assert.equal(errorOf(await kit.client.put(`/${name}`)), '400 InvalidBucketName', name)
  }
})

test('a bucket that is there', async () => {
  assert.equal((await kit.as(ALICE).put('/taken')).status, 200)
  const again = await kit.as(ALICE).put('/taken')
  assert.equal(again.status, 200)
  const other = await kit.as(BOB).put('/taken')
  assert.equal(errorOf(other), '409 BucketAlreadyExists')
  assert.equal(element(other.text, 'BucketName'), 'taken')
  assert.equal(errorOf(await kit.as().put('/by-nobody')), '403 AccessDenied')
})

test('making it again sets its ACL anew', async () => {
  const alice = kit.as(ALICE)
  await alice.put('/open-bucket', '', { headers: { 'x-amz-acl': 'public-read' } })
  assert.equal((await kit.as().get('/open-bucket')).status, 200)
  assert.equal((await alice.put('/open-bucket')).status, 200)
  assert.equal(errorOf(await kit.as().get('/open-bucket')), '403 AccessDenied')
})

test('where it shall be', async () => {
  const body = (region: string) =>
    `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`
  const alice = kit.as(ALICE)
  assert.equal((await alice.put('/here', body('us-east-1'))).status, 200)
  assert.equal((await alice.put('/nowhere-named', body(''))).status, 200)
  assert.equal(errorOf(await alice.put('/there', body('mars-north-1'))), '400 InvalidLocationConstraint')
  assert.equal(errorOf(await alice.put('/there', '<CreateBucketConfiguration>')), '400 MalformedXML')
  assert.equal(errorOf(await alice.put('/there', '<Other/>')), '400 MalformedXML')
  assert.equal((await alice.head('/there')).status, 404)
})

test('headers of a new bucket', async () => {
  const alice = kit.as(ALICE)
  const make = (name: string, headers: Record<string, string>) => alice.put(`/${name}`, '', { headers })
  assert.equal((await make('locked', { 'x-amz-bucket-object-lock-enabled': 'true' })).status, 200)
  assert.equal(element((await alice.get('/locked', { versioning: '' })).text, 'Status'), 'Enabled')
  assert.equal(
    errorOf(await make('locked2', { 'x-amz-bucket-object-lock-enabled': 'maybe' })),
    '400 InvalidArgument',
  )
  assert.equal((await make('owned', { 'x-amz-object-ownership': 'BucketOwnerEnforced' })).status, 200)
  const owned = await alice.get('/owned', { ownershipControls: '' })
  assert.equal(element(owned.text, 'ObjectOwnership'), 'BucketOwnerEnforced')
  assert.equal(errorOf(await make('owned2', { 'x-amz-object-ownership': 'Nobody' })), '400 InvalidArgument')
  const both = { 'x-amz-object-ownership': 'BucketOwnerEnforced', 'x-amz-acl': 'public-read' }
  assert.equal(errorOf(await make('owned3', both)), '400 InvalidBucketAclWithObjectOwnership')
  assert.equal(errorOf(await make('acl1', { 'x-amz-acl': 'everyone' })), '400 InvalidArgument')
  const grant = `id="${canonicalId('bob')}"`
  assert.equal((await make('acl2', { 'x-amz-grant-read': grant })).status, 200)
  assert.equal((await kit.as(BOB).get('/acl2')).status, 200)
  assert.equal(errorOf(await make('acl3', { 'x-amz-grant-read': 'id="nobody"' })), '400 InvalidArgument')
})

test('only an empty bucket is removed', async () => {
  const root = kit.as(ROOT)
  await root.put('/full-bucket')
  const bucket = (await kit.objects.bucket('full-bucket'))!
  const body = { sizeBytes: 1, whole: Buffer.from('x'), async *pieces() {} }
  await kit.objects.put({ bucket, key: 'k', body, attributes: {} })
  const refused = await root.delete('/full-bucket')
  assert.equal(errorOf(refused), '409 BucketNotEmpty')
  assert.equal(element(refused.text, 'Message'), 'The bucket you tried to delete is not empty')
  assert.equal(errorOf(await kit.as(BOB).delete('/full-bucket')), '403 AccessDenied')
  assert.equal(errorOf(await root.delete('/no-such-bucket')), '404 NoSuchBucket')
  const enabled = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await root.putXml('/full-bucket', 'versioning', enabled)
  assert.equal(
    element((await root.delete('/full-bucket')).text, 'Message'),
    'The bucket you tried to delete is not empty. You must delete all versions in the bucket.',
  )
  await kit.objects.delete({ bucket, key: 'k', versionId: 'null' })
  assert.equal((await root.send('POST', { path: '/full-bucket/begun', query: { uploads: '' } })).status, 200)
  assert.equal((await root.delete('/full-bucket')).status, 204)
})

test('ListBuckets: own ones, in pages', async () => {
  const bob = kit.as(BOB)
  for (const name of ['bob-a', 'bob-b', 'bob-c', 'other-b']) await bob.put(`/${name}`)
  const all = await bob.get('/')
  assert.deepEqual(elements(all.text, 'Name'), ['bob-a', 'bob-b', 'bob-c', 'other-b'])
  assert.match(
    all.text,
    new RegExp(
      `^<\\?xml version="1.0" encoding="UTF-8"\\?>\n<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>${canonicalId('bob')}</ID><DisplayName>Bob</DisplayName></Owner><Buckets><Bucket><Name>bob-a</Name><CreationDate>\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d.\\d{3}Z</CreationDate></Bucket>`,
    ),
  )
  const first = await bob.get('/', { 'max-buckets': '2', prefix: 'bob-' })
  assert.deepEqual(elements(first.text, 'Name'), ['bob-a', 'bob-b'])
  assert.deepEqual(elements(first.text, 'BucketRegion'), ['us-east-1', 'us-east-1'])
  const token = element(first.text, 'ContinuationToken')!
  const second = await bob.get('/', { 'max-buckets': '2', prefix: 'bob-', 'continuation-token': token })
  assert.deepEqual(elements(second.text, 'Name'), ['bob-c'])
  assert.equal(element(second.text, 'ContinuationToken'), undefined)
  assert.deepEqual(elements((await bob.get('/', { 'bucket-region': 'mars-north-1' })).text, 'Name'), [])
  assert.equal(errorOf(await bob.get('/', { 'bucket-region': 'nowhere' })), '400 InvalidArgument')
  assert.equal(errorOf(await bob.get('/', { 'max-buckets': '0' })), '400 InvalidArgument')
  assert.equal(errorOf(await bob.get('/', { 'continuation-token': '!' })), '400 InvalidArgument')
  assert.equal(errorOf(await kit.as().get('/')), '403 AccessDenied')
  assert.ok(elements((await kit.as(ROOT).get('/')).text, 'Name').includes('bob-c'))
})
