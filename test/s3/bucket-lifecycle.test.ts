/** GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration and DeleteBucketLifecycle; and what the rules do. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { Lifecycle } from '../../src/objects/lifecycle.ts'
import { DAY_MS } from '../../src/objects/lifecycle-rules.ts'
import { ALICE, element, elements, errorOf, fill, type S3Client, type S3Kit, startS3 } from './s3-kit.ts'

let aheadMs = 0
const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3({ clock })
  alice = kit.as(ALICE)
  await alice.put('/rules')
})
after(() => kit.close())

const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
const document = (...rules: string[]) =>
  `<LifecycleConfiguration ${NS}>${rules.map((rule) => `<Rule>${rule}</Rule>`).join('')}</LifecycleConfiguration>`
const put = (bucket: string, ...rules: string[]) =>
  alice.putXml(`/${bucket}`, 'lifecycle', document(...rules))
const ON = '<Status>Enabled</Status>'
const ALL = '<Filter><Prefix></Prefix></Filter>'
const days = (count: number | string) => `<Expiration><Days>${count}</Days></Expiration>`

test('rules are set, given back and removed', async () => {
  assert.equal(errorOf(await alice.get('/rules', { lifecycle: '' })), '404 NoSuchLifecycleConfiguration')
  const rules = [
    `${days(3)}<ID>a</ID><Prefix>logs/</Prefix>${ON}`,
    `<Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration><ID>b</ID><Filter><And><Prefix>x/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>10</ObjectSizeGreaterThan><ObjectSizeLessThan>20</ObjectSizeLessThan></And></Filter><Status>Disabled</Status>`,
    `<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration><ID>c</ID>${ALL}${ON}<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions></NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>`,
    `${days(1)}<ID>d</ID><Filter><Tag><Key>k</Key><Value></Value></Tag></Filter>${ON}`,
  ]
  assert.equal((await put('rules', ...rules)).status, 200)
  const got = await alice.get('/rules', { lifecycle: '' })
  assert.equal(got.text, `<?xml version="1.0" encoding="UTF-8"?>\n${document(...rules)}`)
  assert.equal((await put('rules', `${days(1)}<Filter/>${ON}`, `${days(2)}<Filter/>${ON}`)).status, 200)
  const ids = elements((await alice.get('/rules', { lifecycle: '' })).text, 'ID')
  assert.equal(new Set(ids).size, 2)
  assert.ok(ids.every((id) => id.length > 0))
  assert.equal((await alice.delete('/rules', { lifecycle: '' })).status, 204)
  assert.equal(errorOf(await alice.get('/rules', { lifecycle: '' })), '404 NoSuchLifecycleConfiguration')
})

test('rules that are none', async () => {
  const refused = async (error: string, ...rules: string[]) =>
    assert.equal(errorOf(await put('rules', ...rules)), error, rules.join())
  await refused('400 MalformedXML')
  await refused('400 MalformedXML', `${days(1)}${ALL}<Status>enabled</Status>`)
  await refused('400 MalformedXML', `${days(1)}${ALL}`)
  await refused('400 MalformedXML', `${days(1)}${ON}`)
  await refused('400 MalformedXML', `${days(1)}<Prefix/>${ALL}${ON}`)
  await refused('400 MalformedXML', `${days('x')}${ALL}${ON}`)
  await refused('400 MalformedXML', `<Expiration/>${ALL}${ON}`)
  await refused(
    '400 MalformedXML',
    `<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>${ALL}${ON}`,
  )
  await refused('400 MalformedXML', `<Expiration><Date>20200101</Date></Expiration>${ALL}${ON}`)
  await refused(
    '400 MalformedXML',
    `${days(1)}<Filter><Prefix>a</Prefix><Tag><Key>k</Key><Value/></Tag></Filter>${ON}`,
  )
  await refused('400 MalformedXML', `${days(1)}<Filter><And><Prefix>a</Prefix></And></Filter>${ON}`)
  await refused('400 InvalidRequest', `${ALL}${ON}`)
  await refused('400 InvalidArgument', `${days(0)}${ALL}${ON}`)
  await refused('400 InvalidArgument', `${days(-1)}${ALL}${ON}`)
  await refused(
    '400 InvalidArgument',
    `<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>${ALL}${ON}`,
  )
  await refused('400 InvalidArgument', `<ID>${'i'.repeat(256)}</ID>${days(1)}${ALL}${ON}`)
  await refused('400 InvalidArgument', `<ID>i</ID>${days(1)}${ALL}${ON}`, `<ID>i</ID>${days(2)}${ALL}${ON}`)
  await refused(
    '501 NotImplemented',
    `<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>${ALL}${ON}`,
  )
  const tagged = `<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>${ON}`
  const abort =
    '<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>'
  await refused('400 InvalidRequest', `${abort}${tagged}`)
  const body = document(`${days(1)}${ALL}${ON}`)
  const undigested = await alice.send('PUT', { path: '/rules', query: { lifecycle: '' }, body })
  assert.equal(errorOf(undigested), '400 InvalidRequest')
})

/** One pass after so many days. */
async function passAfter(count: number): Promise<Lifecycle> {
  aheadMs += count * DAY_MS
  const lifecycle = new Lifecycle({ objects: kit.objects, clock, log: silentLog, dayMs: DAY_MS })
  await lifecycle.pass()
  return lifecycle
}

const keysOf = async (bucket: string) => elements((await alice.get(`/${bucket}`)).text, 'Key')

