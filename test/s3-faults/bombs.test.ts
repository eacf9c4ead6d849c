/** Input that is small to send and would be large to take in: refused at once, and nothing of it is kept. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { element, errorOf, exchange, type S3Kit, type S3Reply, startS3 } from '../s3/s3-kit.ts'
import { contentOf, rawExchange, statusOf } from './faults-kit.ts'

let kit: S3Kit
let uploadId: string
before(async () => {
  kit = await startS3()
  await kit.client.put('/bombs')
  await kit.client.put('/bombs/kept', 'kept')
  const begun = await kit.client.send('POST', { path: '/bombs/upload', query: { uploads: '' } })
  uploadId = element(begun.text, 'UploadId')!
})
after(async () => {
  assert.deepEqual(await contentOf(kit, 'bombs'), { keys: ['kept'], uploads: [uploadId] })
  assert.equal(kit.budget.usedBytes, 0)
  await kit.close()
})

function document(method: 'PUT' | 'POST', path: string, sub: string, xml: string): Promise<S3Reply> {
  const headers = { 'Content-MD5': createHash('md5').update(xml).digest('base64') }
  return kit.client.send(method, { path, query: { [sub]: '' }, body: xml, headers })
}

const complete = (body: string) =>
  kit.client.send('POST', { path: '/bombs/upload', query: { uploadId }, body })

function laughs(): string {
  let entities = '<!ENTITY e0 "ha">'
  for (let i = 1; i < 30; i++) entities += `<!ENTITY e${i} "${`&e${i - 1};`.repeat(10)}">`
  return `<?xml version="1.0"?><!DOCTYPE Delete [${entities}]><Delete><Object><Key>&e29;</Key></Object></Delete>`
}

const DOCUMENTS: Record<string, string> = {
  'entities in entities': laughs(),
  'an entity that is a file':
    '<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
  'an entity that is a URL':
    '<!DOCTYPE Delete SYSTEM "http://127.0.0.1:1/x.dtd"><Delete><Object><Key>kept</Key></Object></Delete>',
  'a parameter entity':
    '<!DOCTYPE a [<!ENTITY % x "y"> %x;]><Delete><Object><Key>kept</Key></Object></Delete>',
  'an entity that nobody declared': '<Delete><Object><Key>kept</Key></Object>&nbsp;</Delete>',
  'a long reference': `<Delete><Object><Key>kept&#${'0'.repeat(100_000)}65;</Key></Object></Delete>`,
  depth: '<Delete>'.repeat(100_000),
  'depth that is closed': `${'<Delete>'.repeat(1_000)}${'</Delete>'.repeat(1_000)}`,
  'many elements': `<Delete>${'<a/>'.repeat(200_000)}</Delete>`,
  'many attributes': `<Delete ${Array.from({ length: 50_000 }, (_, i) => `a${i}="1"`).join(' ')}/>`,
  'a long name': `<${'a'.repeat(900_000)}/>`,
  'a comment without end': `<Delete><!--${'- '.repeat(400_000)}`,
  'many comments': `<Delete>${'<!---->'.repeat(100_000)}`,
  'many instructions': `<Delete>${'<?a?>'.repeat(100_000)}`,
  'many open brackets': '<'.repeat(900_000),
  'many references': `<Delete>${'&amp;'.repeat(180_000)}</Delete>`,
  'spaces only': ' '.repeat(900_000),
  'bytes that are no text': '<Delete>\0\0\0</Delete>',
}

for (const [name, xml] of Object.entries(DOCUMENTS)) {
  test(`XML: ${name}`, async () => {
    assert.equal(errorOf(await document('POST', '/bombs', 'delete', xml)), '400 MalformedXML')
    const parts = xml.replaceAll('Delete', 'CompleteMultipartUpload')
    assert.equal(errorOf(await complete(parts)), '400 MalformedXML')
    const tags = xml.replaceAll('Delete', 'Tagging')
    assert.equal((await document('PUT', '/bombs', 'tagging', tags)).status, 400)
  })
}

test('documents beyond their largest size', async () => {
  const keys = `<Delete>${' '.repeat(9 * 1024 * 1024)}<Object><Key>kept</Key></Object></Delete>`
  assert.equal(errorOf(await document('POST', '/bombs', 'delete', keys)), '400 MaxMessageLengthExceeded')
  for (const sub of [
    'tagging',
    'cors',
    'lifecycle',
    'acl',
    'policy',
    'versioning',
    'website',
    'notification',
  ]) {
    const reply = await document('PUT', '/bombs', sub, ' '.repeat(2 * 1024 * 1024))
    assert.equal(reply.status, 400, sub)
  }
  assert.equal(errorOf(await complete(' '.repeat(5 * 1024 * 1024))), '400 MaxMessageLengthExceeded')
})

test('1,001 keys to delete, and 1,000', async () => {
  const keys = (count: number) =>
    `<Delete>${Array.from({ length: count }, (_, i) => `<Object><Key>k${i}</Key></Object>`).join('')}</Delete>`
  assert.equal(errorOf(await document('POST', '/bombs', 'delete', keys(1_001))), '400 MalformedXML')
  assert.equal(errorOf(await document('POST', '/bombs', 'delete', keys(100_000))), '400 MalformedXML')
  assert.equal((await document('POST', '/bombs', 'delete', keys(1_000))).status, 200)
})

test('10,001 parts, and part number 10,001', async () => {
  const part = (i: number) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${'a'.repeat(32)}</ETag></Part>`
  const list = (count: number) =>
    `<CompleteMultipartUpload>${Array.from({ length: count }, (_, i) => part(i)).join('')}</CompleteMultipartUpload>`
  assert.equal(errorOf(await complete(list(10_001))), '400 MalformedXML')
  assert.equal(errorOf(await complete(list(10_000))), '400 InvalidPart')
  for (const partNumber of ['0', '10001', '-1', '1e3', '99999999999999999999', '']) {
    const reply = await kit.client.put('/bombs/upload', 'x', { query: { partNumber, uploadId } })
    assert.equal(reply.status, 400, partNumber)
  }
})

test('forms of many fields, long fields, long heads', async () => {
  const field = (i: number, value = 'x') =>
    `--B\r\nContent-Disposition: form-data; name="f${i}"\r\n\r\n${value}\r\n`
  const file = '--B\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--B--\r\n'
  const forms = {
    fields: Array.from({ length: 100_000 }, (_, i) => field(i)).join('') + file,
    value: field(0, 'v'.repeat(1_000_000)) + file,
    head: `--B\r\nContent-Disposition: form-data; name="${'n'.repeat(1_000_000)}"\r\n\r\nx\r\n${file}`,
    headers: `--B\r\n${'X-A: b\r\n'.repeat(100_000)}\r\nx\r\n${file}`,
    preamble: `${'p'.repeat(1_000_000)}\r\n${file}`,
    boundaries: `${'\r\n--Bx'.repeat(200_000)}${file}`,
    empty: `--B\r\n\r\n`.repeat(100_000),
  }
  for (const [name, form] of Object.entries(forms)) {
    const headers = [
      ['Host', 'a'],
      ['Content-Type', 'multipart/form-data; boundary=B'],
    ] as const
    const reply = await exchange(kit.port, 'POST', '/bombs', headers, Buffer.from(form))
    assert.ok(reply.status === 400 || reply.status === 403, `${name}: ${reply.status} ${reply.text}`)
    assert.match(element(reply.text, 'Code')!, /^(MaxPostPreDataLengthExceeded|MalformedPOSTRequest)$/, name)
  }
})

test('heads that are too large, or of too many headers', async () => {
  const heads = [
    `GET /bombs/kept HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(100_000)}\r\n\r\n`,
    `GET /bombs/kept HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(20_000)}\r\n`,
    `GET /bombs/${'k'.repeat(100_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET /bombs?${'a=b&'.repeat(30_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  ]
  for (const head of heads) {
    const reply = await rawExchange(kit.port, head, 'wait')
    const status = statusOf(reply)
    assert.ok(status >= 400 && status < 500, reply.slice(0, 300))
    assert.ok(element(reply, 'Code'), reply.slice(0, 300))
  }
})

test('metadata, tags and policies beyond what one may have', async () => {
  const put = (headers: Record<string, string>) => kit.client.put('/bombs/refused', 'x', { headers })
  assert.equal(errorOf(await put({ 'x-amz-meta-a': 'a'.repeat(2_049) })), '400 MetadataTooLarge')
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-amz-meta-a${i}`, 'b'.repeat(10)]))
  assert.equal(errorOf(await put(many)), '400 MetadataTooLarge')
  const tags = Array.from({ length: 11 }, (_, i) => `a${i}=b`).join('&')
  assert.equal(errorOf(await put({ 'x-amz-tagging': tags })), '400 BadRequest')
  const statement = { Effect: 'Allow', Principal: '*', Action: '*'.repeat(30_000), Resource: '*' }
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
  assert.equal((await kit.client.put('/bombs', policy, { query: { policy: '' } })).status, 400)
  const deep = `${'{"a":['.repeat(3_000)}1${']}'.repeat(3_000)}`
  assert.equal((await kit.client.put('/bombs', deep, { query: { policy: '' } })).status, 400)
})

test('chunk frames that lie about their lengths', async () => {
  const frames = [
    'ffffffffffffffff\r\nx\r\n0\r\n\r\n',
    `${'0'.repeat(100_000)}1\r\nx\r\n0\r\n\r\n`,
    '-1\r\nx\r\n0\r\n\r\n',
    '1\r\nx\r\n'.repeat(1_000),
    `1;${'a'.repeat(1_000_000)}\r\nx\r\n0\r\n\r\n`,
    `1\r\nx\r\n0\r\n${'x-amz-checksum-crc32:AAAAAA==\r\n'.repeat(50_000)}\r\n`,
    `1\r\nx\r\n0\r\n\r\n${'y'.repeat(2 * 1024 * 1024)}`,
  ]
  const headers = { 'x-amz-decoded-content-length': '1', 'x-amz-trailer': 'x-amz-checksum-crc32' }
  for (const [at, body] of frames.entries()) {
    const payload = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
    const reply = await kit.client.put('/bombs/refused', body, { headers, payload })
    assert.equal(reply.status, 400, `${at}: ${reply.text}`)
  }
})
