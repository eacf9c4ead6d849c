/** GetBucketAcl and PutBucketAcl. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  ALICE,
  BOB,
  canonicalId,
  element,
  elements,
  errorOf,
  type S3Client,
  type S3Kit,
  startS3,
} from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  await alice.put('/listed')
})
after(() => kit.close())

const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
const OWNER = `<Owner><ID>${canonicalId('alice')}</ID><DisplayName>Alice</DisplayName></Owner>`
const user = (account: 'alice' | 'bob', name: string, permission: string) =>
  `<Grant><Grantee ${XSI} xsi:type="CanonicalUser"><ID>${canonicalId(account)}</ID><DisplayName>${name}</DisplayName></Grantee><Permission>${permission}</Permission></Grant>`
const ALL = 'http://acs.amazonaws.com/groups/global/AllUsers'
const group = (uri: string, permission: string) =>
  `<Grant><Grantee ${XSI} xsi:type="Group"><URI>${uri}</URI></Grantee><Permission>${permission}</Permission></Grant>`
const document = (...grants: string[]) =>
  `<AccessControlPolicy ${NS}>${OWNER}<AccessControlList>${grants.join('')}</AccessControlList></AccessControlPolicy>`
const get = async () => (await alice.get('/listed', { acl: '' })).text
const put = (body: string, headers: Record<string, string> = {}) =>
  alice.send('PUT', { path: '/listed', query: { acl: '' }, body, headers })

test('private from the start', async () => {
  const full = user('alice', 'Alice', 'FULL_CONTROL')
  assert.equal(await get(), `<?xml version="1.0" encoding="UTF-8"?>\n${document(full)}`)
})

test('canned lists', async () => {
  assert.equal((await put('', { 'x-amz-acl': 'public-read' })).status, 200)
  const grants = [user('alice', 'Alice', 'FULL_CONTROL'), group(ALL, 'READ')]
  assert.equal(await get(), `<?xml version="1.0" encoding="UTF-8"?>\n${document(...grants)}`)
  assert.equal((await kit.as().get('/listed')).status, 200)
  // Who may list the bucket may know what is not in it.
  assert.equal(errorOf(await kit.as().get('/listed/nothing')), '404 NoSuchKey')
  assert.equal(errorOf(await kit.as().delete('/listed/nothing')), '403 AccessDenied')
  assert.equal(errorOf(await kit.as(BOB).get('/listed', { acl: '' })), '403 AccessDenied')
  assert.equal((await put('', { 'x-amz-acl': 'authenticated-read' })).status, 200)
  assert.equal(errorOf(await kit.as().get('/listed')), '403 AccessDenied')
  assert.equal(errorOf(await kit.as().get('/listed/nothing')), '403 AccessDenied')
  assert.equal((await kit.as(BOB).get('/listed')).status, 200)
  assert.equal((await put('', { 'x-amz-acl': 'private' })).status, 200)
  assert.equal(errorOf(await put('', { 'x-amz-acl': 'everybody' })), '400 InvalidArgument')
})

test('grants in headers', async () => {
  const headers = {
    'x-amz-grant-read': `id="${canonicalId('bob')}", uri="${ALL}"`,
    'x-amz-grant-read-acp': 'emailAddress="bob@example.com"',
    'x-amz-grant-full-control': `id=${canonicalId('alice')}`,
  }
  assert.equal((await put('', headers)).status, 200)
  assert.deepEqual(elements(await get(), 'Permission'), ['FULL_CONTROL', 'READ', 'READ', 'READ_ACP'])
  assert.equal((await kit.as(BOB).get('/listed', { acl: '' })).status, 200)
  const both = { 'x-amz-acl': 'private', 'x-amz-grant-read': `uri="${ALL}"` }
  assert.equal(errorOf(await put('', both)), '400 InvalidRequest')
  assert.equal(errorOf(await put('', { 'x-amz-grant-read': 'bob' })), '400 InvalidArgument')
  assert.equal(
    errorOf(await put('', { 'x-amz-grant-read': 'uri="http://example.com/"' })),
    '400 InvalidArgument',
  )
  const unknown = await put('', { 'x-amz-grant-read': 'emailAddress="x@example.com"' })
  assert.equal(errorOf(unknown), '400 UnresolvableGrantByEmailAddress')
})

test('a document', async () => {
  const given = document(user('bob', 'Bob', 'WRITE'), user('alice', 'Alice', 'FULL_CONTROL'))
  assert.equal((await put(given)).status, 200)
  assert.equal(await get(), `<?xml version="1.0" encoding="UTF-8"?>\n${given}`)
  const byEmail = `<Grant><Grantee ${XSI} xsi:type="AmazonCustomerByEmail"><EmailAddress>bob@example.com</EmailAddress></Grantee><Permission>READ</Permission></Grant>`
  assert.equal((await put(document(byEmail))).status, 200)
  assert.equal(element(await get(), 'DisplayName'), 'Alice')
  assert.deepEqual(elements(await get(), 'Permission'), ['READ'])
  assert.equal(errorOf(await put(document(user('bob', 'Bob', 'EVERYTHING')))), '400 MalformedACLError')
  assert.equal(errorOf(await put('<AccessControlPolicy>')), '400 MalformedACLError')
  assert.equal(errorOf(await put(document().replace(OWNER, ''))), '400 MalformedACLError')
  const nobody = document(user('bob', 'Bob', 'READ').replace(canonicalId('bob'), 'f'.repeat(64)))
  assert.equal(errorOf(await put(nobody)), '400 InvalidArgument')
  const owned = document().replaceAll(canonicalId('alice'), canonicalId('bob'))
  assert.equal(errorOf(await put(owned)), '403 AccessDenied')
  assert.equal(errorOf(await put(given, { 'x-amz-acl': 'private' })), '400 UnexpectedContent')
  assert.equal(errorOf(await put('')), '400 MissingSecurityHeader')
})

test('buckets without lists', async () => {
  await put('', { 'x-amz-acl': 'private' })
  const xml = `<OwnershipControls ${NS}><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>`
  assert.equal((await alice.putXml('/listed', 'ownershipControls', xml)).status, 200)
  assert.equal(errorOf(await put('', { 'x-amz-acl': 'public-read' })), '400 AccessControlListNotSupported')
  assert.equal((await put('', { 'x-amz-acl': 'bucket-owner-full-control' })).status, 200)
  assert.deepEqual(elements(await get(), 'Permission'), ['FULL_CONTROL'])
})
