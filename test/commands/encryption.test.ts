/**
 * Encryption in the real program: whatever way bytes come in, none of them lies readable anywhere below the data directory; the
 * filer serves what it can; and keys are rotated.
 */
import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { element, errorOf, exchange, S3Client } from '../s3/s3-kit.ts'
import { ROOT_KEY, runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'

const SSE = 'x-amz-server-side-encryption'
const MANAGED = { [SSE]: 'AES256' }
const PART = 5 * 1024 * 1024
const KEY = randomBytes(32)
const CUSTOMER = customer(KEY, SSE)

let data: string
let server: ServerProcess
let client: S3Client
before(async () => {
  data = mkdtempSync(join(tmpdir(), 'cairn-encryption-'))
  await start()
})
after(async () => {
  await server?.stop()
  rmSync(data, { recursive: true, force: true })
})

async function start(): Promise<void> {
  server = await startServer(data, ['--sse-c-over-http', '--filer-buckets', '--workers', '2'])
  const key = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
  client = new S3Client(portOf(server.s3), { key, region: 'us-east-1', clock: systemClock })
}

const portOf = (address: string) => Number(address.split(':')[1])
const keyFile = () => join(data, 'encryption.keys')

function customer(key: Buffer, prefix: string): Record<string, string> {
  return {
    [`${prefix}-customer-algorithm`]: 'AES256',
    [`${prefix}-customer-key`]: key.toString('base64'),
    [`${prefix}-customer-key-MD5`]: createHash('md5').update(key).digest('base64'),
  }
}

/** Bytes that are found again wherever some of them lie. */
function marked(marker: string, length: number): Buffer {
  return Buffer.alloc(length, marker)
}

/** Files below the data directory that hold the marker. */
function filesWith(marker: string): string[] {
  return readdirSync(data, { recursive: true, encoding: 'utf8' })
    .map((name) => join(data, name))
    .filter((path) => statSync(path).isFile() && readFileSync(path).includes(marker))
}

async function ok(reply: Promise<{ status: number; text: string }>): Promise<string> {
  const { status, text } = await reply
  assert.ok(status >= 200 && status < 300, `${status} ${text}`)
  return text
}

async function upload(path: string, parts: Buffer[], headers: Record<string, string>): Promise<void> {
  const reading = SSE in headers ? {} : headers
  const begun = await ok(client.send('POST', { path, query: { uploads: '' }, headers }))
  const uploadId = element(begun, 'UploadId')!
  const etags: string[] = []
  for (const [at, body] of parts.entries()) {
    const query = { uploadId, partNumber: String(at + 1) }
    const reply = await client.put(path, body, { query, headers: reading })
    assert.equal(reply.status, 200, reply.text)
    etags.push(reply.headers.etag!)
  }
  const list = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
  const body = `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`
  await ok(client.send('POST', { path, query: { uploadId }, body }))
}

/** A signed form with the file as its last field. */
function form(key: string, file: Buffer, more: Record<string, string>): Buffer {
  const amzDate = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  const day = amzDate.slice(0, 8)
  const fields: Record<string, string> = {
    ...{ key, 'x-amz-algorithm': 'AWS4-HMAC-SHA256', 'x-amz-date': amzDate, ...more },
    'x-amz-credential': `${ROOT_KEY.accessKeyId}/${day}/us-east-1/s3/aws4_request`,
  }
  const conditions = [
    { bucket: 'secrets' },
    ...Object.entries(fields).map(([name, value]) => ({ [name]: value })),
  ]
  const expiration = new Date(Date.now() + 60_000).toISOString()
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64')
  let signing: string | Buffer = `AWS4${ROOT_KEY.secretAccessKey}`
  for (const part of [day, 'us-east-1', 's3', 'aws4_request'])
    signing = createHmac('sha256', signing).update(part).digest()
  const signature = createHmac('sha256', signing).update(policy).digest('hex')
  const all = Object.entries({ ...fields, policy, 'x-amz-signature': signature })
  const head = all.map(
    ([name, value]) => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  const last = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
  return Buffer.concat([Buffer.from(head.join('') + last), file, Buffer.from('\r\n--b--\r\n')])
}

async function post(key: string, file: Buffer, more: Record<string, string>): Promise<void> {
  const port = portOf(server.s3)
  const headers = [
    ['Host', `127.0.0.1:${port}`],
    ['Content-Type', 'multipart/form-data; boundary=b'],
  ] as const
  await ok(exchange(port, 'POST', '/secrets', headers, form(key, file, more)))
}

const SIZES = [50, 70_000, 6_000_000]

test('nothing lies readable on disk, whatever way it came', async () => {
  const secret = `secret-${randomBytes(8).toString('hex')}.`
  const plain = `public-${randomBytes(8).toString('hex')}.`
  await ok(client.put('/secrets'))
  await ok(client.put('/secrets/plain', marked(plain, 70_000)))
  for (const [name, headers, from] of [
    ['managed', MANAGED, {}],
    ['own', CUSTOMER, customer(KEY, 'x-amz-copy-source-server-side-encryption')],
  ] as const) {
    for (const length of SIZES) {
      await ok(client.put(`/secrets/${name}-${length}`, marked(secret, length), { headers }))
      await post(`${name}-form-${length}`, marked(secret, length), headers)
      const copied = { 'x-amz-copy-source': `/secrets/${name}-${length}`, ...from }
      const other = name === 'own' ? MANAGED : CUSTOMER
      await ok(client.put(`/secrets/${name}-copy-${length}`, '', { headers: { ...copied, ...other } }))
    }
    await upload(`/secrets/${name}-parts`, [marked(secret, PART), marked(secret, 1000)], headers)
    const begun = await ok(
      client.send('POST', { path: `/secrets/${name}-open`, query: { uploads: '' }, headers }),
    )
    const query = { uploadId: element(begun, 'UploadId')!, partNumber: '1' }
    const own = name === 'own' ? headers : {}
    await ok(client.put(`/secrets/${name}-open`, marked(secret, 70_000), { query, headers: own }))
  }
  await server.kill()
  assert.notDeepEqual(filesWith(plain), [], 'what is not encrypted is found')
  assert.deepEqual(filesWith(secret), [])
  await start()
  const got = await client.get('/secrets/own-6000000', {}, CUSTOMER)
  assert.ok(got.body.equals(marked(secret, 6_000_000)), 'keys are still there after a crash')
  assert.ok(
    (await client.get('/secrets/managed-parts')).body.equals(
      Buffer.concat([marked(secret, PART), marked(secret, 1000)]),
    ),
  )
})

async function filer(
  method: string,
  path: string,
  body?: Buffer,
): Promise<{ status: number; text: string; body: Buffer }> {
  const payload = body ?? Buffer.alloc(0)
  const headers = [
    ['Host', server.filer],
    ['Content-Type', 'application/octet-stream'],
  ] as const
  return await exchange(portOf(server.filer), method, path, headers, payload)
}

test('other doors: the bucket decides for new files, SSE-S3 is read like anything, SSE-C is refused', async () => {
  const secret = `secret-${randomBytes(8).toString('hex')}.`
  await ok(client.put('/files'))
  const rule =
    '<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>'
  const xml = `<ServerSideEncryptionConfiguration><Rule>${rule}</Rule></ServerSideEncryptionConfiguration>`
  await ok(client.putXml('/files', 'encryption', xml))
  const file = '/buckets/files/f'
  await ok(filer('PUT', file, marked(secret, 70_000)))
  await ok(filer('PUT', `${file}?op=append`, marked(secret, 70_000)))
  await ok(filer('PUT', `${file}?op=append`, marked(secret, 3_000_000)))
  await client.delete('/files', { encryption: '' })
  await ok(filer('PUT', `${file}?offset=10`, marked(secret, 100)))
  await ok(filer('PUT', `${file}?offset=3140000`, marked(secret, 100)))
  const head = await client.head('/files/f')
  assert.equal(head.headers[SSE], 'AES256', 'changed bytes stay encrypted')
  const whole = Buffer.concat([marked(secret, 70_000), marked(secret, 70_000), marked(secret, 3_000_000)])
  marked(secret, 100).copy(whole, 10)
  const expected = Buffer.concat([whole, marked(secret, 100)])
  assert.ok((await filer('GET', file)).body.equals(expected))
  assert.ok((await client.get('/files/f')).body.equals(expected))
  await ok(client.put('/files/own', marked(secret, 100), { headers: CUSTOMER }))
  for (const refused of [
    await filer('GET', '/buckets/files/own'),
    await filer('PUT', '/buckets/files/own?op=append', Buffer.from('x')),
    await filer('PUT', '/buckets/files/own?offset=1', Buffer.from('x')),
  ]) {
    assert.equal(refused.status, 403)
    assert.match(refused.text, /encrypted with a key that its owner keeps/)
  }
  assert.equal((await filer('HEAD', '/buckets/files/own')).status, 403)
  assert.deepEqual(filesWith(secret), [])
})

/** Waits until the server has read the key file so many times again. */
async function readAgain(times: number): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    if (server.log().split('encryption keys were read again').length > times) return
    await sleep(50)
  }
  throw new Error(`the key file was not read again:\n${server.log()}`)
}

