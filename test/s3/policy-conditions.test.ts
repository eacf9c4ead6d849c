/** Conditions of policies about what is neither header nor parameter, and headers that a presigned link carries in its query. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { SignerV4 } from '../../src/iam/sign.ts'
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
} from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
let bob: S3Client
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  bob = kit.as(BOB)
  await alice.put('/ruled', '', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })
  await alice.put('/ruled/key', 'bytes')
})
after(() => kit.close())

/** Bob may do that in the bucket, under these conditions. */
async function allow(action: string | string[], ...conditions: object[]): Promise<void> {
  const statements = conditions.map((condition) => ({
    Effect: 'Allow',
    Principal: { AWS: 'bob' },
    Action: action,
    Resource: ['arn:aws:s3:::ruled', 'arn:aws:s3:::ruled/*'],
    Condition: condition,
  }))
  const body = JSON.stringify({ Version: '2012-10-17', Statement: statements })
  const reply = await alice.send('PUT', { path: '/ruled', query: { policy: '' }, body })
  assert.equal(reply.status, 204, reply.text)
}

const DENIED = '403 AccessDenied'

test('tags in a document', async () => {
  const put = (tags: Record<string, string>) => {
    const list = Object.entries(tags).map(
      ([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`,
    )
    return bob.putXml('/ruled/key', 'tagging', `<Tagging><TagSet>${list.join('')}</TagSet></Tagging>`)
  }
  await allow('s3:PutObjectTagging', {
    StringEquals: { 's3:RequestObjectTag/team': 'b' },
    'ForAllValues:StringLike': { 's3:RequestObjectTagKeys': ['team', 'own-*'] },
  })
  assert.equal((await put({ team: 'b' })).status, 200)
  assert.equal((await put({ team: 'b', 'own-x': '1' })).status, 200)
  assert.equal(errorOf(await put({ team: 'a' })), DENIED)
  assert.equal(errorOf(await put({})), DENIED)
  assert.equal(errorOf(await put({ team: 'b', other: '1' })), DENIED)
  const { text } = await alice.get('/ruled/key', { tagging: '' })
  assert.deepEqual(elements(text, 'Key').sort(), ['own-x', 'team'])
  assert.equal(errorOf(await bob.putXml('/ruled/key', 'tagging', '<Tagging>')), DENIED)
  await allow('s3:PutObjectTagging', {})
  assert.equal(errorOf(await bob.putXml('/ruled/key', 'tagging', '<Tagging>')), '400 MalformedXML')
  assert.equal(errorOf(await kit.as().putXml('/ruled/key', 'tagging', '<Tagging>')), DENIED)
})

test('locks in a document', async () => {
  const DAY_MS = 86_400_000
  const retain = (days: number, mode = 'GOVERNANCE') => {
    const until = new Date(Date.now() + days * DAY_MS).toISOString()
    const xml = `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`
    return bob.putXml('/ruled/key', 'retention', xml)
  }
  await allow('s3:PutObjectRetention', {
    NumericLessThanEquals: { 's3:object-lock-remaining-retention-days': '10' },
    StringEquals: { 's3:object-lock-mode': 'GOVERNANCE' },
  })
  assert.equal(errorOf(await retain(11)), DENIED)
  assert.equal(errorOf(await retain(2, 'COMPLIANCE')), DENIED)
  assert.equal((await retain(2)).status, 200)
  const hold = (status: string) =>
    bob.putXml('/ruled/key', 'legal-hold', `<LegalHold><Status>${status}</Status></LegalHold>`)
  assert.equal(errorOf(await hold('ON')), DENIED)
  await allow('s3:PutObjectLegalHold', { StringEquals: { 's3:object-lock-legal-hold': 'ON' } })
  assert.equal((await hold('ON')).status, 200)
  assert.equal(errorOf(await hold('OFF')), DENIED)
  const { text } = await alice.get('/ruled/key', { 'legal-hold': '' })
  assert.equal(element(text, 'Status'), 'ON')
})

test('versions of a list of deletes, and of the source of a copy', async () => {
  const versions = []
  for (const body of ['1', '2'])
    versions.push((await alice.put('/ruled/versions', body)).headers['x-amz-version-id'])
  const [first, second] = versions as [string, string]
  await bob.put('/own')
  const copy = (versionId: string) =>
    bob.put('/own/copy', '', { headers: { 'x-amz-copy-source': `/ruled/versions?versionId=${versionId}` } })
  await allow(['s3:GetObjectVersion', 's3:DeleteObjectVersion'], { StringEquals: { 's3:VersionId': first } })
  assert.equal((await copy(first)).status, 200)
  assert.equal(errorOf(await copy(second)), DENIED)
  const list = [first, second].map((id) => `<Object><Key>versions</Key><VersionId>${id}</VersionId></Object>`)
  const body = `<Delete>${list.join('')}</Delete>`
  const md5 = createHash('md5').update(body).digest('base64')
  const ask = { path: '/ruled', query: { delete: '' }, body, headers: { 'Content-MD5': md5 } }
  const { text } = await bob.send('POST', ask)
  assert.match(
    text,
    new RegExp(`<Deleted>.*${first}.*</Deleted><Error>.*${second}.*AccessDenied.*</Error>`, 's'),
  )
})

test('a presigned link carries headers in its query', async () => {
  await alice.put('/links')
  const host = `127.0.0.1:${kit.port}`
  const put = (query: [string, string][], sent: [string, string][] = []) => {
    const request = { method: 'PUT', host, path: '/links/key', query }
    const { target } = new SignerV4(ALICE).presign(request, { nowMs: Date.now(), expiresS: 60 })
    return exchange(kit.port, 'PUT', target, [['Host', host], ...sent], Buffer.from('bytes'))
  }
  const empty: [string, string][] = [
    ['x-amz-checksum-crc32', 'AAAAAA=='],
    ['x-amz-sdk-checksum-algorithm', 'CRC32'],
  ]
  const given: [string, string][] = [
    ['x-amz-acl', 'public-read'],
    ['x-amz-meta-who', 'ä'],
    ['x-amz-storage-class', 'STANDARD_IA'],
    ['x-amz-tagging', 'a=b'],
  ]
  const reply = await put([...given, ...empty])
  assert.equal(reply.status, 200, reply.text)
  const head = await kit.as().head('/links/key')
  assert.equal(head.status, 200, 'everyone may read it')
  assert.equal(head.headers['x-amz-storage-class'], 'STANDARD_IA')
  assert.equal(Buffer.from(head.headers['x-amz-meta-who'] as string, 'latin1').toString(), '=?UTF-8?B?w6Q=?=')
  assert.equal((await alice.head('/links/key')).headers['x-amz-tagging-count'], '1')
  const both = await put(given.slice(0, 1), [['x-amz-acl', 'private']])
  assert.equal(errorOf(both), DENIED, 'a header that is not signed')
})
