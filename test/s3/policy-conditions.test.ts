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

/** Anyone may put objects, and Bob too, but not under these conditions. */
async function denyPuts(condition: object, more: string[] = []): Promise<void> {
  const Resource = 'arn:aws:s3:::judged/*'
  const Action = ['s3:PutObject', ...more]
  const statements = [
    { Effect: 'Allow', Principal: '*', Action: ['s3:PutObject', 's3:*Tagging', 's3:PutObjectAcl'], Resource },
    { Effect: 'Deny', Principal: '*', Action, Resource, Condition: condition },
  ]
  const body = JSON.stringify({ Version: '2012-10-17', Statement: statements })
  await alice.put('/judged')
  assert.equal((await alice.put('/judged', body, { query: { policy: '' } })).status, 204)
}

test('a header that is sent twice is judged as it is used', async () => {
  const put = (...values: string[]) => {
    const headers = values.map((value) => ['x-amz-storage-class', value] as const)
    const host = ['Host', `127.0.0.1:${kit.port}`] as const
    return exchange(kit.port, 'PUT', '/judged/twice', [host, ...headers], Buffer.from('bytes'))
  }
  await denyPuts({ StringEquals: { 's3:x-amz-storage-class': 'STANDARD_IA' } })
  assert.equal(errorOf(await put('STANDARD_IA')), DENIED)
  assert.equal(errorOf(await put('STANDARD_IA', 'STANDARD')), DENIED)
  assert.equal(errorOf(await put('STANDARD_IA', 'STANDARD_IA')), DENIED)
  assert.equal((await put('STANDARD', 'STANDARD_IA')).status, 200)
  assert.equal((await alice.head('/judged/twice')).headers['x-amz-storage-class'], undefined)
})

function postForm(fields: [string, string][], headers: [string, string][] = [], query = '') {
  const boundary = 'xxBOUNDARYxx'
  const parts = fields.map(([name, value]) => `name="${name}"\r\n\r\n${value}`)
  parts.push('name="file"; filename="f"\r\n\r\nbytes')
  const text = parts.map((part) => `--${boundary}\r\nContent-Disposition: form-data; ${part}\r\n`).join('')
  const sent: [string, string][] = [
    ['Host', `127.0.0.1:${kit.port}`],
    ['Content-Type', `multipart/form-data; boundary=${boundary}`],
    ...headers,
  ]
  return exchange(kit.port, 'POST', `/judged${query}`, sent, Buffer.from(`${text}--${boundary}--\r\n`))
}

test('a form is judged by its fields, not by headers that nothing is done with', async () => {
  const CLASS = 'x-amz-storage-class'
  await denyPuts({ StringNotEquals: { [`s3:${CLASS}`]: 'STANDARD_IA' } })
  const key: [string, string] = ['key', 'formed']
  assert.equal(errorOf(await postForm([key], [[CLASS, 'STANDARD_IA']])), DENIED)
  assert.equal((await postForm([key, [CLASS, 'STANDARD_IA']])).status, 204)
  assert.equal((await postForm([key, [CLASS, 'STANDARD_IA']], [[CLASS, 'STANDARD']])).status, 204)

  await denyPuts({ StringNotEquals: { 's3:RequestObjectTag/owner': 'me' } })
  const tagged: [string, string] = ['x-amz-tagging', 'owner=me']
  assert.equal(errorOf(await postForm([key], [tagged])), DENIED)
  assert.equal((await postForm([key, tagged])).status, 204)

  await denyPuts({ StringEquals: { 's3:RequestObjectTag/owner': 'me' } })
  for (const [headers, query] of [
    [[], ''],
    [[['x-amz-copy-source', '/a/b']], ''],
    [[], '?uploadId=x'],
  ] as [[string, string][], string][])
    assert.equal(errorOf(await postForm([key, tagged], headers, query)), DENIED)

  await denyPuts({ Null: { 's3:if-none-match': 'true' } })
  assert.equal(errorOf(await postForm([key], [['If-None-Match', '*']])), DENIED)
  assert.equal(errorOf(await postForm([key, ['If-None-Match', '*']])), DENIED, 'it replaces what is there')

  await denyPuts({ Null: { 's3:x-amz-content-sha256': 'true' } })
  const sha256: [string, string] = ['x-amz-content-sha256', '0'.repeat(64)]
  assert.equal(errorOf(await postForm([key], [sha256])), DENIED)
  assert.equal(errorOf(await postForm([key, sha256])), DENIED, 'nothing is compared with it')
})

