/** ListObjectVersions, GetBucketVersioning and PutBucketVersioning. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  ALICE,
  canonicalId,
  element,
  elements,
  errorOf,
  fill,
  type S3Client,
  type S3Kit,
  startS3,
} from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  await alice.put('/versions')
})
after(() => kit.close())

const setting = (status: string) =>
  `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>${status}</Status></VersioningConfiguration>`

test('versioning off, enabled, suspended', async () => {
  await alice.put('/switched')
  const get = () => alice.get('/switched', { versioning: '' })
  const put = (xml: string) => alice.putXml('/switched', 'versioning', xml)
  assert.equal(
    (await get()).text,
    '<?xml version="1.0" encoding="UTF-8"?>\n<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>',
  )
  assert.equal((await put(setting('Enabled'))).status, 200)
  assert.equal(element((await get()).text, 'Status'), 'Enabled')
  assert.equal((await put(setting('Suspended'))).status, 200)
  assert.equal(element((await get()).text, 'Status'), 'Suspended')
  assert.equal(errorOf(await put(setting('Off'))), '400 MalformedXML')
  const nothing = await put('<VersioningConfiguration/>')
  assert.equal(errorOf(nothing), '400 IllegalVersioningConfigurationException')
  assert.equal(errorOf(await put('')), '400 MissingRequestBodyError')
  assert.equal(element((await get()).text, 'Status'), 'Suspended')
  // Such a version is told to those who read it, not as something new to who wrote it.
  const written = await alice.put('/switched/k', 'x')
  assert.deepEqual([written.status, written.headers['x-amz-version-id']], [200, undefined])
  assert.equal((await alice.get('/switched/k')).headers['x-amz-version-id'], 'null')
})

test('a bucket with object lock keeps its versions', async () => {
  await alice.put('/always', '', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })
  assert.equal(
    errorOf(await alice.putXml('/always', 'versioning', setting('Suspended'))),
    '409 InvalidBucketState',
  )
})

test('versions and delete markers, newest first, in pages', async () => {
  await fill(kit, 'versions', ['a', 'b'])
  await alice.putXml('/versions', 'versioning', setting('Enabled'))
  const bucket = await fill(kit, 'versions', ['a', 'a', 'c/d'])
  await kit.objects.delete({ bucket, key: 'b' })
  const whole = await alice.get('/versions', { versions: '' })
  assert.deepEqual(elements(whole.text, 'Key'), ['a', 'a', 'a', 'b', 'b', 'c/d'])
  assert.deepEqual(elements(whole.text, 'IsLatest'), ['true', 'false', 'false', 'true', 'false', 'true'])
  assert.equal(elements(whole.text, 'VersionId')[2], 'null')
  const owner = `<Owner><ID>${canonicalId('alice')}</ID><DisplayName>Alice</DisplayName></Owner>`
  assert.match(
    whole.text,
    new RegExp(
      `<DeleteMarker><Key>b</Key><VersionId>\\w+</VersionId><IsLatest>true</IsLatest><LastModified>[^<]+</LastModified>${owner}</DeleteMarker>` +
        '<Version><Key>b</Key><VersionId>null</VersionId><IsLatest>false</IsLatest><LastModified>[^<]+</LastModified><ETag>&quot;900150983cd24fb0d6963f7d28e17f72&quot;</ETag><Size>3</Size>',
    ),
  )
  const seen: string[] = []
  let more: Record<string, string> = {}
  for (;;) {
    const { text } = await alice.get('/versions', { versions: '', 'max-keys': '2', ...more })
    const [keys, ids] = [elements(text, 'Key'), elements(text, 'VersionId')]
    seen.push(...keys.map((key, at) => `${key} ${ids[at]}`))
    if (element(text, 'IsTruncated') === 'false') break
    more = { 'key-marker': element(text, 'NextKeyMarker')! }
    const id = element(text, 'NextVersionIdMarker')
    if (id !== undefined) more['version-id-marker'] = id
  }
  const all = elements(whole.text, 'Key').map((key, at) => `${key} ${elements(whole.text, 'VersionId')[at]}`)
  assert.deepEqual(seen, all)
  const cut = await alice.get('/versions', { versions: '', delimiter: '/', prefix: 'c' })
  assert.match(cut.text, /<CommonPrefixes><Prefix>c\/<\/Prefix><\/CommonPrefixes>/)
})

test('markers that do not go together', async () => {
  const without = await alice.get('/versions', { versions: '', 'version-id-marker': 'null' })
  assert.equal(errorOf(without), '400 InvalidArgument')
  assert.equal(
    element(without.text, 'Message'),
    'A version-id marker cannot be specified without a key marker.',
  )
  const empty = await alice.get('/versions', { versions: '', 'key-marker': 'a', 'version-id-marker': '' })
  assert.equal(errorOf(empty), '400 InvalidArgument')
})
