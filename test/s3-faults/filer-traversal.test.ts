/** The same names at the filer, which shares its store with S3: in paths, sources of moves and copies, tags and forms. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FilerKit, startFiler } from '../filer/filer-kit.ts'
import { rawExchange, statusOf } from './faults-kit.ts'
import { bytesOf, traversals } from './traversal.ts'

const SECRET = 'what nobody else may see'
let filer: FilerKit
before(async () => {
  filer = await startFiler({ filerBuckets: false })
  const bucket = await filer.objects.createBucket({ name: 'secret', owner: 'other' })
  const body = { sizeBytes: SECRET.length, whole: Buffer.from(SECRET), async *pieces() {} }
  await filer.objects.put({ bucket, key: 'key', body, attributes: {} })
})
after(() => filer.close())

async function ask(
  method: string,
  target: string,
  headers: readonly string[] = [],
  body = '',
): Promise<void> {
  const lines = [
    'Host: a',
    'Connection: close',
    ...headers,
    `Content-Length: ${Buffer.byteLength(body, 'latin1')}`,
  ]
  const reply = await rawExchange(
    filer.port,
    `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`,
    'wait',
  )
  const what = `${method} ${target.slice(0, 200)} ${headers}\n${reply.slice(0, 400)}`
  const status = statusOf(reply)
  assert.ok(status >= 200 && status < 500, what)
  assert.ok(!reply.includes(SECRET), what)
  assert.doesNotMatch(reply.slice(0, reply.indexOf('\r\n\r\n')), /\r\nX-Injected/i, what)
}

test('no name leads from files to the objects of S3, and none is a fault', async () => {
  for (const [at, name] of traversals().entries()) {
    const value = bytesOf(name).toString('latin1')
    const query = encodeURIComponent(value)
    await ask(['PUT', 'GET', 'DELETE', 'POST'][at % 4]!, `/${name}`, [], 'x')
    await ask(['GET', 'PUT', 'DELETE', 'POST'][at % 4]!, `/d/${at}/buckets/${name}`, [], 'x')
    await ask('POST', `/to-${at}?${at % 2 === 0 ? 'mv' : 'cp'}.from=${at % 4 < 2 ? query : name}`)
    await ask('PUT', '/tagged', [`Seaweed-${at % 2 === 0 ? 'a' : name.slice(0, 100)}: ${name}`], 'x')
    await ask('PUT', '/tagged?tagging', [`Seaweed-b: ${name}`, `Content-Disposition: ${name}`])
    await ask('GET', `/tagged?response-content-disposition=${query}&lastFileName=${query}`)
    const form = `--B\r\nContent-Disposition: form-data; name="file"; filename="${value}"\r\n\r\nx\r\n--B--\r\n`
    await ask('POST', '/up/', ['Content-Type: multipart/form-data; boundary=B'], form)
    await ask('GET', `/?lastFileName=${query}&namePattern=${query}`, ['Accept: application/json'])
  }
  const bucket = (await filer.objects.bucket('secret'))!
  const { info } = await filer.objects.find(bucket, 'key')
  assert.equal(info.sizeBytes, SECRET.length)
  assert.equal(await filer.objects.bucket('..'), undefined)
  assert.equal(({} as Record<string, unknown>).polluted, undefined)
})
