/**
 * GetObjectRetention, PutObjectRetention, GetObjectLegalHold, PutObjectLegalHold; GetObjectTagging, PutObjectTagging,
 * DeleteObjectTagging; GetObjectAcl, PutObjectAcl.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ALICE, canonicalId, element, elements, errorOf, type S3Kit, startS3 } from '../s3/s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/locks', '', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })
  await kit.client.put('/plain')
  await kit.client.put('/plain/k', 'x')
})
after(() => kit.close())

const DAY_MS = 86_400_000
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString()
const retention = (mode: string, until: string) =>
  `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`
const MODE = 'x-amz-object-lock-mode'
const UNTIL = 'x-amz-object-lock-retain-until-date'

test('locks given with the object', async () => {
  const until = inDays(1)
  const headers = { [MODE]: 'GOVERNANCE', [UNTIL]: until, 'x-amz-object-lock-legal-hold': 'ON' }
  const put = await kit.client.put('/locks/k', 'x', { headers })
  assert.equal(put.status, 200, put.text)
  const versionId = put.headers['x-amz-version-id'] as string
  const head = await kit.client.head('/locks/k')
  assert.equal(head.headers[MODE], 'GOVERNANCE')
  assert.equal(head.headers[UNTIL], until)
  assert.equal(head.headers['x-amz-object-lock-legal-hold'], 'ON')
  const remove = (more: Record<string, string> = {}) => kit.client.delete('/locks/k', { versionId }, more)
  assert.equal(errorOf(await remove()), '403 AccessDenied')
  const bypass = { 'x-amz-bypass-governance-retention': 'true' }
  assert.equal(errorOf(await remove(bypass)), '403 AccessDenied')
  const off = await kit.client.putXml('/locks/k', 'legal-hold', '<LegalHold><Status>OFF</Status></LegalHold>')
  assert.equal(off.status, 200, off.text)
  assert.equal(errorOf(await remove()), '403 AccessDenied')
  assert.equal((await remove(bypass)).status, 204)
})

test('headers of locks that are refused', async () => {
  const refused: Record<string, string>[] = [
    { [MODE]: 'GOVERNANCE' },
    { [UNTIL]: inDays(1) },
    { [MODE]: 'governance', [UNTIL]: inDays(1) },
    { [MODE]: 'GOVERNANCE', [UNTIL]: inDays(-1) },
    { [MODE]: 'GOVERNANCE', [UNTIL]: 'tomorrow' },
    { 'x-amz-object-lock-legal-hold': 'yes' },
  ]
  for (const headers of refused)
    assert.equal(errorOf(await kit.client.put('/locks/no', 'x', { headers })), '400 InvalidArgument')
})

test('retention is made longer, and shorter only by those who may', async () => {
  await kit.client.put('/locks/r', 'x')
  const put = (xml: string, headers: Record<string, string> = {}) =>
    kit.client.putXml('/locks/r', 'retention', xml, headers)
  assert.equal(
    errorOf(await kit.client.get('/locks/r', { retention: '' })),
    '404 NoSuchObjectLockConfiguration',
  )
  assert.equal((await put(retention('GOVERNANCE', inDays(2)))).status, 200)
  assert.equal((await put(retention('GOVERNANCE', inDays(3)))).status, 200)
  assert.equal(errorOf(await put(retention('GOVERNANCE', inDays(1)))), '403 AccessDenied')
  const bypass = { 'x-amz-bypass-governance-retention': 'true' }
  assert.equal((await put(retention('GOVERNANCE', inDays(1)), bypass)).status, 200)
  assert.equal((await put('<Retention/>', bypass)).status, 200)
  assert.equal((await put(retention('COMPLIANCE', inDays(1)))).status, 200)
  assert.equal(errorOf(await put('<Retention/>', bypass)), '403 AccessDenied')
  assert.equal(element((await kit.client.get('/locks/r', { retention: '' })).text, 'Mode'), 'COMPLIANCE')
  assert.equal(errorOf(await put(retention('x', inDays(1)))), '400 MalformedXML')
  assert.equal(errorOf(await put(retention('COMPLIANCE', inDays(-1)))), '400 InvalidArgument')
})

test('buckets without locks', async () => {
  const { client } = kit
  const replies = [
    client.get('/plain/k', { retention: '' }),
    client.get('/plain/k', { 'legal-hold': '' }),
    client.putXml('/plain/k', 'retention', retention('GOVERNANCE', inDays(1))),
    client.putXml('/plain/k', 'legal-hold', '<LegalHold><Status>ON</Status></LegalHold>'),
  ]
  for (const reply of await Promise.all(replies)) assert.equal(errorOf(reply), '400 InvalidRequest')
})

test('tags', async () => {
  const { client } = kit
  const xml = (count: number) =>
    `<Tagging><TagSet>${Array.from({ length: count }, (_, i) => `<Tag><Key>k${i}</Key><Value>v</Value></Tag>`).join('')}</TagSet></Tagging>`
  assert.equal((await client.putXml('/plain/k', 'tagging', xml(10))).status, 200)
  assert.equal(elements((await client.get('/plain/k', { tagging: '' })).text, 'Key').length, 10)
  assert.equal(errorOf(await client.putXml('/plain/k', 'tagging', xml(11))), '400 BadRequest')
  assert.equal((await client.delete('/plain/k', { tagging: '' })).status, 204)
  assert.deepEqual(elements((await client.get('/plain/k', { tagging: '' })).text, 'Key'), [])
  assert.equal(errorOf(await client.get('/plain/none', { tagging: '' })), '404 NoSuchKey')
})

test('ACLs', async () => {
  const { client } = kit
  const get = async () => (await client.get('/plain/k', { acl: '' })).text
  assert.deepEqual(elements(await get(), 'Permission'), ['FULL_CONTROL'])
  const canned = await client.put('/plain/k', '', {
    query: { acl: '' },
    headers: { 'x-amz-acl': 'public-read' },
  })
  assert.equal(canned.status, 200, canned.text)
  assert.deepEqual(elements(await get(), 'Permission'), ['FULL_CONTROL', 'READ'])
  assert.equal((await kit.as().get('/plain/k')).text, 'x')
  const id = canonicalId('alice')
  const grantee = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>${id}</ID></Grantee>`
  const owner = `<Owner><ID>${canonicalId('root')}</ID></Owner>`
  const xml = `<AccessControlPolicy>${owner}<AccessControlList><Grant>${grantee}<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`
  assert.equal((await client.putXml('/plain/k', 'acl', xml)).status, 200)
  assert.equal((await kit.as(ALICE).get('/plain/k')).text, 'x')
  assert.equal(errorOf(await kit.as().get('/plain/k')), '403 AccessDenied')
  assert.equal(
    errorOf(await client.putXml('/plain/k', 'acl', '<AccessControlPolicy/>')),
    '400 MalformedACLError',
  )
  assert.equal(errorOf(await client.put('/plain/k', '', { query: { acl: '' } })), '400 MissingSecurityHeader')
})
