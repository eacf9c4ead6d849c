/** PostObject: forms with and without a signed policy. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { element, errorOf, exchange, ROOT, type S3Kit, startS3 } from '../s3/s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/forms')
})
after(() => kit.close())

const BOUNDARY = 'xxBOUNDARYxx'

/** Fields in their order; `file` is the last but for what a test puts behind it. */
function formOf(
  fields: readonly (readonly [string, string])[],
  file: string | Buffer,
  filename = 'f.txt',
): Buffer {
  const pieces: Buffer[] = []
  for (const [name, value] of fields)
    pieces.push(
      Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`),
    )
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\nContent-Type: a/b\r\n\r\n`
  pieces.push(Buffer.from(head), Buffer.from(file), Buffer.from(`\r\n--${BOUNDARY}--\r\n`))
  return Buffer.concat(pieces)
}

function post(body: Buffer, path = '/forms') {
  const headers = [
    ['Host', `127.0.0.1:${kit.port}`],
    ['Content-Type', `multipart/form-data; boundary=${BOUNDARY}`],
  ] as const
  return exchange(kit.port, 'POST', path, headers, body)
}

/** Fields that sign a policy with those conditions, beside the fields that it is about. */
function signed(fields: Record<string, string>, conditions: unknown[] = []): [string, string][] {
  const amzDate = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  const day = amzDate.slice(0, 8)
  const own = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${ROOT.accessKey}/${day}/us-east-1/s3/aws4_request`,
    'x-amz-date': amzDate,
  }
  const all = { ...fields, ...own }
  const expiration = new Date(Date.now() + 60_000).toISOString()
  const exact = Object.entries(all).map(([name, value]) =>
    value.includes('$') ? ['starts-with', `$${name}`, value.slice(0, value.indexOf('$'))] : { [name]: value },
  )
  const document = { expiration, conditions: [{ bucket: 'forms' }, ...exact, ...conditions] }
  const policy = Buffer.from(JSON.stringify(document)).toString('base64')
  let key: string | Buffer = `AWS4${ROOT.secretKey}`
  for (const part of [day, 'us-east-1', 's3', 'aws4_request'])
    key = createHmac('sha256', key).update(part).digest()
  const signature = createHmac('sha256', key).update(policy).digest('hex')
  return [...Object.entries({ ...all, policy, 'x-amz-signature': signature })]
}

test('a file with its headers, metadata, tags and ACL', async () => {
  const fields = {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the form's own variable
    key: 'up/${filename}',
    acl: 'public-read',
    'Content-Type': 'text/html',
    'x-amz-meta-a': 'ü',
    tagging: '<Tagging><TagSet><Tag><Key>t</Key><Value>1</Value></Tag></TagSet></Tagging>',
  }
  const reply = await post(formOf(signed(fields), '<b>hi</b>', 'C:\\dir\\f.html'))
  assert.equal(reply.status, 204, reply.text)
  assert.equal(reply.headers.location, `http://127.0.0.1:${kit.port}/forms/up/f.html`)
  const got = await kit.as().get('/forms/up/f.html')
  assert.equal(got.text, '<b>hi</b>')
  assert.equal(got.headers['content-type'], 'text/html')
  assert.equal(got.headers['x-amz-meta-a'], '=?UTF-8?B?w7w=?=')
  assert.equal(got.headers.etag, reply.headers.etag)
  const { headers } = await kit.client.head('/forms/up/f.html')
  assert.equal(headers['x-amz-tagging-count'], '1')
})

test('status and redirect', async () => {
  const created = await post(formOf(signed({ key: 'k', success_action_status: '201' }), 'x'))
  assert.equal(created.status, 201)
  assert.equal(element(created.text, 'Key'), 'k')
  assert.equal(element(created.text, 'Bucket'), 'forms')
  assert.equal((await post(formOf(signed({ key: 'k', success_action_status: '200' }), 'x'))).status, 200)
  assert.equal((await post(formOf(signed({ key: 'k', success_action_status: '404' }), 'x'))).status, 204)
  const to = 'http://example.com/done?a=b'
  const sent = await post(formOf(signed({ key: 'k é', success_action_redirect: to }), 'x'))
  assert.equal(sent.status, 303)
  const etag = '%229dd4e461268c8034f5c8564e155c67a6%22'
  assert.equal(sent.headers.location, `${to}&bucket=forms&key=k%20%C3%A9&etag=${etag}`)
  assert.equal(
    (await post(formOf(signed({ key: 'k', success_action_redirect: 'nowhere' }), 'x'))).status,
    204,
  )
})

test('lengths outside of the range of the policy', async () => {
  const range = [['content-length-range', 3, 200_000]]
  const small = await post(formOf(signed({ key: 'len' }, range), 'xx'))
  assert.equal(errorOf(small), '400 EntityTooSmall')
  const large = await post(formOf(signed({ key: 'len' }, range), Buffer.alloc(200_001)))
  assert.equal(errorOf(large), '400 EntityTooLarge')
  assert.equal(errorOf(await kit.client.get('/forms/len')), '404 NoSuchKey')
  assert.equal((await post(formOf(signed({ key: 'len' }, range), Buffer.alloc(200_000, 'z')))).status, 204)
  assert.equal((await kit.client.get('/forms/len')).body.length, 200_000)
})

