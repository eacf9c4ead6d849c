/** The gate as the server asks it: callers, buckets and objects as the object layer gives them, values for conditions. */
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { describe, test } from 'node:test'
import { cannedAcl, formatAcl } from '../../src/iam/acl.ts'
import { Identities } from '../../src/iam/identities.ts'
import { SignerV2, SignerV4 } from '../../src/iam/sign.ts'
import type { Bucket, BucketConfig, ObjectInfo } from '../../src/objects/object-store.ts'
import { IamGate } from '../../src/protocols/s3/iam-gate.ts'
import { wholeBody } from '../../src/protocols/s3/request-body.ts'
import { S3Request } from '../../src/protocols/s3/s3-request.ts'
import { REGION, refusal, stoppedClock } from './support.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
const ROOT = { accessKey: 'root-key', secretKey: 'root-secret' }
const ALICE = { accessKey: 'alice-key', secretKey: 'alice-secret' }
const ACCOUNTS = { accounts: [{ name: 'alice', id: 'a1', accessKeys: [ALICE] }, { name: 'owner' }] }
const identities = new Identities(ROOT, { path: 'x', text: JSON.stringify(ACCOUNTS) })
const gate = new IamGate({ identities, region: REGION, clock: stoppedClock(NOW), allowsV2: true })
const signer = new SignerV4(ALICE)
const UNTIL = 'x-amz-object-lock-retain-until-date'

interface Sent {
  method?: string
  path?: string
  query?: [string, string][]
  headers?: [string, string][]
  body?: Buffer
  payload?: string
  isTls?: boolean
  tlsVersion?: string
  remoteAddress?: string
  signed?: 'v4' | 'v4-link' | 'v2' | 'no'
}

function requestOf(sent: Sent): S3Request {
  const { method = 'GET', path = '/bucket/key', query = [], isTls = false, remoteAddress = '10.1.2.3' } = sent
  const { tlsVersion } = sent
  const request = { ...sent, method, path, query, host: 'localhost:9000' }
  const way = sent.signed ?? 'v4'
  const wire =
    way === 'v4-link'
      ? signer.presign(request, { nowMs: NOW - 5_000, expiresS: 60 })
      : way === 'v2'
        ? new SignerV2(ALICE).sign(request, NOW)
        : signer.sign(request, NOW - 5_000)
  const headers = way === 'no' ? [['Host', 'localhost'], ...(sent.headers ?? [])] : wire.headers
  const input = { method, target: wire.target, rawHeaders: headers.flat(), remoteAddress, isTls, tlsVersion }
  return new S3Request(input, [])
}

let buckets = 0

function bucketWith(configs: Partial<Record<BucketConfig, string>>): Bucket {
  return {
    id: ++buckets,
    name: 'bucket',
    owner: 'owner',
    createdMs: 0,
    versioning: 'off',
    objectLock: false,
    quotaBytes: 0,
    configs: new Map(Object.entries(configs) as [BucketConfig, string][]),
    revision: 1,
  }
}

function objectWith(change: Partial<ObjectInfo>): ObjectInfo {
  return {
    key: 'key',
    versionId: 'null',
    isLatest: true,
    isDeleteMarker: false,
    sizeBytes: 0,
    etag: '',
    modifiedMs: 0,
    attributes: {},
    tags: [],
    lock: {},
    ...change,
  }
}

function allows(sent: Sent, bucket: Bucket, more: { action?: string; object?: ObjectInfo } = {}): boolean {
  const request = requestOf(sent)
  const { action = 's3:GetObject', object } = more
  const question = { action, bucketName: 'bucket', bucket, key: request.key, request }
  return gate.allows(gate.authenticate(request), object === undefined ? question : { ...question, object })
}

function allowing(condition: object, action = 's3:GetObject'): Bucket {
  const resource = action === 's3:ListBucket' ? 'arn:aws:s3:::bucket' : 'arn:aws:s3:::bucket/*'
  const statement = {
    Effect: 'Allow',
    Principal: '*',
    Action: action,
    Resource: resource,
    Condition: condition,
  }
  return bucketWith({ policy: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }) })
}

