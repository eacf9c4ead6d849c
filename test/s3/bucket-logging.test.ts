/** GetBucketLogging, PutBucketLogging; and the logs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SignerV4 } from '../../src/iam/sign.ts'
import {
  ALICE,
  BOB,
  canonicalId,
  elements,
  errorOf,
  exchange,
  type S3Client,
  type S3Kit,
  startS3,
} from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3({ accessLogPeriodMs: 50 })
  alice = kit.as(ALICE)
  for (const bucket of ['/watched', '/logs', '/parted']) await alice.put(bucket)
  await kit.as(BOB).put('/bobs')
})
after(() => kit.close())

const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
const document = (inside: string) => `<BucketLoggingStatus ${NS}>${inside}</BucketLoggingStatus>`
const enabled = (target: string, rest = '', prefix = 'to/') =>
  `<LoggingEnabled><TargetBucket>${target}</TargetBucket><TargetPrefix>${prefix}</TargetPrefix>${rest}</LoggingEnabled>`
const put = (inside: string, bucket = '/watched') => alice.putXml(bucket, 'logging', document(inside))
const get = async () => (await alice.get('/watched', { logging: '' })).text
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

test('off, on, and off again', async () => {
  assert.equal(await get(), HEAD + document(''))
  const grant = `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>${canonicalId('bob')}</ID><DisplayName>Bob</DisplayName></Grantee><Permission>READ</Permission></Grant>`
  const whole = `<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetGrants>${grant}</TargetGrants><TargetPrefix>to/</TargetPrefix><TargetObjectKeyFormat><SimplePrefix></SimplePrefix></TargetObjectKeyFormat></LoggingEnabled>`
  assert.equal((await put(whole)).status, 200)
  assert.equal(await get(), HEAD + document(whole))
  assert.equal((await put('')).status, 200)
  assert.equal(await get(), HEAD + document(''))
})

test('targets that are none', async () => {
  assert.equal(errorOf(await put(enabled('nowhere'))), '400 InvalidTargetBucketForLogging')
  assert.equal(errorOf(await put(enabled('bobs'))), '400 InvalidTargetBucketForLogging')
  assert.equal(errorOf(await put('<LoggingEnabled/>')), '400 MalformedXML')
  const format = '<TargetObjectKeyFormat></TargetObjectKeyFormat>'
  assert.equal(errorOf(await put(enabled('logs', format))), '400 MalformedXML')
  assert.equal(await get(), HEAD + document(''))
})

/** Waits for logs of the requests that these texts tell; they come when they come. */
async function logsIn(bucket: string, ...wanted: string[]): Promise<{ keys: string[]; text: string }> {
  for (let tries = 0; tries < 1_000; tries++) {
    const keys = elements((await alice.get(`/${bucket}`)).text, 'Key')
    const texts = await Promise.all(keys.map(async (key) => (await alice.get(`/${bucket}/${key}`)).text))
    const text = texts.join('')
    if (wanted.every((part) => text.includes(part))) return { keys, text }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('no logs')
}

test('a line for each request, refused ones too', async () => {
  assert.equal((await put(enabled('logs'))).status, 200)
  await alice.put('/watched/a b', 'abc', { headers: { 'User-Agent': 'a "test"' } })
  await alice.get('/watched/a b', {}, { Referer: 'http://x/' })
  await kit.as(BOB).get('/watched', { acl: '' })
  await kit.as().get('/watched/none')
  const link = new SignerV4(ALICE).presign(
    { method: 'GET', host: `127.0.0.1:${kit.port}`, path: '/watched/a b' },
    { nowMs: Date.now(), expiresS: 60 },
  )
  assert.equal((await exchange(kit.port, 'GET', link.target, link.headers, Buffer.alloc(0))).status, 200)
  // Of one line each, for the logs of one second come in any order.
  const [own, linked, refused] = ['GET /watched/a%20b HTTP', 'X-Amz-Signature=- HTTP', 'OBJECT none']
  const { keys, text } = await logsIn('logs', 'REST.PUT.OBJECT', 'REST.GET.ACL', own, linked, refused)
  for (const key of keys) assert.match(key, /^to\/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}$/)
  const lines = text.split('\n')
  const line = (operation: string) => lines.find((each) => each.includes(operation)) ?? ''
  assert.match(
    line('REST.PUT.OBJECT'),
    new RegExp(
      `^alice watched \\[\\d\\d/\\w{3}/\\d{4}:\\d\\d:\\d\\d:\\d\\d \\+0000\\] 127.0.0.1 ${canonicalId('alice')} [0-9A-F]{16} REST.PUT.OBJECT a%20b "PUT /watched/a%20b HTTP/1.1" 200 - - - \\d+ - "-" "a \\\\"test\\\\"" - \\S+ SigV4 - AuthHeader 127.0.0.1:${kit.port} - - -$`,
    ),
  )
  assert.match(line(own), /REST.GET.OBJECT a%20b .* 200 - 3 3 \d+ - "http:\/\/x\/" "-" - /)
  assert.match(line('REST.GET.ACL'), / - "GET \/watched\?acl= HTTP\/1.1" 403 AccessDenied /)
  assert.ok(!text.includes(link.signature))
  assert.match(line(linked), / SigV4 - QueryString /)
  assert.match(line(refused), / 127.0.0.1 - [0-9A-F]{16} REST.GET.OBJECT /)
})

test('keys with the source and the day', async () => {
  const format =
    '<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>'
  assert.equal((await put(enabled('parted', format))).status, 200)
  await alice.head('/watched')
  const { keys } = await logsIn('parted', 'REST.HEAD.BUCKET')
  assert.match(keys[0]!, /^to\/alice\/us-east-1\/watched\/\d{4}\/\d\d\/\d\d\/\d{4}-\d\d-\d\d-/)
})
