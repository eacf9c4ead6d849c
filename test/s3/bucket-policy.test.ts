/** GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy and GetBucketPolicyStatus. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ALICE, BOB, element, errorOf, ROOT, type S3Client, type S3Kit, startS3 } from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  await alice.put('/ruled')
})
after(() => kit.close())

const policyOf = (...statements: object[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements })
const allow = (principal: unknown, action: string | string[], more: object = {}) => ({
  Effect: 'Allow',
  Principal: principal,
  Action: action,
  Resource: ['arn:aws:s3:::ruled', 'arn:aws:s3:::ruled/*'],
  ...more,
})
const put = (text: string) => alice.send('PUT', { path: '/ruled', query: { policy: '' }, body: text })

test('set, given back to the byte, removed', async () => {
  const missing = await alice.get('/ruled', { policy: '' })
  assert.equal(errorOf(missing), '404 NoSuchBucketPolicy')
  const text = `${policyOf(allow({ AWS: 'arn:aws:iam::bob:user/bob' }, 's3:ListBucket')).slice(0, -1)} }`
  assert.equal(errorOf(await kit.as(BOB).get('/ruled')), '403 AccessDenied')
  assert.equal((await put(text)).status, 204)
  const got = await alice.get('/ruled', { policy: '' })
  assert.equal(got.text, text)
  assert.equal(got.headers['content-type'], 'application/json')
  assert.equal((await kit.as(BOB).get('/ruled')).status, 200)
  assert.equal(errorOf(await kit.as().get('/ruled')), '403 AccessDenied')
  assert.equal((await alice.delete('/ruled', { policy: '' })).status, 204)
  assert.equal(errorOf(await kit.as(BOB).get('/ruled')), '403 AccessDenied')
})

test('public or not', async () => {
  const isPublic = async () => element((await alice.get('/ruled', { policyStatus: '' })).text, 'IsPublic')
  assert.equal(await isPublic(), 'false')
  await alice.put('/ruled', '', { query: { acl: '' }, headers: { 'x-amz-acl': 'public-read' } })
  assert.equal(await isPublic(), 'true')
  await alice.put('/ruled', '', { query: { acl: '' }, headers: { 'x-amz-acl': 'private' } })
  await put(policyOf(allow('*', 's3:ListBucket')))
  const open = await alice.get('/ruled', { policyStatus: '' })
  assert.equal(
    open.text,
    '<?xml version="1.0" encoding="UTF-8"?>\n<PolicyStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsPublic>true</IsPublic></PolicyStatus>',
  )
  assert.equal((await kit.as().get('/ruled')).status, 200)
  const here = { Condition: { IpAddress: { 'aws:SourceIp': '127.0.0.1/32' } } }
  await put(policyOf(allow('*', 's3:ListBucket', here)))
  assert.equal(await isPublic(), 'false')
  assert.equal((await kit.as().get('/ruled')).status, 200)
  const elsewhere = { Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }
  await put(policyOf(allow('*', 's3:ListBucket', elsewhere)))
  assert.equal(errorOf(await kit.as().get('/ruled')), '403 AccessDenied')
})

test('an explicit deny is stronger, but the owner gets the policy out again', async () => {
  await put(policyOf(allow('*', 's3:*'), { ...allow('*', 's3:*'), Effect: 'Deny' }))
  assert.equal(errorOf(await alice.get('/ruled')), '403 AccessDenied')
  assert.equal(errorOf(await kit.as(ROOT).get('/ruled')), '403 AccessDenied')
  assert.equal((await alice.delete('/ruled', { policy: '' })).status, 204)
  assert.equal((await alice.get('/ruled')).status, 200)
})

test('documents that are none', async () => {
  const cases = [
    '',
    'not json',
    '{}',
    '{"Version":"2012-10-17"',
    policyOf(),
    policyOf(allow('*', 's3:NoSuchAction')),
    policyOf(allow({ AWS: 'arn:aws:iam::nobody:user/nobody' }, 's3:*')),
    policyOf(allow('*', 's3:GetObject', { Resource: 'arn:aws:s3:::other/*' })),
    policyOf({ ...allow('*', 's3:*'), Effect: 'Maybe' }),
    ` ${policyOf(allow('*', 's3:*'))}`,
    policyOf({ ...allow('*', 's3:*'), Sid: 'x'.repeat(21_000) }),
  ]
  for (const text of cases) {
    const reply = await put(text)
    assert.equal(errorOf(reply), '400 MalformedPolicy', text.slice(0, 100))
    assert.ok(element(reply.text, 'Message'))
  }
  assert.equal(errorOf(await alice.get('/ruled', { policy: '' })), '404 NoSuchBucketPolicy')
})