test('keys: made at the first start, rotated while the server runs, and all generations read', async () => {
  assert.equal(statSync(keyFile()).mode & 0o777, 0o600)
  const first = readFileSync(keyFile(), 'utf8')
  const listed = await runCairn(['keys', '--data', data])
  assert.equal(listed.code, 0, listed.stderr)
  const id = /^([0-9a-f]{16}) /m.exec(first)![1]!
  assert.match(listed.stdout, new RegExp(id))
  assert.ok(!listed.stdout.includes(first.trim().split(' ').at(-1)!), 'secrets are not shown')
  await ok(client.put('/rotated'))
  await ok(client.put('/rotated/old', 'under the first key', { headers: MANAGED }))
  const rotated = await runCairn(['keys', 'rotate', '--data', data])
  assert.equal(rotated.code, 0, rotated.stderr)
  assert.equal(statSync(keyFile()).mode & 0o777, 0o600)
  const text = readFileSync(keyFile(), 'utf8')
  assert.ok(text.startsWith(first))
  await readAgain(1)
  // A key that was made a while ago is used at once.
  const [newId, , newSecret] = text.trimEnd().split('\n').at(-1)!.split(' ')
  const aged = `${newId} 2026-01-01T00:00:00.000Z ${newSecret}\n`
  writeFileSync(keyFile(), `${first}${aged}`)
  await readAgain(2)
  await ok(client.put('/rotated/new', 'under the second key', { headers: MANAGED }))
  assert.equal((await client.get('/rotated/old')).text, 'under the first key')
  assert.equal((await client.get('/rotated/new')).text, 'under the second key')
  writeFileSync(keyFile(), aged)
  await readAgain(3)
  assert.equal((await client.get('/rotated/new')).text, 'under the second key')
  assert.equal(errorOf(await client.get('/rotated/old')), '503 ServiceUnavailable')
})
