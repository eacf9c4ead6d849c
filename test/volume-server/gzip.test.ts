/** Which files are stored gzipped, and that no reader has to know. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { crc32c } from '../../src/base/checksum.ts'
import { seededRandom } from '../../src/base/random.ts'
import { isCompressible } from '../../src/blobs/volume/gzip.ts'
import { ask, type FormFile, type Kit, post, startKit } from './volume-server-kit.ts'

let kit: Kit
before(async () => {
  kit = await startKit()
})
after(() => kit.close())

const TEXT = Buffer.from('a line of a text that says little\n'.repeat(40))
const LONG = Buffer.from('a line of a text that says little\n'.repeat(40_000))

async function storedGzip(file: FormFile, path = `/${kit.newFid()}`): Promise<boolean> {
  const written = await post(kit.port, '', file, { path })
  assert.equal(written.status, 201, written.text)
  const plain = await ask(kit.port, { path: path.split('?')[0]! })
  assert.deepEqual(plain.body, Buffer.from(file.content))
  assert.equal(plain.headers['content-encoding'], undefined)
  const zipped = await ask(kit.port, {
    path: path.split('?')[0]!,
    headers: { 'Accept-Encoding': 'br, gzip' },
  })
  assert.equal(written.json().eTag, crc32c(zipped.body).toString(16).padStart(8, '0'))
  assert.equal(zipped.headers.etag, `"${written.json().eTag}"`)
  assert.equal(written.json().size, file.content.length)
  if (zipped.headers['content-encoding'] === undefined) {
    assert.deepEqual(zipped.body, Buffer.from(file.content))
    return false
  }
  assert.equal(zipped.headers.vary, 'Accept-Encoding')
  assert.deepEqual(gunzipSync(zipped.body), Buffer.from(file.content))
  return true
}

test('by type: text, xml, script, json and wav are gzipped when a tenth is won', async () => {
  for (const mime of [
    'text/plain',
    'text/x; charset=utf-8',
    'application/xml',
    'application/json',
    'image/svg+xml',
  ]) {
    assert.equal(await storedGzip({ content: TEXT, mime }), true, mime)
  }
  for (const mime of ['application/javascript', 'audio/wav', 'audio/x-wav']) {
    assert.equal(await storedGzip({ content: LONG, mime }), true, mime)
  }
  for (const mime of ['image/png', 'application/pdf', 'video/mp4', 'application/x']) {
    assert.equal(await storedGzip({ content: TEXT, mime }), false, mime)
  }
  assert.equal(await storedGzip({ content: 'short', mime: 'text/plain' }), false)
  for (const size of [2_000, 300_000]) {
    const noise = seededRandom(1).bytes(size)
    assert.equal(await storedGzip({ content: noise, mime: 'text/plain' }), false)
  }
})

test('by the ending of the name, where no type is given', async () => {
  for (const filename of [
    'a.txt',
    'a.html',
    'a.CSS',
    'a.js',
    'a.json',
    'a.xml',
    'a.svg',
    'a.csv',
    'a.md',
    'a.log',
  ]) {
    assert.equal(await storedGzip({ content: TEXT, filename }), true, filename)
    assert.equal(await storedGzip({ content: TEXT, filename, mime: 'application/octet-stream' }), true)
  }
  for (const filename of ['a', 'a.bin', 'a.jpg', 'a.zip', 'a.gz']) {
    assert.equal(await storedGzip({ content: TEXT, filename }), false, filename)
  }
  assert.equal(isCompressible('packed.txt.gz', 'text/plain'), false)
})

test('ranges and HEAD of a gzipped file are of the file, not of the gzip', async () => {
  const path = `/${kit.newFid()}`
  await post(kit.port, '', { content: LONG, filename: 'a.txt' }, { path })
  const range = await ask(kit.port, { path, headers: { Range: 'bytes=100-199' } })
  assert.deepEqual([range.status, range.body], [206, LONG.subarray(100, 200)])
  const head = await ask(kit.port, { path, method: 'HEAD' })
  assert.equal(head.headers['content-length'], String(LONG.length))
})

test('what comes gzipped stays as it is; so does what another server sends, and a manifest', async () => {
  const content = gzipSync(TEXT, { level: 1 })
  const path = `/${kit.newFid()}`
  const written = await post(
    kit.port,
    '',
    {
      content,
      filename: 'a.txt',
      lines: ['Content-Encoding: gzip'],
    },
    { path },
  )
  assert.deepEqual(
    [written.json().size, written.json().eTag],
    [TEXT.length, crc32c(content).toString(16).padStart(8, '0')],
  )
  assert.deepEqual((await ask(kit.port, { path, headers: { 'Accept-Encoding': 'gzip' } })).body, content)
  const copy = `/${kit.newFid()}?type=replicate`
  assert.equal(await storedGzip({ content: TEXT, filename: 'a.txt' }, copy), false)
})

test('the same bytes again are the same file', async () => {
  const path = `/${kit.newFid()}`
  for (const content of [TEXT, LONG]) {
    const file = { content, filename: `${content.length}.txt` }
    assert.equal((await post(kit.port, '', file, { path })).status, 201)
    assert.equal((await post(kit.port, '', file, { path })).status, 204)
  }
})

test('many at a time are all stored', async () => {
  const paths = Array.from({ length: 100 }, () => `/${kit.newFid()}`)
  const content = LONG.subarray(0, 50_000)
  const written = await Promise.all(
    paths.map((path) => post(kit.port, '', { content, filename: 'a.txt' }, { path })),
  )
  assert.deepEqual(new Set(written.map((reply) => reply.status)), new Set([201]))
  for (const path of paths.slice(0, 5)) assert.deepEqual((await ask(kit.port, { path })).body, content)
})

test('it can be turned off', async () => {
  const plain = await startKit({ gzip: false })
  try {
    const path = `/${plain.newFid()}`
    await post(plain.port, '', { content: TEXT, filename: 'a.txt' }, { path })
    const reply = await ask(plain.port, { path, headers: { 'Accept-Encoding': 'gzip' } })
    assert.deepEqual([reply.headers['content-encoding'], reply.body], [undefined, TEXT])
  } finally {
    await plain.close()
  }
})