test('objects expire where no versions are kept', async () => {
  await alice.put('/gone')
  await fill(kit, 'gone', ['keep/a', 'logs/a', 'logs/b'])
  await put(
    'gone',
    `${days(2)}<Filter><Prefix>logs/</Prefix></Filter>${ON}`,
    `${days(1)}${ALL}<Status>Disabled</Status>`,
  )
  await passAfter(1)
  assert.deepEqual(await keysOf('gone'), ['keep/a', 'logs/a', 'logs/b'])
  const { counts } = await passAfter(2)
  assert.deepEqual(await keysOf('gone'), ['keep/a'])
  assert.equal(counts.expired, 2)
})

test('x-amz-expiration tells when', async () => {
  await alice.put('/told')
  await put('told', `<ID>first rule</ID>${days(2)}<Filter><Prefix>logs/</Prefix></Filter>${ON}`)
  const stored = await alice.put('/told/logs/a', 'abc')
  const header = stored.headers['x-amz-expiration'] as string
  const [, date] = /^expiry-date="([^"]+)", rule-id="first%20rule"$/.exec(header)!
  const dueMs = Math.ceil((Date.parse(stored.headers.date!) + 2 * DAY_MS) / DAY_MS) * DAY_MS
  assert.equal(Date.parse(date!), dueMs)
  assert.equal((await alice.get('/told/logs/a')).headers['x-amz-expiration'], header)
  assert.equal((await alice.head('/told/logs/a')).headers['x-amz-expiration'], header)
  assert.equal((await alice.put('/told/other', 'abc')).headers['x-amz-expiration'], undefined)
})

test('by size and tag', async () => {
  await alice.put('/chosen')
  const bucket = await fill(kit, 'chosen', ['small', 'tagged', 'plain'])
  await kit.objects.setTags({ bucket, key: 'tagged' }, [
    ['t', '1'],
    ['u', '2'],
  ])
  const big = { sizeBytes: 9, whole: Buffer.alloc(9), async *pieces() {} }
  await kit.objects.put({ bucket, key: 'big', body: big, attributes: {} })
  const size = '<Filter><ObjectSizeGreaterThan>8</ObjectSizeGreaterThan></Filter>'
  await put(
    'chosen',
    `${days(1)}${size}${ON}`,
    `${days(1)}<Filter><Tag><Key>t</Key><Value>1</Value></Tag></Filter>${ON}`,
  )
  await passAfter(2)
  assert.deepEqual(await keysOf('chosen'), ['plain', 'small'])
})

const ENABLED = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
const versionsOf = async (bucket: string) => {
  const { text } = await alice.get(`/${bucket}`, { versions: '' })
  return [...text.matchAll(/<(Version|DeleteMarker)><Key>([^<]*)</g)].map(
    ([, kind, key]) => `${kind![0]} ${key}`,
  )
}

test('versions: a marker first, then what it hides, then the marker', async () => {
  await alice.put('/kept')
  await alice.putXml('/kept', 'versioning', ENABLED)
  await fill(kit, 'kept', ['k'])
  const older =
    '<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>'
  await put('kept', `${days(1)}${ALL}${ON}${older}`)
  await passAfter(2)
  assert.deepEqual(await versionsOf('kept'), ['D k', 'V k'])
  await passAfter(2)
  assert.deepEqual(await versionsOf('kept'), ['D k', 'V k'])
  await passAfter(2)
  assert.deepEqual(await versionsOf('kept'), ['D k'])
  await passAfter(1)
  assert.deepEqual(await versionsOf('kept'), [])
})

test('the newest of the noncurrent versions are kept', async () => {
  await alice.put('/newest')
  await alice.putXml('/newest', 'versioning', ENABLED)
  await fill(kit, 'newest', ['k', 'k', 'k', 'k', 'l'])
  const older =
    '<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>'
  await put('newest', `${ALL}${ON}${older}`)
  const { counts } = await passAfter(2)
  assert.deepEqual(await versionsOf('newest'), ['V k', 'V k', 'V l'])
  assert.equal(counts.removed, 2)
})

test('what is locked stays', async () => {
  await alice.put('/locked', '', { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } })
  const bucket = await fill(kit, 'locked', ['k', 'k'])
  const { versions } = await kit.objects.listVersions({ bucket, limit: 10 })
  const [, old] = versions
  const options = { bypassGovernance: false }
  await kit.objects.setLock({ bucket, key: 'k', versionId: old!.versionId }, { legalHold: true }, options)
  const older =
    '<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>'
  await put('locked', `${ALL}${ON}${older}`)
  const { counts } = await passAfter(2)
  assert.equal(counts.refused, 1)
  assert.deepEqual(await versionsOf('locked'), ['V k', 'V k'])
})

test('uploads that nobody completes are aborted', async () => {
  await alice.put('/unfinished')
  const bucket = (await kit.objects.bucket('unfinished'))!
  for (const key of ['a', 'b/c']) await kit.objects.createUpload({ bucket, key, attributes: {} })
  const abort =
    '<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>'
  await put('unfinished', `<Filter><Prefix>b/</Prefix></Filter>${ON}${abort}`)
  const { counts } = await passAfter(2)
  assert.equal(counts.uploadsAborted, 1)
  const { text } = await alice.get('/unfinished', { uploads: '' })
  assert.equal(element(text, 'Key'), 'a')
})

test('a date, and pages of many keys', async () => {
  await alice.put('/dated')
  await fill(
    kit,
    'dated',
    Array.from({ length: 1_100 }, (_, at) => `k${String(at).padStart(4, '0')}`),
  )
  const date = new Date(Math.ceil((clock.nowMs() + DAY_MS) / DAY_MS) * DAY_MS).toISOString()
  await put('dated', `<Expiration><Date>${date}</Date></Expiration>${ALL}${ON}`)
  await passAfter(0)
  assert.equal((await keysOf('dated')).length, 1_000)
  const { counts } = await passAfter(3)
  assert.deepEqual(await keysOf('dated'), [])
  assert.equal(counts.expired, 1_100)
})
