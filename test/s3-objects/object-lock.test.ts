/**
 * GetObjectRetention, PutObjectRetention, GetObjectLegalHold, PutObjectLegalHold; GetObjectTagging, PutObjectTagging,
 * DeleteObjectTagging; GetObjectAcl, PutObjectAcl.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ALICE, BOB, canonicalId, element, elements, errorOf, type S3Kit, startS3 } from '../s3/s3-kit.ts'

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
const md5 = (body: string) => ({ 'Content-MD5': createHash('md5').update(body).digest('base64') })
const MODE = 'x-amz-object-lock-mode'
const UNTIL = 'x-amz-object-lock-retain-until-date'

test('locks given with the object', async () => {
  const until = inDays(1)
  const lock = { [MODE]: 'GOVERNANCE', [UNTIL]: until, 'x-amz-object-lock-legal-hold': 'ON' }
  const headers = { ...lock, ...md5('x') }
  assert.equal(errorOf(await kit.client.put('/locks/k', 'x', { headers: lock })), '400 InvalidRequest')
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

test('a legal hold that nobody spoke of, and one that was taken off', async () => {
  const { client } = kit
  await client.put('/locks/h', 'x')
  const held = () => client.get('/locks/h', { 'legal-hold': '' })
  assert.equal(errorOf(await held()), '404 NoSuchObjectLockConfiguration')
  assert.equal((await client.head('/locks/h')).headers['x-amz-object-lock-legal-hold'], undefined)
  for (const status of ['ON', 'OFF']) {
    await client.putXml('/locks/h', 'legal-hold', `<LegalHold><Status>${status}</Status></LegalHold>`)
    assert.equal(element((await held()).text, 'Status'), status)
    assert.equal((await client.head('/locks/h')).headers['x-amz-object-lock-legal-hold'], status)
  }
  const retained = await client.putXml('/locks/h', 'retention', retention('GOVERNANCE', inDays(1)))
  assert.equal(retained.status, 200, retained.text)
  assert.equal(element((await held()).text, 'Status'), 'OFF')
  const off = { 'x-amz-object-lock-legal-hold': 'OFF', ...md5('x') }
  assert.equal((await client.put('/locks/h', 'x', { headers: off })).status, 200)
  assert.equal(element((await held()).text, 'Status'), 'OFF')
})

test('what is wrong with a document comes before what is missing', async () => {
  const { client } = kit
  const put = (path: string, sub: string, xml: string) => client.putXml(path, sub, xml).then(errorOf)
  const hold = (status: string) => `<LegalHold><Status>${status}</Status></LegalHold>`
  assert.equal(await put('/locks/none', 'legal-hold', hold('on')), '400 MalformedXML')
  assert.equal(await put('/plain/none', 'legal-hold', hold('on')), '400 MalformedXML')
  assert.equal(await put('/plain/none', 'legal-hold', hold('ON')), '400 InvalidRequest')
  assert.equal(await put('/locks/none', 'legal-hold', hold('ON')), '404 NoSuchKey')
  assert.equal(await put('/locks/none', 'retention', retention('none', inDays(1))), '400 MalformedXML')
  const past = retention('GOVERNANCE', inDays(-1))
  assert.equal(await put('/locks/none', 'retention', past), '400 InvalidArgument')
  assert.equal(await put('/plain/none', 'retention', past), '400 InvalidArgument')
  assert.equal(await put('/locks/none', 'retention', retention('GOVERNANCE', inDays(1))), '404 NoSuchKey')
  const stranger = await kit.as(BOB).putXml('/locks/none', 'retention', past)
  assert.equal(errorOf(stranger), '403 AccessDenied')
})

test('an empty version id in a request about locks is none', async () => {
  await kit.client.put('/locks/e', 'x')
  const query = { 'legal-hold': '', versionId: '' }
  const body = '<LegalHold><Status>OFF</Status></LegalHold>'
  assert.equal(
    (await kit.client.send('PUT', { path: '/locks/e', query, body, headers: md5(body) })).status,
    200,
  )
  assert.equal(element((await kit.client.get('/locks/e', query)).text, 'Status'), 'OFF')
  assert.equal(errorOf(await kit.client.get('/locks/e', { versionId: '' })), '400 InvalidArgument')
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