describe('values for conditions', () => {
  /** `other`: a request without that value; undefined: all have it. */
  const table: [key: string, value: string, sent: Sent, other: Sent | undefined][] = [
    ['aws:SourceIp', '10.1.0.0/16', {}, { remoteAddress: '10.2.0.1' }],
    ['aws:SecureTransport', 'true', { isTls: true }, {}],
    [
      'aws:Referer',
      'http://here/*',
      { headers: [['Referer', 'http://here/x']] },
      { headers: [['Referer', 'http://there']] },
    ],
    ['aws:UserAgent', 'curl*', { headers: [['User-Agent', 'curl/8']] }, {}],
    ['aws:username', 'alice', {}, { signed: 'no' }],
    ['aws:userid', 'a1', {}, { signed: 'no' }],
    ['aws:PrincipalArn', 'arn:aws:iam::a1:user/alice', {}, { signed: 'no' }],
    ['aws:PrincipalType', 'User', {}, { signed: 'no' }],
    [
      's3:x-amz-acl',
      'private',
      { headers: [['x-amz-acl', 'private']] },
      { headers: [['x-amz-acl', 'public-read']] },
    ],
    ['s3:VersionId', 'abc', { query: [['versionId', 'abc']] }, { query: [['versionId', 'abd']] }],
    ['s3:signatureversion', 'AWS', { signed: 'v2' }, {}],
    ['s3:authType', 'REST-QUERY-STRING', { signed: 'v4-link' }, {}],
    [
      's3:x-amz-copy-source',
      'other/ä*',
      { headers: [['x-amz-copy-source', '/other/%C3%A4b?versionId=1']] },
      {},
    ],
    [
      's3:RequestObjectTag/a b',
      'c',
      { headers: [['x-amz-tagging', 'a%20b=c&d=e']] },
      { headers: [['x-amz-tagging', 'a=c']] },
    ],
    ['s3:object-lock-mode', 'GOVERNANCE', { headers: [['x-amz-object-lock-mode', 'GOVERNANCE']] }, {}],
    ['s3:object-lock-legal-hold', 'ON', { headers: [['x-amz-object-lock-legal-hold', 'ON']] }, {}],
    ['s3:object-lock-retain-until-date', '2027*', { headers: [[UNTIL, '2027-01-01T00:00:00Z']] }, {}],
    ['s3:object-lock-remaining-retention-days', '41', { headers: [[UNTIL, '2027-01-01T00:00:00Z']] }, {}],
    ['s3:RequestObjectTagKeys', 'd', { headers: [['x-amz-tagging', 'd=c']] }, {}],
    ['s3:TlsVersion', '1.3', { tlsVersion: '1.3' }, { tlsVersion: '1.2' }],
    ['s3:x-amz-content-sha256', 'UNSIGNED-PAYLOAD', { signed: 'v4-link' }, {}],
    ['s3:ObjectCreationOperation', 'false', { query: [['uploads', '']] }, { query: [['uploadId', 'x']] }],
    ['s3:ResourceAccount', 'owner', {}, undefined],
    ['aws:ResourceAccount', 'owner', {}, undefined],
    ['aws:RequestedRegion', REGION, {}, undefined],
    ['aws:ViaAWSService', 'false', {}, undefined],
    ['aws:PrincipalIsAWSService', 'false', {}, undefined],
    ['aws:PrincipalAccount', 'a1', {}, { signed: 'no' }],
    ['aws:EpochTime', String(NOW / 1000), {}, undefined],
    ...['x-amz-metadata-directive', 'x-amz-storage-class', 'x-amz-grant-read', 'x-amz-object-ownership']
      .concat('x-amz-server-side-encryption', 'x-amz-server-side-encryption-customer-algorithm')
      .concat('x-amz-website-redirect-location', 'if-match', 'if-none-match')
      .map((name): [string, string, Sent, Sent] => [`s3:${name}`, 'a*', { headers: [[name, 'abc']] }, {}]),
    ['s3:x-amz-acl', 'public-read', { signed: 'v4-link', query: [['x-amz-acl', 'public-read']] }, {}],
  ]
  for (const [key, value, sent, other] of table) {
    test(key, () => {
      const operator =
        key === 'aws:SourceIp' ? 'IpAddress' : key === 'aws:SecureTransport' ? 'Bool' : 'StringLike'
      const bucket = allowing({ [operator]: { [key]: value } })
      assert.equal(allows(sent, bucket), true)
      const elsewhere = allowing({ StringEquals: { [key]: `${value}x` } })
      if (other === undefined) assert.equal(allows(sent, elsewhere), false)
      else assert.equal(allows(other, bucket), false)
    })
  }

  test('those of listings, of tags that are there, of ages', () => {
    const list = allowing(
      {
        StringEquals: { 's3:prefix': 'a/', 's3:delimiter': '/' },
        NumericLessThanEquals: { 's3:max-keys': '10' },
      },
      's3:ListBucket',
    )
    const ask = (query: [string, string][]) =>
      allows({ path: '/bucket', query }, list, { action: 's3:ListBucket' })
    assert.equal(
      ask([
        ['prefix', 'a/'],
        ['delimiter', '/'],
        ['max-keys', '10'],
      ]),
      true,
    )
    assert.equal(
      ask([
        ['prefix', 'a/'],
        ['delimiter', '/'],
        ['max-keys', '11'],
      ]),
      false,
    )
    assert.equal(ask([['prefix', 'a/']]), false)
    const tagged = allowing({ StringEquals: { 's3:ExistingObjectTag/team': 'x' } })
    assert.equal(allows({}, tagged, { object: objectWith({ tags: [['team', 'x']] }) }), true)
    assert.equal(allows({}, tagged, { object: objectWith({ tags: [['team', 'y']] }) }), false)
    assert.equal(allows({}, tagged), false)
    const young = allowing({ NumericLessThan: { 's3:signatureAge': '6000' } })
    assert.equal(allows({}, young), true)
    assert.equal(allows({}, allowing({ NumericLessThan: { 's3:signatureAge': '4000' } })), false)
    assert.equal(
      allows({}, allowing({ DateGreaterThan: { 'aws:CurrentTime': '2026-11-21T11:59:59Z' } })),
      true,
    )
  })
})