test('both names of a list in a form', async () => {
  await denyPuts({ StringEquals: { 's3:x-amz-acl': 'public-read' } }, ['s3:PutObjectAcl'])
  const key: [string, string] = ['key', 'listed']
  const [own, other]: [string, string][] = [
    ['acl', 'private'],
    ['x-amz-acl', 'public-read'],
  ]
  assert.equal(errorOf(await postForm([key, other!])), DENIED)
  assert.equal(errorOf(await postForm([key, other!, own!])), '400 InvalidArgument')
  assert.equal(errorOf(await postForm([key, own!, other!])), '400 InvalidArgument')
  assert.equal((await postForm([key, ['x-amz-acl', 'private']])).status, 204)
  const body = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: '*', Action: 's3:PutObject', Resource: 'arn:aws:s3:::judged/*' },
      { Effect: 'Deny', Principal: '*', Action: 's3:PutObjectAcl', Resource: 'arn:aws:s3:::judged/*' },
    ],
  })
  assert.equal((await alice.put('/judged', body, { query: { policy: '' } })).status, 204)
  assert.equal((await postForm([key])).status, 204)
  assert.equal(errorOf(await postForm([key, own!])), DENIED)
  assert.equal(errorOf(await postForm([key, other!])), DENIED)
})

test('a parameter is no payload of a request whose header is signed', async () => {
  await denyPuts({ StringEquals: { 's3:x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } })
  const put = (query: Record<string, string>, payload?: string) =>
    bob.put('/judged/hashed', 'bytes', { query, ...(payload === undefined ? {} : { payload }) })
  const other = { 'X-Amz-Content-Sha256': createHash('sha256').update('bytes').digest('hex') }
  assert.equal(errorOf(await put({}, 'UNSIGNED-PAYLOAD')), DENIED)
  assert.equal(errorOf(await put(other, 'UNSIGNED-PAYLOAD')), DENIED)
  assert.equal((await put({})).status, 200)
  assert.equal((await put({ 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' })).status, 200)
})

test('tags of a copy count where it gets them, and those of an upload where it begins', async () => {
  await bob.put('/sources')
  const theirs = { 'x-amz-tagging': 'owner=them' }
  assert.equal((await bob.put('/sources/key', 'bytes', { headers: theirs })).status, 200)
  await denyPuts({ StringEquals: { 'aws:UserAgent': 'nobody' } })
  const begun = await alice.send('POST', { path: '/judged/upload', query: { uploads: '' }, headers: theirs })
  const uploadId = element(begun.text, 'UploadId')!
  await denyPuts({ StringNotEquals: { 's3:RequestObjectTag/owner': 'me' } })
  const mine = { 'x-amz-tagging': 'owner=me' }
  const copy = (more: Record<string, string>) =>
    bob.put('/judged/copied', '', { headers: { 'x-amz-copy-source': '/sources/key', ...mine, ...more } })
  assert.equal(errorOf(await copy({})), DENIED)
  assert.equal(errorOf(await copy({ 'x-amz-tagging-directive': 'COPY' })), DENIED)
  const copied = await copy({ 'x-amz-tagging-directive': 'REPLACE' })
  assert.equal(copied.status, 200, copied.text)
  const { text } = await bob.get('/judged/copied', { tagging: '' })
  assert.deepEqual(elements(text, 'Value'), ['me'])
  const part = { query: { partNumber: '1', uploadId }, headers: mine }
  assert.equal(errorOf(await bob.put('/judged/upload', 'part', part)), DENIED)
})
