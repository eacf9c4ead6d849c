/**
 * Documents of buckets that are set, given back and removed: GetBucketTagging, PutBucketTagging, DeleteBucketTagging,
 * GetBucketOwnershipControls, PutBucketOwnershipControls, DeleteBucketOwnershipControls, GetPublicAccessBlock, PutPublicAccessBlock,
 * DeletePublicAccessBlock, GetObjectLockConfiguration, PutObjectLockConfiguration, GetBucketRequestPayment, PutBucketRequestPayment,
 * GetBucketAccelerateConfiguration, PutBucketAccelerateConfiguration, GetBucketNotificationConfiguration,
 * PutBucketNotificationConfiguration,
 * GetBucketReplication, DeleteBucketReplication; GetBucketAnalyticsConfiguration, ListBucketAnalyticsConfigurations,
 * DeleteBucketAnalyticsConfiguration, GetBucketInventoryConfiguration, ListBucketInventoryConfigurations,
 * DeleteBucketInventoryConfiguration, GetBucketMetricsConfiguration, ListBucketMetricsConfigurations, DeleteBucketMetricsConfiguration,
 * GetBucketIntelligentTieringConfiguration, ListBucketIntelligentTieringConfigurations, DeleteBucketIntelligentTieringConfiguration.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { query, type Script } from '../../src/meta/meta-store.ts'
import { ALICE, BOB, element, elements, errorOf, fill, type S3Client, type S3Kit, startS3 } from './s3-kit.ts'

const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** Keys of the events that wait to be delivered. */
const OUTBOX: Script<null, string[]> = {
  name: 'test.outbox',
  *steps() {
    const rows = yield query('select payload from outbox order by event_id')
    return rows.map(({ payload }) => (JSON.parse(payload as string) as { key: string }).key)
  },
}

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  await alice.put('/docs')
})
after(() => kit.close())