test('lists and owners of buckets and objects', () => {
  const owners = {
    owner: identities.account('owner')!.canonicalId,
    bucketOwner: identities.account('owner')!.canonicalId,
  }
  const acl = formatAcl(cannedAcl('public-read', owners))
  assert.equal(allows({ path: '/bucket' }, bucketWith({ acl }), { action: 's3:ListBucket' }), true)
  assert.equal(allows({}, bucketWith({ acl })), false)
  const object = objectWith({ attributes: { acl, owner: 'owner' } })
  assert.equal(allows({}, bucketWith({}), { object }), true)
  assert.equal(allows({ signed: 'no' }, bucketWith({}), { object }), true)
  assert.equal(allows({}, bucketWith({}), { object: objectWith({ attributes: { owner: 'a1' } }) }), true)
  assert.throws(() => allows({}, bucketWith({ acl: '{' })), { code: 'corrupt' })
})

test('bodies are opened as they were signed', async () => {
  const body = Buffer.from('the body')
  const open = (sent: Sent, bytes: Buffer) =>
    gate.authenticate(requestOf({ method: 'PUT', ...sent })).open(wholeBody(bytes))
  assert.deepEqual(open({ body }, body).whole, body)
  const { code, extra } = refusal(() => open({ body }, Buffer.from('another')))
  assert.equal(code, 'XAmzContentSHA256Mismatch')
  assert.match(extra!.ClientComputedContentSHA256!, /^[0-9a-f]{64}$/)
  assert.deepEqual(open({ payload: 'UNSIGNED-PAYLOAD' }, body).whole, body)
  const late = gate
    .authenticate(requestOf({ method: 'PUT', body }))
    .open({ ...wholeBody(Buffer.from('x')), whole: undefined })
  assert.equal(late.sha256, crypto.hash('sha256', body, 'hex'), 'for whoever stores it to compare')
  const headers: [string, string][] = [
    ['x-amz-decoded-content-length', '5'],
    ['x-amz-trailer', 'x-amz-checksum-crc32'],
  ]
  const framed = Buffer.from('5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n')
  const chunked = { payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', headers }
  const whole = open(chunked, framed)
  assert.deepEqual([whole.whole!.toString(), whole.trailer?.('x-amz-checksum-crc32')], ['hello', 'NhCmhg=='])
  const arriving = gate
    .authenticate(requestOf({ method: 'PUT', ...chunked }))
    .open({ ...wholeBody(framed), whole: undefined })
  assert.equal(arriving.sizeBytes, 5)
  assert.equal(arriving.trailer?.('x-amz-checksum-crc32'), undefined)
  const pieces: Buffer[] = []
  for await (const piece of arriving.pieces()) pieces.push(piece)
  assert.deepEqual(
    [Buffer.concat(pieces).toString(), arriving.trailer?.('x-amz-checksum-crc32')],
    ['hello', 'NhCmhg=='],
  )
})

test('forms are asked for in the name of who signed them', () => {
  const request = requestOf({ method: 'POST', path: '/bucket', signed: 'no' })
  const conditions = [{ bucket: 'bucket' }, ['starts-with', '$key', 'up/'], { acl: 'private' }]
  const signing = ['algorithm', 'credential', 'date'].map((each) => ['starts-with', `$x-amz-${each}`, ''])
  const policy = JSON.stringify({
    expiration: '2026-11-22T00:00:00Z',
    conditions: [...conditions, ...signing],
  })
  const fields: [string, string][] = [['key', 'up/x'], ['acl', 'private'], ...signer.signForm(policy, NOW)]
  const form = gate.authenticateForm({ bucket: 'bucket', fields, filename: undefined })
  assert.deepEqual(
    [form.key, form.principal.account!.name, form.fields.get('acl')],
    ['up/x', 'alice', 'private'],
  )
  const bucket = allowing(
    { StringEquals: { 's3:x-amz-acl': 'private', 's3:authType': 'POST' } },
    's3:PutObject',
  )
  const question = { action: 's3:PutObject', bucketName: 'bucket', bucket, key: form.key, request }
  assert.equal(gate.allows(form, question), true)
  assert.equal(gate.allows(gate.authenticate(request), question), false)
})
