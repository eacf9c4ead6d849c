/** PutObject: what is stored beside the bytes, and what is refused. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { digestNameOf, digestsOf } from '../../src/objects/digests.ts'
import { CHECKSUM_ALGORITHMS, checksumHeader } from '../../src/protocols/s3/digest-headers.ts'
import { element, errorOf, exchange, type S3Kit, startS3 } from '../s3/s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/puts')
  await kit.client.put('/open')
  const Principal = '*'
  const Statement = [{ Effect: 'Allow', Principal, Action: 's3:*', Resource: 'arn:aws:s3:::open/*' }]
  await kit.client.put('/open', JSON.stringify({ Version: '2012-10-17', Statement }), {
    query: { policy: '' },
  })
})
after(() => kit.close())

const put = (key: string, body: string | Buffer, headers: Record<string, string> = {}) =>
  kit.client.put(`/puts/${key}`, body, { headers })
const base64 = (algorithm: string, body: string) => createHash(algorithm).update(body).digest('base64')

test('bytes and headers come back as they were given', async () => {
  const headers = {
    'Content-Type': 'text/x; charset=utf-8',
    'Cache-Control': 'no-cache',
    'Content-Disposition': 'attachment; filename="x"',
    'Content-Language': 'de',
    Expires: 'whenever',
    'x-amz-meta-One': '1',
    'x-amz-meta-empty': '',
    'x-amz-website-redirect-location': '/there',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-tagging': 'a=1&b=%C3%BC',
  }
  const reply = await put('all', 'hello', headers)
  assert.equal(reply.status, 200, reply.text)
  assert.equal(reply.headers.etag, '"5d41402abc4b2a76b9719d911017c592"')
  const got = await kit.client.get('/puts/all')
  assert.equal(got.text, 'hello')
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'x-amz-tagging') continue
    assert.equal(got.headers[name.toLowerCase()], value, name)
  }
  assert.equal(got.headers['x-amz-tagging-count'], '2')
  assert.equal(got.headers['x-amz-version-id'], undefined)
})

test('defaults', async () => {
  await put('plain', '')
  const { headers, body } = await kit.client.get('/puts/plain')
  assert.equal(headers['content-type'], 'binary/octet-stream')
  assert.equal(headers['x-amz-storage-class'], undefined)
  assert.equal(headers['content-length'], '0')
  assert.equal(headers['accept-ranges'], 'bytes')
  assert.equal(body.length, 0)
})

test('keys are taken as they are', async () => {
  for (const key of ['dir/', '../up', 'a//b', '__proto__', 'a+b', 'ü 100%', '.']) {
    const path = `/puts/${key}`
    await kit.client.put(path, key)
    assert.equal((await kit.client.get(path)).text, key)
  }
  assert.equal((await put('k'.repeat(1024), '')).status, 200)
  const long = await put('k'.repeat(1025), '')
  assert.equal(errorOf(long), '400 KeyTooLongError')
  assert.equal(element(long.text, 'MaxSizeAllowed'), '1024')
})

test('headers beyond ASCII', async () => {
  const utf8 = (text: string) => Buffer.from(text).toString('latin1')
  const headers = {
    'x-amz-meta-a': utf8('日本'),
    'x-amz-meta-b': 'caf\xe9',
    'x-amz-meta-c': '=?UTF-8?Q?=C3=BC?=',
    'x-amz-meta-d': utf8('Gr\u00fc\u00dfe _=? aus M\u00fcnchen'),
    'x-amz-meta-e': utf8('\u65e5\u672c'.repeat(20)),
    'Content-Disposition': utf8('attachment; filename="ü"'),
  }
  // Unsigned, because signers do not agree on what such bytes are.
  assert.equal((await kit.as().put('/open/meta', '', { headers })).status, 200)
  const got = (await kit.client.head('/open/meta')).headers
  assert.equal(got['x-amz-meta-a'], `=?UTF-8?B?${Buffer.from('日本').toString('base64')}?=`)
  assert.equal(got['x-amz-meta-b'], 'caf\xe9')
  assert.equal(got['x-amz-meta-c'], '=?UTF-8?Q?=C3=BC?=')
  assert.equal(got['x-amz-meta-d'], '=?UTF-8?Q?Gr=C3=BC=C3=9Fe_=5F=3D=3F_aus_M=C3=BCnchen?=')
  const words = (got['x-amz-meta-e'] as string).split(' ')
  assert.ok(words.length > 1 && words.every((word) => word.length <= 75 && /^=\?UTF-8\?B\?.*\?=$/.test(word)))
  const decoded = words.map((word) => Buffer.from(word.slice(10, -2), 'base64').toString()).join('')
  assert.equal(decoded, '\u65e5\u672c'.repeat(20))
  assert.equal(got['content-disposition'], headers['Content-Disposition'])
})

test('Content-Encoding without the framing of the body', async () => {
  for (const [given, kept] of [
    ['gzip', 'gzip'],
    ['deflate, gzip', 'deflate, gzip'],
    ['gzip, aws-chunked', 'gzip'],
    ['aws-chunked,gzip', 'gzip'],
    ['aws-chunked', undefined],
    ['aws-chunked, aws-chunked', undefined],
  ] as const) {
    await put('encoded', '', { 'Content-Encoding': given })
    assert.equal((await kit.client.head('/puts/encoded')).headers['content-encoding'], kept, given)
  }
})

test('digests that do not match keep the object as it was', async () => {
  await put('kept', 'before')
  const refused: [Record<string, string>, string][] = [
    [{ 'Content-MD5': base64('md5', 'other') }, '400 BadDigest'],
    [{ 'Content-MD5': 'x' }, '400 InvalidDigest'],
    [{ 'Content-MD5': '' }, '400 InvalidDigest'],
    [{ 'x-amz-checksum-sha256': base64('sha256', 'other') }, '400 BadDigest'],
    [{ 'x-amz-checksum-sha1': 'zz' }, '400 InvalidRequest'],
    [
      { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-sha1': base64('sha1', 'after') },
      '400 InvalidRequest',
    ],
    [{ 'x-amz-checksum-crc16': 'AAA=' }, '400 InvalidRequest'],
    [{ 'x-amz-sdk-checksum-algorithm': 'CRC32' }, '400 InvalidRequest'],
    [{ 'x-amz-sdk-checksum-algorithm': 'MD4' }, '400 InvalidRequest'],
  ]
  for (const [headers, error] of refused) assert.equal(errorOf(await put('kept', 'after', headers)), error)
  assert.equal((await kit.client.get('/puts/kept')).text, 'before')
})

test('every kind of checksum is verified and given back', async () => {
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const header = checksumHeader(algorithm)
    const name = digestNameOf(algorithm)
    const sumOf = (text: string) => digestsOf([name], Buffer.from(text))[name]!.toString('base64')
    const sdk = { 'x-amz-sdk-checksum-algorithm': algorithm }
    const reply = await put('summed-anyhow', 'hello', { [header]: sumOf('hello'), ...sdk })
    assert.equal(reply.status, 200, reply.text)
    const got = await kit.client.get('/puts/summed-anyhow', {}, { 'x-amz-checksum-mode': 'ENABLED' })
    assert.equal(got.headers[header], sumOf('hello'))
    const wrong = await put('summed-anyhow', 'other', { [header]: sumOf('hello') })
    assert.equal(errorOf(wrong), '400 BadDigest', algorithm)
  }
})

test('a checksum behind the body', async () => {
  const send = (body: Buffer, trailer: string) => {
    const framed = Buffer.concat([
      Buffer.from(`${body.length.toString(16)}\r\n`),
      body,
      Buffer.from(`\r\n0\r\n${trailer}\r\n\r\n`),
    ])
    const headers = {
      'Content-Encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(body.length),
      'x-amz-trailer': 'x-amz-checksum-sha256',
    }
    const ask = { headers, payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' }
    return kit.client.put('/puts/trailed', framed, ask)
  }
  for (const body of [Buffer.from('hello'), Buffer.alloc(300_000, 'x')]) {
    const sum = createHash('sha256').update(body).digest('base64')
    const right = await send(body, `x-amz-checksum-sha256:${sum}`)
    assert.equal(right.status, 200, right.text)
    assert.equal(right.headers['x-amz-checksum-sha256'], sum)
    const other = Buffer.from(body).fill('y')
    const wrong = await send(other, `x-amz-checksum-sha256:${sum}`)
    assert.equal(errorOf(wrong), '400 BadDigest')
    assert.equal((await send(other, 'x-amz-checksum-crc32:AAAAAA==')).status, 400)
    const got = await kit.client.get('/puts/trailed')
    assert.ok(got.body.equals(body))
    assert.equal(got.headers['content-encoding'], undefined)
  }
})

test('a checksum is verified, kept, and given back', async () => {
  const sum = base64('sha256', 'hello')
  const reply = await put('summed', 'hello', {
    'x-amz-checksum-sha256': sum,
    'Content-MD5': base64('md5', 'hello'),
  })
  assert.equal(reply.headers['x-amz-checksum-sha256'], sum)
  assert.equal(reply.headers['x-amz-checksum-type'], 'FULL_OBJECT')
  const asked = await kit.client.head('/puts/summed', { 'x-amz-checksum-mode': 'ENABLED' })
  assert.equal(asked.headers['x-amz-checksum-sha256'], sum)
  assert.equal((await kit.client.head('/puts/summed')).headers['x-amz-checksum-sha256'], undefined)
  const range = { 'x-amz-checksum-mode': 'ENABLED', Range: 'bytes=0-1' }
  assert.equal((await kit.client.head('/puts/summed', range)).headers['x-amz-checksum-sha256'], undefined)
})

test('headers that are refused', async () => {
  const refused: [Record<string, string>, string][] = [
    [{ 'x-amz-storage-class': 'FROZEN' }, '400 InvalidStorageClass'],
    [{ 'x-amz-acl': 'nobody' }, '400 InvalidArgument'],
    [{ 'x-amz-meta-a': 'x'.repeat(2048) }, '400 MetadataTooLarge'],
    [{ 'x-amz-website-redirect-location': 'there' }, '400 InvalidRedirectLocation'],
    [{ 'x-amz-tagging': Array.from({ length: 11 }, (_, i) => `k${i}=`).join('&') }, '400 BadRequest'],
    [{ 'x-amz-tagging': `${'k'.repeat(129)}=` }, '400 InvalidTag'],
    [{ 'x-amz-tagging': 'a=1&a=2' }, '400 InvalidArgument'],
    [{ 'x-amz-tagging': '=1' }, '400 InvalidArgument'],
    [{ 'x-amz-object-lock-mode': 'GOVERNANCE' }, '400 InvalidArgument'],
    [{ 'x-amz-object-lock-legal-hold': 'ON' }, '400 InvalidRequest'],
    [{ 'x-amz-server-side-encryption': 'rot13' }, '400 InvalidArgument'],
    // Keys of clients only come over TLS.
    [{ 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }, '400 InvalidRequest'],
    [{ 'x-amz-object-lock-legal-hold': 'ON' }, '400 InvalidRequest'],
  ]
  for (const [headers, error] of refused) {
    assert.equal(errorOf(await put('refused', 'x', headers)), error, JSON.stringify(headers))
  }
  assert.equal(errorOf(await kit.client.get('/puts/refused')), '404 NoSuchKey')
})

test('a version is not written to', async () => {
  const reply = await kit.client.put('/puts/k', 'x', { query: { versionId: 'null' } })
  assert.equal(errorOf(reply), '400 InvalidArgument')
})

test('conditions', async () => {
  assert.equal(errorOf(await put('new', 'x', { 'If-Match': '*' })), '404 NoSuchKey')
  assert.equal((await put('new', '1', { 'If-None-Match': '*' })).status, 200)
  const taken = await put('new', '2', { 'If-None-Match': '*' })
  assert.equal(errorOf(taken), '412 PreconditionFailed')
  assert.equal(element(taken.text, 'Condition'), 'If-None-Match')
  const { etag } = (await kit.client.head('/puts/new')).headers
  assert.equal(errorOf(await put('new', '2', { 'If-Match': '"other"' })), '412 PreconditionFailed')
  assert.equal((await put('new', '2', { 'If-Match': etag! })).status, 200)
  const now = (await kit.client.head('/puts/new')).headers.etag!
  assert.equal((await put('new', '3', { 'If-Match': now.replaceAll('"', '') })).status, 200)
})

test('a lock file as Terraform makes it, meets it, and gives it back', async () => {
  const lock = '/puts/state.tflock'
  const body = JSON.stringify({ ID: '1', Operation: 'OperationTypeApply', Who: 'a@b' })
  const headers = {
    'If-None-Match': '*',
    'Content-Type': 'application/json',
    'x-amz-sdk-checksum-algorithm': 'SHA256',
    'x-amz-checksum-sha256': base64('sha256', body),
    'x-amz-server-side-encryption': 'AES256',
  }
  assert.equal((await kit.client.put(lock, body, { headers })).status, 200)
  assert.equal(errorOf(await kit.client.put(lock, body, { headers })), '412 PreconditionFailed')
  assert.equal((await kit.client.get(lock, {}, { 'x-amz-checksum-mode': 'ENABLED' })).text, body)
  assert.equal((await kit.client.delete(lock)).status, 204)
  assert.equal((await kit.client.put(lock, body, { headers })).status, 200)
})

test('64 at once with If-None-Match: one wins', async () => {
  const replies = await Promise.all(
    Array.from({ length: 64 }, (_, i) => put('race', String(i), { 'If-None-Match': '*' })),
  )
  const winners = replies.flatMap(({ status }, i) => (status === 200 ? [String(i)] : []))
  assert.equal(winners.length, 1)
  assert.equal((await kit.client.get('/puts/race')).text, winners[0])
  assert.ok(replies.every(({ status }) => status === 200 || status === 412))
})

test('a body without a length', async () => {
  // Node adds a length or chunks by itself, so the request is made by hand.
  const reply = await new Promise<string>((resolve, reject) => {
    const socket = connect(kit.port, '127.0.0.1')
    let text = ''
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer in time')))
    socket.on('data', (piece) => {
      text += piece
      if (text.includes('</Error>')) socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
    socket.write(`PUT /open/key HTTP/1.1\r\nHost: 127.0.0.1:${kit.port}\r\n\r\n`)
  })
  assert.match(reply, /^HTTP\/1\.1 411 /)
  assert.match(reply, /<Code>MissingContentLength<\/Code>/)
})

test('anonymous puts belong to the owner of the bucket', async () => {
  const reply = await exchange(
    kit.port,
    'PUT',
    '/open/x',
    [['Host', `127.0.0.1:${kit.port}`]],
    Buffer.from('x'),
  )
  assert.equal(reply.status, 200, reply.text)
  assert.equal((await kit.client.get('/open/x')).text, 'x')
})
