/**
 * Ways past the permissions that other object stores had once and published, each tried here: a source that is not asked about, a
 * deny that a header lifts, conditions that tell what may not be read, headers of proxies that nobody trusts, names that begin alike.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { SignerV2, SignerV4 } from '../../src/iam/sign.ts'
import {
  ALICE,
  BOB,
  element,
  elements,
  errorOf,
  exchange,
  type S3Client,
  type S3Kit,
  startS3,
} from '../s3/s3-kit.ts'

const DENIED = '403 AccessDenied'
const BYPASS = { 'x-amz-bypass-governance-retention': 'true' }

let kit: S3Kit
let alice: S3Client
let bob: S3Client
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  bob = kit.as(BOB)
  await alice.put('/guarded', '', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })
  await alice.put('/guarded/key', 'bytes')
  await bob.put('/own')
})
after(() => kit.close())

interface Rule {
  allow?: string[]
  deny?: string[]
  resource?: string
  condition?: object
}

/** What Bob may do in Alice's bucket, and what not. */
async function rule(...rules: Rule[]): Promise<void> {
  const statements = rules.map(({ allow, deny, resource, condition }) => ({
    Effect: allow === undefined ? 'Deny' : 'Allow',
    Principal: { AWS: 'bob' },
    Action: allow ?? deny,
    Resource: resource ?? ['arn:aws:s3:::guarded', 'arn:aws:s3:::guarded/*'],
    ...(condition && { Condition: condition }),
  }))
  const body = JSON.stringify({ Version: '2012-10-17', Statement: statements })
  const reply = await alice.put('/guarded', body, { query: { policy: '' } })
  assert.equal(reply.status, 204, reply.text)
}

async function begin(client: S3Client, path: string): Promise<string> {
  const begun = await client.send('POST', { path, query: { uploads: '' } })
  assert.equal(begun.status, 200, begun.text)
  return element(begun.text, 'UploadId')!
}

test('the source of a copied part is asked about, and so is its version', async () => {
  const uploadId = await begin(bob, '/own/copy')
  const query = { partNumber: '1', uploadId }
  const copy = (source: string) =>
    bob.put('/own/copy', '', { query, headers: { 'x-amz-copy-source': source } })
  await rule({ allow: ['s3:ListBucket'] })
  assert.equal(errorOf(await copy('/guarded/key')), DENIED)
  await rule({ allow: ['s3:GetObject'] })
  const versionId = (await alice.head('/guarded/key')).headers['x-amz-version-id'] as string
  assert.equal(errorOf(await copy(`/guarded/key?versionId=${versionId}`)), DENIED)
  assert.equal(errorOf(await bob.get('/guarded/key', { versionId })), DENIED)
  assert.deepEqual(elements((await bob.get('/own/copy', { uploadId })).text, 'PartNumber'), [])
  assert.equal((await copy('/guarded/key')).status, 200)
  assert.equal((await bob.delete('/own/copy', { uploadId })).status, 204)
})

test('a header does not lift the deny of lifting governance', async () => {
  await rule({ allow: ['s3:*'] }, { deny: ['s3:BypassGovernanceRetention'] })
  const until = new Date(Date.now() + 86_400_000).toISOString()
  const headers = { 'x-amz-object-lock-mode': 'GOVERNANCE', 'x-amz-object-lock-retain-until-date': until }
  const digestOf = (text: string) => ({ 'Content-MD5': createHash('md5').update(text).digest('base64') })
  const put = await alice.put('/guarded/locked', 'locked', { headers: { ...headers, ...digestOf('locked') } })
  assert.equal(put.status, 200, put.text)
  const versionId = put.headers['x-amz-version-id'] as string
  assert.equal(errorOf(await bob.delete('/guarded/locked', { versionId }, BYPASS)), DENIED)
  const xml = `<Delete><Object><Key>locked</Key><VersionId>${versionId}</VersionId></Object></Delete>`
  const many = {
    path: '/guarded',
    query: { delete: '' },
    body: xml,
    headers: { ...digestOf(xml), ...BYPASS },
  }
  const deleted = await bob.send('POST', many)
  assert.equal(element(deleted.text, 'Code'), 'AccessDenied', deleted.text)
  const shorter =
    '<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>'
  assert.equal(errorOf(await bob.putXml('/guarded/locked', 'retention', shorter, BYPASS)), DENIED)
  assert.equal((await alice.get('/guarded/locked', { versionId })).text, 'locked')
  assert.equal((await alice.delete('/guarded/locked', { versionId }, BYPASS)).status, 204)
})

