/** The same door with TLS: requests reach it, and policies know it. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import https from 'node:https'
import { after, before, test } from 'node:test'
import { SignerV4 } from '../../src/iam/sign.ts'
import { TEST_TLS_CERT, TEST_TLS_KEY } from '../support/tls-files.ts'
import { ALICE, element, elements, errorOf, fill, type S3Kit, startS3 } from './s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3({ tls: { cert: TEST_TLS_CERT, key: TEST_TLS_KEY } })
})
after(() => kit.close())

interface Sent {
  method: string
  path: string
  query?: [string, string][]
  body?: string
  isAnonymous?: boolean
  more?: Record<string, string>
}

function send({
  method,
  path,
  query = [],
  body = '',
  isAnonymous = false,
  more = {},
}: Sent): Promise<[number, string]> {
  const host = `localhost:${kit.port}`
  const bytes = Buffer.from(body)
  const asked = { method, host, path, query, body: bytes, headers: Object.entries(more) }
  const signed = new SignerV4(ALICE).sign(asked, Date.now())
  const headers: Record<string, string> = { 'Content-Length': String(bytes.length) }
  if (!isAnonymous) Object.assign(headers, Object.fromEntries(signed.headers))
  const options = { host: 'localhost', port: kit.port, method, path: signed.target, headers, agent: false }
  return new Promise((resolve, reject) => {
    const request = https.request({ ...options, ca: TEST_TLS_CERT, timeout: 20_000 }, (reply) => {
      let text = ''
      reply.on('data', (piece) => (text += piece))
      reply.on('end', () => resolve([reply.statusCode!, text]))
    })
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', reject)
    request.end(bytes)
  })
}

test('buckets, objects and long bodies', async () => {
  assert.equal((await send({ method: 'PUT', path: '/secure' }))[0], 200)
  const body = 'x'.repeat(300_000)
  assert.equal((await send({ method: 'PUT', path: '/secure/long', body }))[0], 200)
  assert.equal((await send({ method: 'GET', path: '/secure/long' }))[1], body)
  const [, listing] = await send({ method: 'GET', path: '/secure' })
  assert.deepEqual(elements(listing, 'Key'), ['long'])
})

test('keys of clients come this way, and only this way', async () => {
  const key = randomBytes(32)
  const more = {
    'x-amz-server-side-encryption-customer-algorithm': 'AES256',
    'x-amz-server-side-encryption-customer-key': key.toString('base64'),
    'x-amz-server-side-encryption-customer-key-MD5': createHash('md5').update(key).digest('base64'),
  }
  await send({ method: 'PUT', path: '/keys' })
  assert.equal((await send({ method: 'PUT', path: '/keys/k', body: 'secret', more }))[0], 200)
  assert.equal((await send({ method: 'GET', path: '/keys/k', more }))[1], 'secret')
  assert.equal((await send({ method: 'GET', path: '/keys/k' }))[0], 400)
  const plain = await startS3()
  try {
    await plain.client.put('/keys')
    const refusals = [
      await plain.client.put('/keys/k', 'secret', { headers: more }),
      await plain.client.put('/keys/k', '', { headers: { ...more, 'x-amz-copy-source': '/keys/k' } }),
      await plain.client.send('POST', { path: '/keys/k', query: { uploads: '' }, headers: more }),
    ]
    for (const refusal of refusals) {
      assert.equal(errorOf(refusal), '400 InvalidRequest')
      assert.match(element(refusal.text, 'Message')!, /must be made over a secure connection/)
    }
  } finally {
    await plain.close()
  }
})

test('policies know that it is TLS, and which', async () => {
  await send({ method: 'PUT', path: '/public' })
  await fill(kit, 'public', ['k'])
  const policy = (condition: object) =>
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: '*',
          Action: 's3:GetObject',
          Resource: 'arn:aws:s3:::public/*',
          Condition: condition,
        },
      ],
    })
  for (const [condition, status] of [
    [{ Bool: { 'aws:SecureTransport': 'true' } }, 200],
    [{ Bool: { 'aws:SecureTransport': 'false' } }, 403],
    [{ NumericGreaterThanEquals: { 's3:TlsVersion': '1.2' } }, 200],
    [{ NumericLessThan: { 's3:TlsVersion': '1.2' } }, 403],
  ] as const) {
    await send({ method: 'PUT', path: '/public', query: [['policy', '']], body: policy(condition) })
    assert.equal((await send({ method: 'GET', path: '/public/k', isAnonymous: true }))[0], status)
  }
})
