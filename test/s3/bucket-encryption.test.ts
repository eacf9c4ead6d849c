/** GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption, and what they mean for new objects. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ALICE, element, errorOf, type S3Client, type S3Kit, startS3 } from './s3-kit.ts'

const SSE = 'x-amz-server-side-encryption'
const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
const BLOCKS = '<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>'
const KEY = randomBytes(32)
const CUSTOMER = {
  [`${SSE}-customer-algorithm`]: 'AES256',
  [`${SSE}-customer-key`]: KEY.toString('base64'),
  [`${SSE}-customer-key-MD5`]: createHash('md5').update(KEY).digest('base64'),
}

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3({ allowsKeysOverHttp: true })
  alice = kit.as(ALICE)
})
after(() => kit.close())

const byDefault = (inner: string) =>
  `<ApplyServerSideEncryptionByDefault>${inner}</ApplyServerSideEncryptionByDefault>`
const AES = byDefault('<SSEAlgorithm>AES256</SSEAlgorithm>')
const configuration = (...rules: string[]) =>
  `<ServerSideEncryptionConfiguration ${NS}>${rules.map((rule) => `<Rule>${rule}</Rule>`).join('')}</ServerSideEncryptionConfiguration>`
const set = (path: string, ...rules: string[]) => alice.putXml(path, 'encryption', configuration(...rules))

test('set, given back, removed; only by those who may', async () => {
  await alice.put('/enc')
  const get = () => alice.get('/enc', { encryption: '' })
  assert.equal(errorOf(await get()), '404 ServerSideEncryptionConfigurationNotFoundError')
  assert.equal((await set('/enc', AES)).status, 200)
  const bucketKey = '<BucketKeyEnabled>false</BucketKeyEnabled>'
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n'
  assert.equal((await get()).text, head + configuration(AES + bucketKey))
  assert.equal((await set('/enc', AES + BLOCKS)).status, 200)
  assert.equal((await get()).text, head + configuration(AES + bucketKey + BLOCKS))
  // A rule that says nothing of blocked types leaves them as they are.
  assert.equal((await set('/enc', AES)).status, 200)
  assert.equal((await get()).text, head + configuration(AES + bucketKey + BLOCKS))
  for (const client of [kit.as(), kit.as({ accessKey: 'bobkey', secretKey: 'bobsecret' })])
    assert.equal(errorOf(await client.get('/enc', { encryption: '' })), '403 AccessDenied')
  assert.equal((await alice.delete('/enc', { encryption: '' })).status, 204)
  assert.equal((await alice.delete('/enc', { encryption: '' })).status, 204)
  assert.equal(errorOf(await get()), '404 ServerSideEncryptionConfigurationNotFoundError')
  assert.equal(errorOf(await set('/nowhere', AES)), '404 NoSuchBucket')
})

test('documents that are refused', async () => {
  await alice.put('/refusing')
  const key = '<KMSMasterKeyID>k</KMSMasterKeyID>'
  const type = (text: string) =>
    `<BlockedEncryptionTypes><EncryptionType>${text}</EncryptionType></BlockedEncryptionTypes>`
  for (const [rules, wanted] of [
    [[], '400 MalformedXML'],
    [[''], '400 MalformedXML'],
    [[AES, AES], '400 MalformedXML'],
    [[byDefault('')], '400 MalformedXML'],
    [[byDefault('<SSEAlgorithm>aes256</SSEAlgorithm>')], '400 MalformedXML'],
    [[`${AES}<BucketKeyEnabled>maybe</BucketKeyEnabled>`], '400 MalformedXML'],
    [[`${AES}<Other/>`], '400 MalformedXML'],
    [[type('SSE-S3')], '400 MalformedXML'],
    [[byDefault(`<SSEAlgorithm>AES256</SSEAlgorithm>${key}`)], '400 InvalidArgument'],
  ] as const)
    assert.equal(errorOf(await set('/refusing', ...rules)), wanted, rules.join())
  assert.equal(errorOf(await alice.putXml('/refusing', 'encryption', '<Wrong/>')), '400 MalformedXML')
})

test('a bucket that keeps equal bytes once does not encrypt', async () => {
  await alice.put('/once')
  await kit.objects.changeBucket((await kit.objects.bucket('once'))!, { configs: { dedupe: '{}' } })
  assert.equal(errorOf(await set('/once', AES)), '409 InvalidBucketState')
  assert.equal((await set('/once', BLOCKS)).status, 200)
})

test('new objects are encrypted as the bucket says, unless they ask for something else', async () => {
  await alice.put('/default')
  await alice.put('/default/before', 'x')
  await set('/default', AES)
  assert.equal((await alice.get('/default/before')).headers[SSE], undefined)
  assert.equal((await alice.put('/default/put', 'x')).headers[SSE], 'AES256')
  assert.equal((await alice.get('/default/put')).headers[SSE], 'AES256')
  const copied = await alice.put('/default/copy', '', { headers: { 'x-amz-copy-source': '/default/before' } })
  assert.equal(copied.headers[SSE], 'AES256')
  const begun = await alice.send('POST', { path: '/default/parts', query: { uploads: '' } })
  assert.equal(begun.headers[SSE], 'AES256')
  const own = await alice.put('/default/own', 'x', { headers: CUSTOMER })
  assert.equal(own.headers[SSE], undefined)
  assert.equal(own.headers[`${SSE}-customer-algorithm`], 'AES256')
  await alice.delete('/default', { encryption: '' })
  assert.equal((await alice.put('/default/after', 'x')).headers[SSE], undefined)
})

test('keys of clients are refused where they are blocked; what is there is still read', async () => {
  await alice.put('/blocking')
  await alice.put('/blocking/before', 'x', { headers: CUSTOMER })
  await set('/blocking', BLOCKS)
  const put = await alice.put('/blocking/k', 'x', { headers: CUSTOMER })
  assert.equal(errorOf(put), '403 AccessDenied')
  assert.match(element(put.text, 'Message')!, /because this bucket has blocked upload requests/)
  const headers = { 'x-amz-copy-source': '/blocking/k', ...CUSTOMER }
  assert.equal(errorOf(await alice.put('/blocking/copy', '', { headers })), '403 AccessDenied')
  assert.equal((await alice.get('/blocking/before', {}, CUSTOMER)).text, 'x')
  assert.equal((await alice.put('/blocking/plain', 'x')).headers[SSE], undefined)
  await set(
    '/blocking',
    '<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>',
  )
  assert.equal((await alice.put('/blocking/k', 'x', { headers: CUSTOMER })).status, 200)
})

test('a key management service may be asked for, and has no keys', async () => {
  await alice.put('/kms')
  const kms = byDefault('<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>my-key</KMSMasterKeyID>')
  assert.equal((await set('/kms', `${kms}<BucketKeyEnabled>true</BucketKeyEnabled>`)).status, 200)
  const { text } = await alice.get('/kms', { encryption: '' })
  assert.equal(element(text, 'SSEAlgorithm'), 'aws:kms')
  assert.equal(element(text, 'KMSMasterKeyID'), 'my-key')
  assert.equal(element(text, 'BucketKeyEnabled'), 'true')
  const put = await alice.put('/kms/k', 'x')
  assert.equal(errorOf(put), '400 KMS.NotFoundException')
  assert.equal(element(put.text, 'Message'), "Invalid keyId 'my-key'")
  assert.equal((await alice.put('/kms/k', 'x', { headers: { [SSE]: 'AES256' } })).headers[SSE], 'AES256')
})
