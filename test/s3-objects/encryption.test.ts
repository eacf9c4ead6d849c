/** Encryption of objects, SSE-S3 and SSE-C, in every operation that takes it; what is stored is looked at where it lies. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { element, errorOf, type S3Kit, type S3Reply, startS3 } from '../s3/s3-kit.ts'

const PART = 5 * 1024 * 1024
const SSE = 'x-amz-server-side-encryption'
const MANAGED = { [SSE]: 'AES256' }
const KEY_A = randomBytes(32)
const KEY_B = randomBytes(32)

let kit: S3Kit
before(async () => {
  kit = await startS3({ allowsKeysOverHttp: true })
  await kit.client.put('/enc')
})
after(() => kit.close())

const md5 = (bytes: Buffer | string, encoding: 'hex' | 'base64' = 'hex') =>
  createHash('md5').update(bytes).digest(encoding)

function customer(key: Buffer, prefix = SSE): Record<string, string> {
  return {
    [`${prefix}-customer-algorithm`]: 'AES256',
    [`${prefix}-customer-key`]: key.toString('base64'),
    [`${prefix}-customer-key-MD5`]: md5(key, 'base64'),
  }
}
const source = (key: Buffer) => customer(key, 'x-amz-copy-source-server-side-encryption')

function assertKind(reply: S3Reply, kind: 'SSE-S3' | 'SSE-C' | 'plain', key = KEY_A): void {
  assert.ok(reply.status === 200 || reply.status === 206 || reply.status === 204, reply.text)
  assert.equal(reply.headers[SSE], kind === 'SSE-S3' ? 'AES256' : undefined)
  const isCustomer = kind === 'SSE-C'
  assert.equal(reply.headers[`${SSE}-customer-algorithm`], isCustomer ? 'AES256' : undefined)
  assert.equal(reply.headers[`${SSE}-customer-key-md5`], isCustomer ? md5(key, 'base64') : undefined)
}

const refused = (reply: S3Reply) => `${errorOf(reply)}: ${element(reply.text, 'Message')}`
const NEEDS_KEY =
  '400 InvalidRequest: The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.'
const WRONG_KEY =
  '403 AccessDenied: Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.'
const NOT_APPLICABLE = '400 InvalidRequest: The encryption parameters are not applicable to this object.'

test('SSE-S3: put, read, ranges; the ETag is the MD5', async () => {
  const { client } = kit
  for (const length of [0, 1, 1000, 65_536, 1_500_000, 9_000_001]) {
    const path = `/enc/managed-${length}`
    const bytes = randomBytes(length)
    const put = await client.put(path, bytes, { headers: MANAGED })
    assertKind(put, 'SSE-S3')
    assert.equal(put.headers.etag, `"${md5(bytes)}"`)
    const got = await client.get(path)
    assertKind(got, 'SSE-S3')
    assert.ok(got.body.equals(bytes), `${length}`)
    const head = await client.head(path)
    assertKind(head, 'SSE-S3')
    assert.equal(head.headers['content-length'], String(length))
    if (length < 1000) continue
    for (const [start, end] of [
      [0, 1],
      [length - 1, length],
      [1, length - 1],
      [length >> 1, (length >> 1) + 100],
    ] as const) {
      const part = await client.get(path, {}, { Range: `bytes=${start}-${end - 1}` })
      assertKind(part, 'SSE-S3')
      assert.ok(part.body.equals(bytes.subarray(start, end)), `${start} to ${end} of ${length}`)
    }
  }
  const asked = await client.get('/enc/managed-1', {}, MANAGED)
  assert.match(refused(asked), /^400 InvalidArgument: x-amz-server-side-encryption header is not supported/)
})

test('SSE-C: only with the key; the ETag tells nothing of the bytes', async () => {
  const { client } = kit
  for (const length of [0, 3, 70_000, 5_000_000]) {
    const path = `/enc/own-${length}`
    const bytes = randomBytes(length)
    const sum = createHash('sha256').update(bytes).digest('base64')
    const headers = { ...customer(KEY_A), 'x-amz-checksum-sha256': sum, 'Content-MD5': md5(bytes, 'base64') }
    const put = await client.put(path, bytes, { headers })
    assertKind(put, 'SSE-C')
    assert.match(put.headers.etag!, /^"[0-9a-f]{32}"$/)
    assert.notEqual(put.headers.etag, `"${md5(bytes)}"`)
    assert.equal(put.headers['x-amz-checksum-sha256'], sum)
    const got = await client.get(path, {}, { ...customer(KEY_A), 'x-amz-checksum-mode': 'ENABLED' })
    assertKind(got, 'SSE-C')
    assert.ok(got.body.equals(bytes))
    assert.equal(got.headers['x-amz-checksum-sha256'], sum)
    assert.equal(got.headers.etag, put.headers.etag)
    const head = await client.head(path, customer(KEY_A))
    assertKind(head, 'SSE-C')
    assert.equal(head.headers['content-length'], String(length))
    assert.equal(refused(await client.get(path)), NEEDS_KEY)
    assert.equal(refused(await client.get(path, {}, customer(KEY_B))), WRONG_KEY)
    assert.equal((await client.head(path)).status, 400)
    assert.equal((await client.head(path, customer(KEY_B))).status, 403)
    const attributes = { 'x-amz-object-attributes': 'ETag,ObjectSize' }
    assert.equal(refused(await client.get(path, { attributes: '' }, attributes)), NEEDS_KEY)
    const known = await client.get(path, { attributes: '' }, { ...attributes, ...customer(KEY_A) })
    assert.equal(element(known.text, 'ObjectSize'), String(length))
  }
  // What does not read the bytes needs no key.
  assert.equal((await client.get('/enc/own-3', { tagging: '' })).status, 200)
  assert.equal((await client.delete('/enc/own-3')).status, 204)
  await client.put('/enc/plain', 'x')
  assert.equal(refused(await client.get('/enc/plain', {}, customer(KEY_A))), NOT_APPLICABLE)
  assert.equal(refused(await client.get('/enc/managed-1', {}, customer(KEY_A))), NOT_APPLICABLE)
})

test('headers that do not fit together', async () => {
  const { [`${SSE}-customer-algorithm`]: _, ...noAlgorithm } = customer(KEY_A)
  const { [`${SSE}-customer-key`]: __, ...noKey } = customer(KEY_A)
  const { [`${SSE}-customer-key-MD5`]: ___, ...noDigest } = customer(KEY_A)
  const cases: [Record<string, string>, string][] = [
    [
      { ...customer(KEY_A), ...MANAGED },
      'InvalidArgument: Server Side Encryption with Customer provided key is incompatible with',
    ],
    [
      { ...customer(KEY_A), [`${SSE}-customer-algorithm`]: 'AES128' },
      'InvalidEncryptionAlgorithmError: The Encryption request you',
    ],
    [noAlgorithm, 'InvalidArgument: .* must provide a valid encryption algorithm.'],
    [noKey, 'InvalidArgument: .* must provide an appropriate secret key.'],
    [noDigest, 'InvalidArgument: .* must provide the client calculated MD5 of the secret key.'],
    [customer(randomBytes(16)), 'InvalidArgument: The secret key was invalid for the specified algorithm.'],
    [
      { ...customer(KEY_A), [`${SSE}-customer-key-MD5`]: md5('', 'base64') },
      'InvalidArgument: The calculated MD5 hash of the key',
    ],
    [{ [SSE]: 'aes:kms' }, 'InvalidArgument: The encryption method specified is not supported'],
    [{ [SSE]: '' }, 'InvalidArgument: The encryption method specified is not supported'],
    [
      { ...MANAGED, [`${SSE}-aws-kms-key-id`]: 'k' },
      'InvalidArgument: Server Side Encryption with AWS KMS managed key requires',
    ],
    [
      { [`${SSE}-aws-kms-key-id`]: 'k' },
      'InvalidArgument: Server Side Encryption with AWS KMS managed key requires',
    ],
    [{ [SSE]: 'aws:kms' }, "KMS.NotFoundException: Invalid keyId 'aws/s3'"],
    [{ [SSE]: 'aws:kms:dsse', [`${SSE}-aws-kms-key-id`]: 'k' }, "KMS.NotFoundException: Invalid keyId 'k'"],
  ]
  for (const [headers, wanted] of cases) {
    const put = await kit.client.put('/enc/refused', 'x', { headers })
    assert.match(refused(put), new RegExp(`^400 ${wanted}`))
    const begun = await kit.client.send('POST', { path: '/enc/refused', query: { uploads: '' }, headers })
    assert.match(refused(begun), new RegExp(`^400 ${wanted}`))
  }
  assert.equal(errorOf(await kit.client.get('/enc/refused')), '404 NoSuchKey')
})

async function copy(from: string, to: string, headers: Record<string, string>): Promise<S3Reply> {
  return await kit.client.put(to, '', { headers: { 'x-amz-copy-source': from, ...headers } })
}

test('copies: SSE-C to plain to SSE-S3 to another SSE-C, and the same key', async () => {
  const { client } = kit
  const bytes = randomBytes(4_500_000)
  const sum = createHash('sha1').update(bytes).digest('base64')
  await client.put('/enc/c0', bytes, { headers: { ...customer(KEY_A), 'x-amz-checksum-sha1': sum } })
  assert.equal(refused(await copy('/enc/c0', '/enc/c1', {})), NEEDS_KEY)
  assert.equal(refused(await copy('/enc/c0', '/enc/c1', source(KEY_B))), WRONG_KEY)
  const plain = await copy('/enc/c0', '/enc/c1', source(KEY_A))
  assertKind(plain, 'plain')
  assert.equal(element(plain.text, 'ETag'), `&quot;${md5(bytes)}&quot;`)
  assert.equal(element(plain.text, 'ChecksumSHA1'), sum)
  assertKind(await copy('/enc/c1', '/enc/c2', MANAGED), 'SSE-S3')
  assert.equal(refused(await copy('/enc/c1', '/enc/c2', source(KEY_A))), NOT_APPLICABLE)
  assertKind(await copy('/enc/c2', '/enc/c3', customer(KEY_B)), 'SSE-C', KEY_B)
  assertKind(await copy('/enc/c3', '/enc/c4', { ...source(KEY_B), ...customer(KEY_B) }), 'SSE-C', KEY_B)
  assertKind(await copy('/enc/c4', '/enc/c5', { ...source(KEY_B), ...MANAGED }), 'SSE-S3')
  // It stays encrypted where nothing is said: nobody asked for plain bytes.
  assertKind(await copy('/enc/c5', '/enc/c6', {}), 'SSE-S3')
  for (const [name, headers] of [
    ['c1', {}],
    ['c2', {}],
    ['c3', customer(KEY_B)],
    ['c4', customer(KEY_B)],
    ['c6', {}],
  ] as const) {
    const got = await client.get(`/enc/${name}`, {}, { ...headers, 'x-amz-checksum-mode': 'ENABLED' })
    assert.ok(got.body.equals(bytes), name)
    assert.equal(got.headers['x-amz-checksum-sha1'], sum, name)
  }
  assert.equal(refused(await client.get('/enc/c3', {}, customer(KEY_A))), WRONG_KEY)
  // Onto itself, which is how objects are encrypted that were not.
  assertKind(await copy('/enc/c1', '/enc/c1', MANAGED), 'SSE-S3')
  assertKind(await client.get('/enc/c1'), 'SSE-S3')
  assertKind(await copy('/enc/c1', '/enc/c1', customer(KEY_A)), 'SSE-C')
  assert.ok((await client.get('/enc/c1', {}, customer(KEY_A))).body.equals(bytes))
  const same = {
    ...source(KEY_A),
    ...customer(KEY_A),
    'x-amz-metadata-directive': 'REPLACE',
    'x-amz-meta-a': '1',
  }
  assertKind(await copy('/enc/c1', '/enc/c1', same), 'SSE-C')
  assert.ok((await client.get('/enc/c1', {}, customer(KEY_A))).body.equals(bytes))
})

async function begin(key: string, headers: Record<string, string>): Promise<string> {
  const reply = await kit.client.send('POST', { path: `/enc/${key}`, query: { uploads: '' }, headers })
  assert.equal(reply.status, 200, reply.text)
  return element(reply.text, 'UploadId')!
}

async function complete(key: string, uploadId: string, etags: string[]): Promise<S3Reply> {
  const parts = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
  const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
  return await kit.client.send('POST', { path: `/enc/${key}`, query: { uploadId }, body })
}

for (const [name, headers, reading] of [
  ['SSE-S3', MANAGED, {}],
  ['SSE-C', customer(KEY_A), customer(KEY_A)],
] as const) {
  test(`multipart with ${name}: parts, copied parts, ranges over them`, async () => {
    const { client } = kit
    const key = `parts-${name}`
    const uploadId = await begin(key, headers)
    const putPart = (number: number, body: Buffer, more: Record<string, string>) =>
      client.put(`/enc/${key}`, body, { query: { uploadId, partNumber: String(number) }, headers: more })
    const first = randomBytes(PART)
    const one = await putPart(1, first, reading)
    assertKind(one, name)
    assert.equal(one.headers.etag === `"${md5(first)}"`, name === 'SSE-S3')
    if (name === 'SSE-C') {
      const wants = /^400 InvalidRequest: The multipart upload initiate requested encryption/
      assert.match(refused(await putPart(2, first, {})), wants)
      assert.match(
        refused(await putPart(2, first, customer(KEY_B))),
        /did not match the ones used originally/,
      )
    } else {
      const kms = { 'x-amz-server-side-encryption': 'aws:kms' }
      assert.match(refused(await putPart(2, first, kms)), /not supported for this operation/)
      // Said again, as some clients do, it changes nothing.
      assert.equal((await putPart(2, first, MANAGED)).status, 200)
    }
    const from = randomBytes(PART + 1000)
    await client.put('/enc/part-source', from, { headers: customer(KEY_B) })
    const two = await client.put(`/enc/${key}`, '', {
      query: { uploadId, partNumber: '2' },
      headers: {
        ...{ 'x-amz-copy-source': '/enc/part-source', 'x-amz-copy-source-range': `bytes=1000-${PART + 999}` },
        ...{ ...source(KEY_B), ...reading },
      },
    })
    assertKind(two, name)
    const last = randomBytes(100)
    const three = await putPart(3, last, reading)
    const etags = [one.headers.etag!, element(two.text, 'ETag')!, three.headers.etag!]
    const done = await complete(key, uploadId, etags)
    assertKind(done, name === 'SSE-S3' ? 'SSE-S3' : 'plain')
    const whole = Buffer.concat([first, from.subarray(1000), last])
    const got = await client.get(`/enc/${key}`, {}, reading)
    assertKind(got, name)
    assert.ok(got.body.equals(whole))
    const range = { Range: `bytes=${PART - 10}-${2 * PART + 20}` }
    const ranged = await client.get(`/enc/${key}`, {}, { ...reading, ...range })
    assert.ok(ranged.body.equals(whole.subarray(PART - 10, 2 * PART + 21)))
    const part = await client.get(`/enc/${key}`, { partNumber: '2' }, reading)
    assert.ok(part.body.equals(from.subarray(1000)))
    assertKind(
      await copy(`/enc/${key}`, `/enc/${key}-copy`, {
        ...(name === 'SSE-C' && source(KEY_A)),
        ...customer(KEY_B),
      }),
      'SSE-C',
      KEY_B,
    )
    assert.ok((await client.get(`/enc/${key}-copy`, {}, customer(KEY_B))).body.equals(whole))
  })
}

test('an upload without encryption takes no keys, and a part of encrypted bytes in it is plain', async () => {
  const uploadId = await begin('plain-parts', {})
  const query = { uploadId, partNumber: '1' }
  const refusal = await kit.client.put('/enc/plain-parts', 'x', { query, headers: customer(KEY_A) })
  assert.match(refused(refusal), /^400 InvalidRequest: The multipart upload initiate requested encryption/)
  await kit.client.put('/enc/small', 'secret', { headers: customer(KEY_A) })
  const headers = { 'x-amz-copy-source': '/enc/small', ...source(KEY_A) }
  const part = await kit.client.put('/enc/plain-parts', '', { query, headers })
  assertKind(await complete('plain-parts', uploadId, [element(part.text, 'ETag')!]), 'plain')
  assert.equal((await kit.client.get('/enc/plain-parts')).text, 'secret')
})

test('versions: each has its own key', async () => {
  const { client } = kit
  await client.put('/enc-versions')
  const xml = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await client.putXml('/enc-versions', 'versioning', xml)
  const ids: string[] = []
  for (const [body, headers] of [
    ['a', customer(KEY_A)],
    ['b', customer(KEY_B)],
    ['plain', {}],
  ] as const)
    ids.push((await client.put('/enc-versions/k', body, { headers })).headers['x-amz-version-id'] as string)
  const get = (at: number, headers: Record<string, string>) =>
    client.get('/enc-versions/k', { versionId: ids[at]! }, headers)
  assert.equal((await get(0, customer(KEY_A))).text, 'a')
  assert.equal((await get(1, customer(KEY_B))).text, 'b')
  assert.equal((await get(2, {})).text, 'plain')
  assert.equal(refused(await get(0, customer(KEY_B))), WRONG_KEY)
})

test('policies ask for encryption', async () => {
  const { client } = kit
  await client.put('/enc-policy')
  const deny = (name: string, condition: object) => ({
    ...{ Sid: name, Effect: 'Deny', Principal: '*', Action: 's3:PutObject' },
    ...{ Resource: 'arn:aws:s3:::enc-policy/*', Condition: condition },
  })
  const policy = {
    Version: '2012-10-17',
    Statement: [
      deny('method', {
        StringNotEqualsIfExists: { [`s3:${SSE}`]: 'AES256' },
        Null: { [`s3:${SSE}-customer-algorithm`]: 'true' },
      }),
      deny('none', { Null: { [`s3:${SSE}`]: 'true', [`s3:${SSE}-customer-algorithm`]: 'true' } }),
    ],
  }
  const body = JSON.stringify(policy)
  const set = await client.send('PUT', { path: '/enc-policy', query: { policy: '' }, body })
  assert.equal(set.status, 204, set.text)
  assert.equal(errorOf(await client.put('/enc-policy/k', 'x')), '403 AccessDenied')
  assertKind(await client.put('/enc-policy/k', 'x', { headers: MANAGED }), 'SSE-S3')
  assertKind(await client.put('/enc-policy/k', 'x', { headers: customer(KEY_A) }), 'SSE-C')
})
