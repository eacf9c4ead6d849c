/**
 * CreateMultipartUpload, UploadPart, UploadPartCopy, ListParts, CompleteMultipartUpload, AbortMultipartUpload; and
 * GetObjectAttributes of what they make.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { element, elements, errorOf, type S3Kit, startS3 } from '../s3/s3-kit.ts'

const PART = Buffer.alloc(5 * 1024 * 1024, 'p')
let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/parts')
})
after(() => kit.close())

async function begin(key: string, headers: Record<string, string> = {}): Promise<string> {
  const reply = await kit.client.send('POST', { path: `/parts/${key}`, query: { uploads: '' }, headers })
  assert.equal(reply.status, 200, reply.text)
  return element(reply.text, 'UploadId')!
}

interface At {
  key: string
  uploadId: string
}

function putPart(
  { key, uploadId }: At,
  number: number,
  body: string | Buffer,
  headers: Record<string, string> = {},
) {
  const query = { partNumber: String(number), uploadId }
  return kit.client.put(`/parts/${key}`, body, { query, headers })
}

function complete(
  { key, uploadId }: At,
  parts: readonly [number, string, string?][],
  headers: Record<string, string> = {},
) {
  const xml = parts.map(
    ([number, etag, sum = '']) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${sum}</Part>`,
  )
  const body = `<CompleteMultipartUpload>${xml.join('')}</CompleteMultipartUpload>`
  return kit.client.send('POST', { path: `/parts/${key}`, query: { uploadId }, body, headers })
}

test('parts become an object, in their order', async () => {
  const headers = { 'Content-Type': 'text/x', 'x-amz-meta-a': '1', 'x-amz-tagging': 't=1' }
  const at = { key: 'whole', uploadId: await begin('whole', headers) }
  const last = await putPart(at, 7, 'end')
  const first = await putPart(at, 2, PART)
  assert.equal(last.headers.etag, `"${createHash('md5').update('end').digest('hex')}"`)
  // With quotes, without, and as a reference.
  const parts: [number, string][] = [
    [2, first.headers.etag!.replaceAll('"', '')],
    [7, last.headers.etag!.replaceAll('"', '&quot;')],
  ]
  const done = await complete(at, parts)
  assert.equal(done.status, 200, done.text)
  assert.match(element(done.text, 'ETag')!, /^&quot;[0-9a-f]{32}-2&quot;$/)
  assert.equal(element(done.text, 'Location'), `http://127.0.0.1:${kit.port}/parts/whole`)
  const got = await kit.client.get('/parts/whole')
  assert.ok(got.body.equals(Buffer.concat([PART, Buffer.from('end')])))
  assert.equal(got.headers['content-type'], 'text/x')
  assert.equal(got.headers['x-amz-meta-a'], '1')
  assert.equal(got.headers['x-amz-tagging-count'], '1')
  const part = await kit.client.get('/parts/whole', { partNumber: '2' })
  assert.equal(part.status, 206)
  assert.equal(part.text, 'end')
  assert.equal(part.headers['x-amz-mp-parts-count'], '2')
  assert.equal(part.headers['content-range'], `bytes ${PART.length}-${PART.length + 2}/${PART.length + 3}`)
  assert.equal(errorOf(await kit.client.get('/parts/whole', { partNumber: '3' })), '416 InvalidPartNumber')
  const again = await complete(at, parts)
  assert.equal(element(again.text, 'ETag'), element(done.text, 'ETag'))
})

test('lists that are refused, and the upload goes on', async () => {
  const at = { key: 'wrong', uploadId: await begin('wrong') }
  const [a, b] = [(await putPart(at, 1, 'a')).headers.etag!, (await putPart(at, 2, 'b')).headers.etag!]
  const small = await complete(at, [
    [1, a],
    [2, b],
  ])
  assert.equal(errorOf(small), '400 EntityTooSmall')
  assert.equal(element(small.text, 'ProposedSize'), '1')
  assert.equal(element(small.text, 'MinSizeAllowed'), String(PART.length))
  assert.equal(element(small.text, 'PartNumber'), '1')
  assert.equal(
    errorOf(
      await complete(at, [
        [2, b],
        [1, a],
      ]),
    ),
    '400 InvalidPartOrder',
  )
  assert.equal(
    errorOf(
      await complete(at, [
        [1, a],
        [1, a],
      ]),
    ),
    '400 InvalidPartOrder',
  )
  const other = await complete(at, [[1, b]])
  assert.equal(errorOf(other), '400 InvalidPart')
  assert.equal(element(other.text, 'PartNumber'), '1')
  assert.equal(errorOf(await complete(at, [[9, a]])), '400 InvalidPart')
  assert.equal(errorOf(await complete(at, [[10_001, a]])), '400 InvalidArgument')
  const none = await complete(at, [[-4, a]])
  assert.equal(errorOf(none), '400 InvalidArgument')
  assert.equal(element(none.text, 'Message'), 'PartNumber must be &gt;= 1')
  assert.equal(errorOf(await complete(at, [])), '400 MalformedXML')
  const nothing = await kit.client.send('POST', { path: '/parts/wrong', query: { uploadId: at.uploadId } })
  assert.equal(errorOf(nothing), '400 MalformedXML')
  const size = { 'x-amz-mp-object-size': '7' }
  assert.equal(errorOf(await complete(at, [[1, a]], size)), '400 InvalidRequest')
  const negative = await complete(at, [[1, a]], { 'x-amz-mp-object-size': '-1' })
  assert.equal(
    element(negative.text, 'Message'),
    "Value for x-amz-mp-object-size header is less than zero: '-1'",
  )
  assert.equal((await complete(at, [[1, a]])).status, 200)
  assert.equal((await kit.client.get('/parts/wrong')).text, 'a')
})

test('conditions when it is completed', async () => {
  await kit.client.put('/parts/there', 'x')
  const at = { key: 'there', uploadId: await begin('there') }
  const etag = (await putPart(at, 1, 'new')).headers.etag!
  assert.equal(errorOf(await complete(at, [[1, etag]], { 'If-None-Match': '*' })), '412 PreconditionFailed')
  assert.equal(errorOf(await complete(at, [[1, etag]], { 'If-Match': 'x' })), '412 PreconditionFailed')
  assert.equal((await complete(at, [[1, etag]], { 'If-Match': '*' })).status, 200)
})

test('numbers and uploads that there are not', async () => {
  const uploadId = await begin('none')
  for (const number of [0, 10_001])
    assert.equal(errorOf(await putPart({ key: 'none', uploadId }, number, 'x')), '400 InvalidArgument')
  for (const id of ['nonsense', 'f'.repeat(32)])
    assert.equal(errorOf(await putPart({ key: 'none', uploadId: id }, 1, 'x')), '404 NoSuchUpload')
  assert.equal(errorOf(await putPart({ key: 'other', uploadId }, 1, 'x')), '404 NoSuchUpload')
  const aborted = await kit.client.delete('/parts/none', { uploadId })
  assert.equal(aborted.status, 204)
  assert.equal(errorOf(await kit.client.delete('/parts/none', { uploadId })), '404 NoSuchUpload')
  assert.equal(errorOf(await putPart({ key: 'none', uploadId }, 1, 'x')), '404 NoSuchUpload')
  assert.equal(errorOf(await complete({ key: 'none', uploadId }, [[1, 'x']])), '404 NoSuchUpload')
})

test('ListParts in pages', async () => {
  const at = { key: 'listed', uploadId: await begin('listed') }
  for (const number of [1, 2, 5]) await putPart(at, number, 'x'.repeat(number))
  const list = (query: Record<string, string>) =>
    kit.client.get('/parts/listed', { uploadId: at.uploadId, ...query })
  const all = await list({})
  assert.deepEqual(elements(all.text, 'PartNumber'), ['1', '2', '5'])
  assert.deepEqual(elements(all.text, 'Size'), ['1', '2', '5'])
  assert.equal(element(all.text, 'IsTruncated'), 'false')
  const page = await list({ 'max-parts': '1', 'part-number-marker': '1' })
  assert.deepEqual(elements(page.text, 'PartNumber'), ['2'])
  assert.equal(element(page.text, 'NextPartNumberMarker'), '2')
  assert.equal(element(page.text, 'IsTruncated'), 'true')
  assert.equal(errorOf(await list({ 'max-parts': 'x' })), '400 InvalidArgument')
})

test('checksums of parts and of the whole', async () => {
  const headers = { 'x-amz-checksum-algorithm': 'SHA256' }
  const at = { key: 'summed', uploadId: await begin('summed', headers) }
  const sums = [PART, Buffer.from('end')].map((bytes) => createHash('sha256').update(bytes).digest())
  const texts = sums.map((sum) => sum.toString('base64'))
  const a = await putPart(at, 1, PART, { 'x-amz-checksum-sha256': texts[0]! })
  assert.equal(a.headers['x-amz-checksum-sha256'], texts[0])
  const none = await putPart(at, 2, 'end')
  assert.equal(errorOf(none), '400 InvalidRequest')
  assert.match(element(none.text, 'Message')!, /expected checksum Type: sha256, actual checksum Type: null$/)
  const b = await putPart(at, 2, 'end', { 'x-amz-checksum-sha256': texts[1]! })
  const [one, two] = [a.headers.etag!, b.headers.etag!]
  assert.equal(
    errorOf(
      await complete(at, [
        [1, one],
        [2, two],
      ]),
    ),
    '400 InvalidRequest',
  )
  const tags = texts.map((text) => `<ChecksumSHA256>${text}</ChecksumSHA256>`)
  assert.equal(
    errorOf(
      await complete(at, [
        [1, one, tags[1]!],
        [2, two, tags[1]!],
      ]),
    ),
    '400 InvalidPart',
  )
  const told = async (tag: string, headers?: Record<string, string>) => {
    const reply = await complete(at, [[1, one, tag]], headers)
    return [errorOf(reply), element(reply.text, 'Message'), element(reply.text, 'ArgumentValue')]
  }
  const [bad, crc] = ['Invalid Base64 or multiple checksums present in request', 'AAAAAA==']
  const crcTag = `<ChecksumCRC32>${crc}</ChecksumCRC32>`
  assert.deepEqual(await told('<ChecksumSHA256>x</ChecksumSHA256>'), ['400 InvalidArgument', bad, 'x'])
  assert.deepEqual(await told(tags[0]! + crcTag), [
    '400 InvalidArgument',
    bad,
    `CRC32:${crc};SHA256:${texts[0]};`,
  ])
  assert.deepEqual((await told(crcTag)).slice(0, 2), [
    '400 BadDigest',
    'The crc32 you specified for part 1 did not match what we received.',
  ])
  const both = { 'x-amz-checksum-crc32': crc, 'x-amz-checksum-sha256': texts[0]! }
  assert.match((await told(tags[0]!, both))[1]!, /^Expecting a single x-amz-checksum- header/)
  const wrong = await putPart(at, 2, 'end', { 'x-amz-checksum-crc32': 'AAAAAA==' })
  assert.equal(errorOf(wrong), '400 InvalidRequest')
  const done = await complete(at, [
    [1, one, tags[0]!],
    [2, two, tags[1]!],
  ])
  assert.equal(done.status, 200, done.text)
  const whole = `${createHash('sha256').update(Buffer.concat(sums)).digest('base64')}-2`
  assert.equal(element(done.text, 'ChecksumSHA256'), whole)
  assert.equal(element(done.text, 'ChecksumType'), 'COMPOSITE')
  const got = await kit.client.get('/parts/summed', {}, { 'x-amz-object-attributes': 'x' })
  assert.equal(got.status, 200)
  const attributes = await kit.client.get(
    '/parts/summed',
    { attributes: '' },
    {
      'x-amz-object-attributes': 'ETag,Checksum,ObjectParts,StorageClass,ObjectSize',
      'x-amz-max-parts': '1',
    },
  )
  assert.equal(attributes.status, 200, attributes.text)
  const odd = { 'x-amz-object-attributes': 'Colour' }
  for (const path of ['/parts/summed', '/parts/none'])
    assert.equal(errorOf(await kit.client.get(path, { attributes: '' }, odd)), '400 InvalidArgument')
  assert.equal(element(attributes.text, 'PartsCount'), '2')
  assert.equal(element(attributes.text, 'IsTruncated'), 'true')
  assert.equal(element(attributes.text, 'ObjectSize'), String(PART.length + 3))
  assert.deepEqual(elements(attributes.text, 'ChecksumSHA256'), [whole, texts[0]])
})

test('a checksum of a whole whose parts have none is not kept', async () => {
  const at = { key: 'unsummed', uploadId: await begin('unsummed') }
  const part = (await putPart(at, 1, 'bytes')).headers.etag!
  const done = await complete(at, [[1, part]], { 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' })
  assert.equal(done.status, 200, done.text)
  const head = await kit.client.head('/parts/unsummed', { 'x-amz-checksum-mode': 'ENABLED' })
  assert.equal(head.headers['x-amz-checksum-crc64nvme'], undefined)
})

test('checksums that cannot be', async () => {
  const refused: Record<string, string>[] = [
    { 'x-amz-checksum-algorithm': 'MD4' },
    { 'x-amz-checksum-algorithm': 'SHA1', 'x-amz-checksum-type': 'FULL_OBJECT' },
    { 'x-amz-checksum-algorithm': 'CRC64NVME', 'x-amz-checksum-type': 'COMPOSITE' },
    { 'x-amz-checksum-type': 'COMPOSITE' },
    { 'x-amz-checksum-algorithm': 'SHA1', 'x-amz-checksum-type': 'HALF' },
  ]
  for (const headers of refused) {
    const reply = await kit.client.send('POST', { path: '/parts/x', query: { uploads: '' }, headers })
    assert.equal(errorOf(reply), '400 InvalidRequest', JSON.stringify(headers))
  }
})

test('parts copied from an object', async () => {
  await kit.client.put('/parts/source', '0123456789')
  const at = { key: 'copied', uploadId: await begin('copied') }
  const copy = (range?: string, source = '/parts/source') =>
    putPart(at, 1, '', {
      'x-amz-copy-source': source,
      ...(range === undefined ? {} : { 'x-amz-copy-source-range': range }),
    })
  for (const range of [
    '0-2',
    'bytes=0',
    'bytes=a-b',
    'bytes=2-',
    'bytes=-2',
    'bytes=0-1,3-4',
    'bytes=3-2',
    'bytes=0-10',
  ])
    assert.equal(errorOf(await copy(range)), '400 InvalidArgument', range)
  assert.equal(errorOf(await copy('bytes=50-60')), '400 InvalidArgument')
  assert.equal(errorOf(await copy(undefined, '/parts/nothing')), '404 NoSuchKey')
  const whole = await copy()
  assert.equal(
    element(whole.text, 'ETag'),
    `&quot;${createHash('md5').update('0123456789').digest('hex')}&quot;`,
  )
  const part = await copy('bytes=2-4')
  assert.equal(part.status, 200, part.text)
  const etag = element(part.text, 'ETag')!
  assert.equal((await complete(at, [[1, etag]])).status, 200)
  assert.equal((await kit.client.get('/parts/copied')).text, '234')
})
