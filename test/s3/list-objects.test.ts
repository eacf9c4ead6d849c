/** ListObjects and ListObjectsV2. */
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
  for (const name of ['plain', 'tree', 'strange', 'empty'])
    assert.equal((await alice.put(`/${name}`)).status, 200)
  await fill(kit, 'plain', ['bar', 'baz', 'foo', 'quux'])
  await fill(kit, 'tree', ['asdf', 'boo/bar', 'boo/baz/xyzzy', 'cquux/thud', 'cquux/bla'])
  await fill(kit, 'strange', ['asdf+b', 'foo+1/bar', 'foo/bar/xyzzy', 'quux ab/thud', 'é&<>"\u0001', 'x%2Fy'])
})
after(() => kit.close())

const keysOf = (text: string) => elements(text, 'Key')
const prefixesOf = (text: string) =>
  [...text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g)].map(([, prefix]) => prefix)

const MASKED = /<LastModified>[^<]*<\/LastModified>/g

test('the whole document, version 1', async () => {
  const owner = `<Owner><ID>${canonicalId('alice')}</ID><DisplayName>Alice</DisplayName></Owner>`
  const contents = (key: string) =>
    `<Contents><Key>${key}</Key><ETag>&quot;900150983cd24fb0d6963f7d28e17f72&quot;</ETag><Size>3</Size>${owner}<StorageClass>STANDARD</StorageClass></Contents>`
  const reply = await alice.get('/plain', { 'max-keys': '2' })
  assert.equal(reply.headers['content-type'], 'application/xml')
  assert.equal(
    reply.text.replace(MASKED, ''),
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>plain</Name><Prefix></Prefix><Marker></Marker><MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated>${contents('bar')}${contents('baz')}</ListBucketResult>`,
  )
  assert.match(reply.text, /<LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified>/)
})

test('the whole document, version 2', async () => {
  const reply = await alice.get('/plain', { 'list-type': '2', 'max-keys': '1', 'start-after': 'bar' })
  assert.equal(
    reply.text.replace(MASKED, ''),
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>plain</Name><Prefix></Prefix><StartAfter>bar</StartAfter><NextContinuationToken>YmF6</NextContinuationToken><KeyCount>1</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated><Contents><Key>baz</Key><ETag>&quot;900150983cd24fb0d6963f7d28e17f72&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>',
  )
})

test('pages by marker and by token give every key once', async () => {
  const byMarker: string[] = []
  let marker: string | undefined = ''
  while (marker !== undefined) {
    const { text } = await alice.get('/plain', { marker, 'max-keys': '3' })
    byMarker.push(...keysOf(text))
    marker = element(text, 'IsTruncated') === 'true' ? keysOf(text).at(-1)! : undefined
  }
  assert.deepEqual(byMarker, ['bar', 'baz', 'foo', 'quux'])
  const byToken: string[] = []
  let token: string | undefined
  do {
    const more: Record<string, string> = token === undefined ? {} : { 'continuation-token': token }
    const { text } = await alice.get('/plain', { 'list-type': '2', 'max-keys': '1', ...more })
    byToken.push(...keysOf(text))
    if (token !== undefined) assert.equal(element(text, 'ContinuationToken'), token)
    token = element(text, 'NextContinuationToken')
  } while (token !== undefined)
  assert.deepEqual(byToken, ['bar', 'baz', 'foo', 'quux'])
})

test('prefix and delimiter, page by page', async () => {
  const seen: [string[], (string | undefined)[]][] = []
  let marker = ''
  for (;;) {
    const { text } = await alice.get('/tree', { delimiter: '/', 'max-keys': '1', marker })
    seen.push([keysOf(text), prefixesOf(text)])
    const next = element(text, 'NextMarker')
    assert.equal(next !== undefined, element(text, 'IsTruncated') === 'true')
    if (next === undefined) break
    marker = next
  }
  assert.deepEqual(seen, [
    [['asdf'], []],
    [[], ['boo/']],
    [[], ['cquux/']],
  ])
  const { text } = await alice.get('/tree', { delimiter: '/', prefix: 'boo/', 'list-type': '2' })
  assert.deepEqual(keysOf(text), ['boo/bar'])
  assert.deepEqual(prefixesOf(text), ['boo/baz/'])
  assert.equal(element(text, 'KeyCount'), '2')
  assert.equal(element(text, 'Delimiter'), '/')
  const odd = await alice.get('/tree', { delimiter: 'u', prefix: 'c' })
  assert.deepEqual(prefixesOf(odd.text), ['cqu'])
  assert.deepEqual(keysOf((await alice.get('/tree', { prefix: 'nothing' })).text), [])
  assert.deepEqual(keysOf((await alice.get('/tree', { delimiter: '' })).text).length, 5)
})

test('what only the second version has', async () => {
  const messageOf = async (query: Record<string, string>) => {
    const reply = await alice.get('/plain', query)
    return `${errorOf(reply)}: ${element(reply.text, 'Message')}`
  }
  assert.equal(
    await messageOf({ 'start-after': 'a' }),
    '400 InvalidArgument: startAfter only supported in REST.GET.BUCKET with list-type=2',
  )
  assert.equal(
    await messageOf({ 'list-type': '3' }),
    '400 InvalidArgument: Invalid List Type specified in Request',
  )
  assert.equal((await alice.get('/plain', { 'list-type': '1' })).status, 200)
})

test('encoding-type=url, and keys that XML cannot say', async () => {
  const { text } = await alice.get('/strange', { 'encoding-type': 'url', delimiter: '/' })
  assert.deepEqual(keysOf(text), ['asdf%2Bb', 'x%252Fy', '%C3%A9%26%3C%3E%22%01'])
  assert.deepEqual(prefixesOf(text), ['foo%2B1/', 'foo/', 'quux%20ab/'])
  assert.equal(element(text, 'EncodingType'), 'url')
  const asked = await alice.get('/strange', { 'encoding-type': 'url', prefix: '\n%+é b\u0001' })
  assert.equal(element(asked.text, 'Prefix'), '\n%25%2Bé b%01', 'boto3 does not decode it')
  const plain = await alice.get('/strange')
  assert.ok(keysOf(plain.text).includes('é&amp;&lt;&gt;&quot;&#x1;'))
  const bad = await alice.get('/strange', { 'encoding-type': 'base64' })
  assert.equal(errorOf(bad), '400 InvalidArgument')
  assert.equal(element(bad.text, 'ArgumentName'), 'encoding-type')
  assert.equal(element(bad.text, 'Message'), 'Invalid Encoding Method specified in Request')
})

test('max-keys', async () => {
  const none = await alice.get('/plain', { 'max-keys': '0' })
  assert.equal(none.status, 200)
  assert.equal(element(none.text, 'IsTruncated'), 'false')
  assert.equal(element(none.text, 'MaxKeys'), '0')
  assert.deepEqual(keysOf(none.text), [])
  assert.equal(element((await alice.get('/plain', { 'max-keys': '5000' })).text, 'MaxKeys'), '1000')
  assert.equal(element((await alice.get('/plain', { 'max-keys': '' })).text, 'MaxKeys'), '1000')
  const refused: [string, string, string][] = [
    ['-1', 'maxKeys', 'Argument maxKeys must be an integer between 0 and 2147483647'],
  ]
  for (const value of ['blah', '1.5', '2147483648', '-99999999999'])
    refused.push([value, 'max-keys', 'Provided max-keys not an integer or within integer range'])
  for (const [value, argument, message] of refused) {
    const reply = await alice.get('/plain', { 'max-keys': value })
    assert.equal(errorOf(reply), '400 InvalidArgument', value)
    assert.equal(element(reply.text, 'Message'), message)
    assert.equal(element(reply.text, 'ArgumentName'), argument)
    assert.equal(element(reply.text, 'ArgumentValue'), value)
  }
})

test('owners in version 2 only where they are asked for', async () => {
  assert.equal(element((await alice.get('/plain', { 'list-type': '2' })).text, 'Owner'), undefined)
  const { text } = await alice.get('/plain', { 'list-type': '2', 'fetch-owner': 'true' })
  assert.equal(elements(text, 'DisplayName').length, 4)
})

test('tokens and buckets that are none', async () => {
  for (const token of ['', '!!!', 'YmF6=']) {
    const reply = await alice.get('/plain', { 'list-type': '2', 'continuation-token': token })
    assert.equal(errorOf(reply), '400 InvalidArgument', token)
  }
  const reply = await alice.get('/no-such-bucket')
  assert.equal(errorOf(reply), '404 NoSuchBucket')
  const [id, host] = [reply.headers['x-amz-request-id'], reply.headers['x-amz-id-2']]
  assert.equal(
    reply.text,
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>no-such-bucket</BucketName><Resource>/no-such-bucket</Resource><RequestId>${id}</RequestId><HostId>${host}</HostId></Error>`,
  )
  assert.deepEqual(keysOf((await alice.get('/empty')).text), [])
})