test('conditions tell nothing of an object to those who may not read it', async () => {
  await rule({ allow: ['s3:PutObject', 's3:DeleteObject'] })
  const { etag } = (await alice.head('/guarded/key')).headers
  const wrong = '"00000000000000000000000000000000"'
  for (const tag of [etag!, wrong]) {
    for (const name of ['If-Match', 'If-None-Match']) {
      const headers = { [name]: tag }
      assert.equal(errorOf(await bob.get('/guarded/key', {}, headers)), DENIED)
      assert.equal(errorOf(await kit.as().get('/guarded/key', {}, headers)), DENIED)
      assert.equal(errorOf(await bob.put('/guarded/key', 'new', { headers })), DENIED)
    }
    const headers = { 'If-Match': tag }
    assert.equal(errorOf(await bob.delete('/guarded/key', {}, headers)), DENIED)
    const uploadId = await begin(bob, '/guarded/key')
    const part = await bob.put('/guarded/key', 'part', { query: { partNumber: '1', uploadId } })
    const list = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part>`
    const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`
    const complete = { path: '/guarded/key', query: { uploadId }, body, headers }
    assert.equal(errorOf(await bob.send('POST', complete)), DENIED)
    assert.equal((await alice.delete('/guarded/key', { uploadId })).status, 204)
    const xml = `<Delete><Object><Key>key</Key><ETag>${tag.replaceAll('"', '')}</ETag></Object></Delete>`
    const md5 = { 'Content-MD5': createHash('md5').update(xml).digest('base64') }
    const deleted = await bob.send('POST', {
      path: '/guarded',
      query: { delete: '' },
      body: xml,
      headers: md5,
    })
    assert.equal(element(deleted.text, 'Code'), 'AccessDenied', deleted.text)
  }
  assert.equal((await alice.get('/guarded/key')).text, 'bytes')
  // Whether there is something is no secret to who may write there.
  assert.equal((await bob.put('/guarded/new', 'new', { headers: { 'If-None-Match': '*' } })).status, 200)
  await rule({ allow: ['s3:PutObject', 's3:GetObject'] })
  assert.equal(
    errorOf(await bob.put('/guarded/key', 'new', { headers: { 'If-Match': wrong } })),
    '412 PreconditionFailed',
  )
  assert.equal((await bob.put('/guarded/key', 'bytes', { headers: { 'If-Match': etag! } })).status, 200)
  // What he has written is his own to read.
  await alice.put('/guarded/key', 'bytes')
})

test('nobody is where a header says that they are', async () => {
  await rule({ allow: ['s3:GetObject'], condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } })
  const told = [
    'X-Forwarded-For',
    'X-Real-IP',
    'Forwarded',
    'True-Client-IP',
    'X-Client-IP',
    'CF-Connecting-IP',
  ]
  for (const name of told)
    assert.equal(errorOf(await bob.get('/guarded/key', {}, { [name]: '10.0.0.1' })), DENIED, name)
  await rule({ allow: ['s3:GetObject'], condition: { Bool: { 'aws:SecureTransport': 'true' } } })
  for (const name of ['X-Forwarded-Proto', 'X-Forwarded-Ssl', 'Front-End-Https', 'aws:SecureTransport'])
    assert.equal(
      errorOf(await bob.get('/guarded/key', {}, { [name.replace(':', '-')]: 'https' })),
      DENIED,
      name,
    )
})

test('names that begin alike are others', async () => {
  await rule({ allow: ['s3:PutObject', 's3:GetObject'], resource: 'arn:aws:s3:::guarded/tenant1/*' })
  assert.equal((await bob.put('/guarded/tenant1/key', 'x')).status, 200)
  for (const path of [
    '/guarded/tenant1',
    '/guarded/tenant1234/key',
    '/guarded/Tenant1/key',
    '/guarded/x/tenant1/key',
  ])
    assert.equal(errorOf(await bob.put(path, 'x')), DENIED, path)
  await alice.put('/guarded-too')
  assert.equal(errorOf(await bob.put('/guarded-too/tenant1/key', 'x')), DENIED)
})

test('a link signs no chunks: one that says so is none', async () => {
  const signer = new SignerV4({ ...BOB, region: 'us-east-1' })
  for (const payload of [
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  ]) {
    const body = Buffer.from('5\r\nbytes\r\n0\r\n\r\n')
    const headers: [string, string][] = [
      ['x-amz-content-sha256', payload],
      ['x-amz-decoded-content-length', '5'],
    ]
    const host = `127.0.0.1:${kit.port}`
    const ask = { method: 'PUT', host, path: '/own/streamed', headers, payload }
    const link = signer.presign(ask, { nowMs: Date.now(), expiresS: 60 })
    const reply = await exchange(kit.port, 'PUT', link.target, link.headers, body)
    assert.ok(reply.status >= 400 && reply.status < 500, `${reply.status} ${reply.text}`)
  }
  assert.equal(errorOf(await bob.get('/own/streamed')), '404 NoSuchKey')
})

test('a link of version 2 for one object is no link for another version, a list or a policy', async () => {
  await alice.put('/linked')
  const versioning = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  assert.equal((await alice.putXml('/linked', 'versioning', versioning)).status, 200)
  const old = (await alice.put('/linked/key', 'old')).headers['x-amz-version-id'] as string
  await alice.put('/linked/key', 'new')
  const host = `127.0.0.1:${kit.port}`
  const follow = (method: string, path: string, more: string, body = '') => {
    const expiresS = Math.floor(Date.now() / 1_000) + 600
    const link = new SignerV2(ALICE).presign({ method, host, path }, expiresS)
    return exchange(kit.port, method, `${link.target}${more}`, link.headers, Buffer.from(body))
  }
  assert.equal((await follow('GET', '/linked/key', '')).text, 'new')
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::linked/*' }],
  })
  const ownership =
    '<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>'
  const wrong = [
    follow('GET', '/linked/key', `&%76ersionId=${old}`),
    follow('DELETE', '/linked/key', `&%76ersionId=${old}`),
    follow('GET', '/linked/key', '&%61cl'),
    follow('PUT', '/linked/key', '&%74agging', '<Tagging><TagSet></TagSet></Tagging>'),
    follow('PUT', '/linked', '&%70olicy', policy),
    follow('PUT', '/linked', '&ownershipControls', ownership),
    follow('GET', '/linked/key', '&attributes'),
    follow('GET', '/linked/key', '&retention'),
    follow('DELETE', '/linked', '&publicAccessBlock'),
    follow('DELETE', '/linked', '&encryption'),
  ]
  for (const reply of await Promise.all(wrong)) {
    assert.equal(reply.status, 403, reply.text)
    assert.match(reply.text, /<Code>(SignatureDoesNotMatch|AccessDenied)</)
  }
  assert.equal((await alice.get('/linked/key', { versionId: old })).text, 'old')
  assert.equal(errorOf(await alice.get('/linked', { policy: '' })), '404 NoSuchBucketPolicy')
})