test('bytes that look like boundaries', async () => {
  const file = Buffer.from(`\r\n--${BOUNDARY.slice(0, -1)}\r\n--\r\n\r\n`.repeat(20_000))
  assert.equal((await post(formOf(signed({ key: 'odd' }), file))).status, 204)
  assert.ok((await kit.client.get('/forms/odd')).body.equals(file))
})

test('fields that would end a header', async () => {
  const type = signed({ key: 'split', 'Content-Type': 'a/b\r\nX-Injected: 1' })
  assert.equal(errorOf(await post(formOf(type, 'x'))), '400 InvalidArgument')
  const redirect = signed({ key: 'split', 'x-amz-website-redirect-location': '/a\r\nX-Injected: 1' })
  assert.equal(errorOf(await post(formOf(redirect, 'x'))), '400 InvalidRedirectLocation')
  const metadata = signed({ key: 'split', 'x-amz-meta-a': '1\r\nX-Injected: 1' })
  assert.equal((await post(formOf(metadata, 'x'))).status, 204)
  const { headers } = await kit.client.head('/forms/split')
  assert.equal(headers['x-injected'], undefined)
  assert.equal(headers['x-amz-meta-a'], undefined)
  assert.equal(headers['x-amz-missing-meta'], '1')
})

test('digests among the fields', async () => {
  const wrong = { key: 'sum', 'x-amz-checksum-crc32': 'AAAAAA==' }
  assert.equal(errorOf(await post(formOf(signed(wrong), 'x'))), '400 BadDigest')
  assert.equal(errorOf(await kit.client.get('/forms/sum')), '404 NoSuchKey')
  const sum = (value: string): [string, string] => ['x-amz-checksum-crc32', value]
  const right = await post(formOf([sum('jNwWgw=='), ...signed({ key: 'sum' })], 'x'))
  assert.equal(right.status, 204, 'a digest needs no condition')
  assert.equal(errorOf(await post(formOf([sum('x'), ...signed({ key: 'sum' })], 'x'))), '400 InvalidRequest')
})

test('fields of encryption', async () => {
  const managed = signed({ key: 'managed', 'x-amz-server-side-encryption': 'AES256' })
  const stored = await post(formOf(managed, 'secret'))
  assert.equal(stored.status, 204)
  assert.equal(stored.headers['x-amz-server-side-encryption'], 'AES256')
  const got = await kit.client.get('/forms/managed')
  assert.equal(got.headers['x-amz-server-side-encryption'], 'AES256')
  assert.equal(got.text, 'secret')
  // Keys of clients only come over TLS.
  const own = signed({ key: 'own', 'x-amz-server-side-encryption-customer-algorithm': 'AES256' })
  assert.equal(errorOf(await post(formOf(own, 'x'))), '400 InvalidRequest')
})

test('forms that are refused', async () => {
  assert.equal(errorOf(await post(formOf([['key', 'anonymous']], 'x'))), '403 AccessDenied')
  assert.equal(errorOf(await post(formOf(signed({ a: 'b' }), 'x'))), '400 InvalidArgument')
  const extra: [string, string][] = [...signed({ key: 'k' }), ['x-amz-meta-more', '1']]
  assert.equal(errorOf(await post(formOf(extra, 'x'))), '403 AccessDenied')
  const right = formOf(signed({ key: 'k' }), 'x')
  assert.equal(errorOf(await post(right, '/no-such-forms')), '403 AccessDenied')
  const forged = formOf([...signed({ key: 'k' }), ['x-amz-meta-more', '1']], 'x')
  assert.equal(errorOf(await post(forged, '/no-such-forms')), '403 AccessDenied')
  assert.equal(errorOf(await post(formOf([['key', 'k']], 'x'), '/no-such-forms')), '404 NoSuchBucket')
  const sse = signed({ key: 'k', 'x-amz-server-side-encryption': 'aws:kms' })
  assert.equal(errorOf(await post(formOf(sse, 'x'))), '400 KMS.NotFoundException')
  const long = signed({ key: 'k', 'x-ignore-long': 'x'.repeat(30_000) })
  assert.equal(errorOf(await post(formOf(long, 'x'))), '400 MaxPostPreDataLengthExceeded')
  const cut = formOf(signed({ key: 'k' }), 'x')
  assert.equal(errorOf(await post(cut.subarray(0, cut.length - 12))), '400 MalformedPOSTRequest')
  const noFile = Buffer.from(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--${BOUNDARY}--\r\n`,
  )
  assert.equal(errorOf(await post(noFile)), '400 InvalidArgument')
})

test('anonymous forms, where everyone may write', async () => {
  await kit.client.put('/open', '', { headers: { 'x-amz-acl': 'public-read-write' } })
  const fields: [string, string][] = [
    ['key', 'foo.txt'],
    ['acl', 'public-read'],
    ['Content-Type', 'text/plain'],
  ]
  const reply = await post(formOf(fields, 'bar'), '/open')
  assert.equal(reply.status, 204, reply.text)
  assert.equal((await kit.as().get('/open/foo.txt')).text, 'bar')
})

test('what stands behind the file is not looked at', async () => {
  const form = formOf(signed({ key: 'last' }), 'x')
  const tail = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload\r\n--${BOUNDARY}--\r\n`
  const body = Buffer.concat([form.subarray(0, form.length - BOUNDARY.length - 6), Buffer.from(tail)])
  assert.equal((await post(body)).status, 204)
  assert.equal((await kit.client.get('/forms/last')).text, 'x')
})