const tagging = (tags: readonly [string, string][]) =>
  `<Tagging ${NS}><TagSet>${tags.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`).join('')}</TagSet></Tagging>`

test('tags', async () => {
  const missing = await alice.get('/docs', { tagging: '' })
  assert.equal(errorOf(missing), '404 NoSuchTagSet')
  assert.equal(element(missing.text, 'Message'), 'The TagSet does not exist')
  const xml = tagging([
    ['a', '1'],
    ['ключ', 'x y+z'],
  ])
  assert.equal((await alice.putXml('/docs', 'tagging', xml)).status, 204)
  assert.equal((await alice.get('/docs', { tagging: '' })).text, HEAD + xml)
  const put = (tags: [string, string][]) => alice.putXml('/docs', 'tagging', tagging(tags))
  const many = Array.from({ length: 51 }, (_, at): [string, string] => [`k${at}`, ''])
  assert.equal(errorOf(await put(many)), '400 BadRequest')
  assert.equal((await put(many.slice(1))).status, 204)
  assert.equal(
    errorOf(
      await put([
        ['k', '1'],
        ['k', '2'],
      ]),
    ),
    '400 InvalidTag',
  )
  assert.equal(errorOf(await put([['', '1']])), '400 InvalidTag')
  assert.equal(errorOf(await put([['k'.repeat(129), '1']])), '400 InvalidTag')
  assert.equal(errorOf(await put([['k', 'v'.repeat(257)]])), '400 InvalidTag')
  assert.equal(errorOf(await put([['aws:k', 'v']])), '400 InvalidTag')
  assert.equal(errorOf(await put([['k', '{}']])), '400 InvalidTag')
  assert.equal(elements((await alice.get('/docs', { tagging: '' })).text, 'Key').length, 50)
  assert.equal((await alice.delete('/docs', { tagging: '' })).status, 204)
  assert.equal(errorOf(await alice.get('/docs', { tagging: '' })), '404 NoSuchTagSet')
})

test('digests of documents: one is needed, and it must be right', async () => {
  const body = tagging([['a', '1']])
  const send = (headers: Record<string, string>) =>
    alice.send('PUT', { path: '/docs', query: { tagging: '' }, body, headers })
  const none = await send({})
  assert.equal(errorOf(none), '400 InvalidRequest')
  assert.equal(element(none.text, 'Message'), 'Missing required header for this request: Content-MD5')
  assert.equal(errorOf(await send({ 'Content-MD5': 'YWJj' })), '400 InvalidDigest')
  assert.equal(errorOf(await send({ 'Content-MD5': 'kAFQmDzST7DWlj99KOF/cg==' })), '400 BadDigest')
  assert.equal(errorOf(await send({ 'x-amz-checksum-crc32': 'AAAAAA==' })), '400 BadDigest')
  assert.equal(errorOf(await send({ 'x-amz-checksum-crc32': 'A' })), '400 InvalidRequest')
  assert.equal(errorOf(await send({ 'x-amz-sdk-checksum-algorithm': 'CRC32' })), '400 InvalidRequest')
  assert.equal(errorOf(await alice.get('/docs', { tagging: '' })), '404 NoSuchTagSet')
})

test('ownership controls', async () => {
  const xml = (ownership: string) =>
    `<OwnershipControls ${NS}><Rule><ObjectOwnership>${ownership}</ObjectOwnership></Rule></OwnershipControls>`
  const get = () => alice.get('/docs', { ownershipControls: '' })
  assert.equal(errorOf(await get()), '404 OwnershipControlsNotFoundError')
  assert.equal((await alice.putXml('/docs', 'ownershipControls', xml('BucketOwnerPreferred'))).status, 200)
  assert.equal((await get()).text, HEAD + xml('BucketOwnerPreferred'))
  assert.equal(errorOf(await alice.putXml('/docs', 'ownershipControls', xml('Mine'))), '400 MalformedXML')
  assert.equal((await alice.delete('/docs', { ownershipControls: '' })).status, 204)
  assert.equal(errorOf(await get()), '404 OwnershipControlsNotFoundError')
})

test('public access block', async () => {
  const block = (value: string) =>
    `<PublicAccessBlockConfiguration ${NS}><BlockPublicAcls>${value}</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>${value}</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>`
  const get = () => alice.get('/docs', { publicAccessBlock: '' })
  assert.equal(errorOf(await get()), '404 NoSuchPublicAccessBlockConfiguration')
  assert.equal((await alice.putXml('/docs', 'publicAccessBlock', block('true'))).status, 200)
  assert.equal((await get()).text, HEAD + block('true'))
  const open = await alice.put('/docs', '', { query: { acl: '' }, headers: { 'x-amz-acl': 'public-read' } })
  assert.equal(errorOf(open), '403 AccessDenied')
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::docs/*' }],
  })
  assert.equal(errorOf(await alice.putXml('/docs', 'policy', policy)), '403 AccessDenied')
  assert.equal(errorOf(await alice.putXml('/docs', 'publicAccessBlock', block('maybe'))), '400 MalformedXML')
  assert.equal((await alice.delete('/docs', { publicAccessBlock: '' })).status, 204)
  assert.equal((await alice.putXml('/docs', 'policy', policy)).status, 204)
})

test('object lock configuration', async () => {
  const get = (bucket: string) => alice.get(bucket, { 'object-lock': '' })
  const xml = (rule: string) =>
    `<ObjectLockConfiguration ${NS}><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`
  const rule = (period: string) =>
    `<Rule><DefaultRetention><Mode>GOVERNANCE</Mode>${period}</DefaultRetention></Rule>`
  const put = (bucket: string, text: string) => alice.putXml(bucket, 'object-lock', text)
  assert.equal(errorOf(await get('/docs')), '404 ObjectLockConfigurationNotFoundError')
  assert.equal(errorOf(await put('/docs', xml(''))), '409 InvalidBucketState')
  await alice.put('/held', '', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })
  assert.equal((await get('/held')).text, HEAD + xml(''))
  assert.equal((await put('/held', xml(rule('<Days>3</Days>')))).status, 200)
  assert.equal((await get('/held')).text, HEAD + xml(rule('<Days>3</Days>')))
  assert.equal((await put('/held', xml(rule('<Years>1</Years>')))).status, 200)
  assert.equal(errorOf(await put('/held', xml(rule('<Days>0</Days>')))), '400 InvalidArgument')
  assert.equal(errorOf(await put('/held', xml(rule('<Days>40000</Days>')))), '400 InvalidArgument')
  assert.equal(errorOf(await put('/held', xml(rule('<Days>-1</Days>')))), '400 InvalidArgument')
  assert.equal(errorOf(await put('/held', xml(rule('<Days>x</Days>')))), '400 MalformedXML')
  assert.equal(errorOf(await put('/held', xml(rule('<Days>1</Days><Years>1</Years>')))), '400 MalformedXML')
  assert.equal(errorOf(await put('/held', xml(rule('')))), '400 MalformedXML')
  assert.equal(
    errorOf(await put('/held', xml(rule('<Days>1</Days>').replace('GOVERNANCE', 'X')))),
    '400 MalformedXML',
  )
  assert.equal((await get('/held')).text, HEAD + xml(rule('<Years>1</Years>')))
})

test('request payment and acceleration', async () => {
  const payer = (who: string) =>
    `<RequestPaymentConfiguration ${NS}><Payer>${who}</Payer></RequestPaymentConfiguration>`
  assert.equal((await alice.get('/docs', { requestPayment: '' })).text, HEAD + payer('BucketOwner'))
  assert.equal((await alice.putXml('/docs', 'requestPayment', payer('BucketOwner'))).status, 200)
  assert.equal(
    errorOf(await alice.putXml('/docs', 'requestPayment', payer('Requester'))),
    '501 NotImplemented',
  )
  assert.equal(errorOf(await alice.putXml('/docs', 'requestPayment', payer('Nobody'))), '400 MalformedXML')
  const status = (text: string) => `<AccelerateConfiguration ${NS}>${text}</AccelerateConfiguration>`
  assert.equal((await alice.get('/docs', { accelerate: '' })).text, HEAD + status(''))
  const enabled = status('<Status>Enabled</Status>')
  assert.equal((await alice.putXml('/docs', 'accelerate', enabled)).status, 200)
  assert.equal((await alice.get('/docs', { accelerate: '' })).text, HEAD + enabled)
})

test('notifications: kept, given back, and each change noted', async () => {
  const get = async () => (await alice.get('/told', { notification: '' })).text
  const put = (inside: string) =>
    alice.putXml(
      '/told',
      'notification',
      `<NotificationConfiguration ${NS}>${inside}</NotificationConfiguration>`,
    )
  const document = (inside: string) =>
    `${HEAD}<NotificationConfiguration ${NS}>${inside}</NotificationConfiguration>`
  await alice.put('/told')
  assert.equal(await get(), document(''))
  const arn = 'arn:aws:sqs:us-east-1:123456789012:queue'
  const rule = (name: string, value: string) =>
    `<FilterRule><Name>${name}</Name><Value>${value}</Value></FilterRule>`
  const filter = (rules: string) => `<Filter><S3Key>${rules}</S3Key></Filter>`
  const event = '<Event>s3:ObjectCreated:*</Event>'
  const queue = (inside: string) =>
    `<QueueConfiguration><Id>q</Id><Queue>${arn}</Queue>${inside}</QueueConfiguration>`
  const whole = `${queue(event + filter(rule('Prefix', 'a/') + rule('Suffix', '.jpg')))}<EventBridgeConfiguration></EventBridgeConfiguration>`
  assert.equal((await put(whole)).status, 200)
  assert.equal(await get(), document(whole))
  await fill(kit, 'told', ['a/1.jpg'])
  const noted = await kit.meta.read(OUTBOX, null)
  assert.deepEqual(noted, ['a/1.jpg'])
  assert.equal(errorOf(await put(queue(''))), '400 MalformedXML')
  assert.equal(errorOf(await put(queue('<Event>s3:Nothing</Event>'))), '400 InvalidArgument')
  assert.equal(errorOf(await put(queue(event).replace(arn, 'queue'))), '400 InvalidArgument')
  assert.equal(errorOf(await put(queue(event + filter(rule('Middle', 'x'))))), '400 InvalidArgument')
  const twice = rule('prefix', 'x') + rule('prefix', 'y')
  assert.equal(errorOf(await put(queue(event + filter(twice)))), '400 InvalidArgument')
  assert.equal(errorOf(await put(queue(event) + queue(event))), '400 InvalidArgument')
  assert.equal(await get(), document(whole))
  assert.equal((await put('')).status, 200)
  assert.equal(await get(), document(''))
})

test('documents that nothing acts on', async () => {
  const missing: [sub: string, error: string][] = [
    ['replication', '404 ReplicationConfigurationNotFoundError'],
  ]
  for (const [sub, error] of missing) {
    assert.equal(errorOf(await alice.get('/docs', { [sub]: '' })), error)
    assert.equal(errorOf(await alice.putXml('/docs', sub, '<X/>')), '501 NotImplemented', sub)
    assert.equal((await alice.delete('/docs', { [sub]: '' })).status, 204)
  }
  for (const sub of ['analytics', 'inventory', 'metrics', 'intelligent-tiering']) {
    const list = await alice.get('/docs', { [sub]: '' })
    assert.match(list.text, /<List\w+ xmlns="[^"]+"><IsTruncated>false<\/IsTruncated><\/List\w+>$/)
    assert.equal(errorOf(await alice.get('/docs', { [sub]: '', id: 'x' })), '404 NoSuchConfiguration', sub)
    assert.equal(errorOf(await alice.delete('/docs', { [sub]: '', id: 'x' })), '404 NoSuchConfiguration', sub)
    assert.equal(errorOf(await alice.putXml('/docs', sub, '<X/>')), '501 NotImplemented', sub)
  }
  for (const sub of ['session', 'abac'])
    assert.equal(errorOf(await alice.get('/docs', { [sub]: '' })), '501 NotImplemented', sub)
})

test('only for those who may', async () => {
  for (const sub of ['tagging', 'acl', 'policy', 'versioning', 'cors', 'analytics', 'lifecycle']) {
    assert.equal(errorOf(await kit.as(BOB).get('/docs', { [sub]: '' })), '403 AccessDenied', sub)
    assert.equal(errorOf(await kit.as().get('/docs', { [sub]: '' })), '403 AccessDenied', sub)
    assert.equal(errorOf(await kit.as(BOB).putXml('/docs', sub, '<X/>')), '403 AccessDenied', sub)
  }
})
