/**
 * Names that would lead out of a bucket, in every place where a stranger may put one: a caller who may do everything in one
 * bucket learns and changes nothing of another, and no name is a fault of the server.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { elements, type S3Kit, startS3 } from '../s3/s3-kit.ts'
import { contentOf, rawExchange, statusOf } from './faults-kit.ts'
import { bytesOf, traversals } from './traversal.ts'

const SECRET = 'what nobody else may see'
const NAMES = traversals()
const AT_ONCE = 16
const COMPLETE =
  '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/open')
  await kit.client.put('/secret')
  await kit.client.put('/secret/key', SECRET)
  await kit.client.put('/open/mine', 'mine')
  const Resource = ['arn:aws:s3:::open', 'arn:aws:s3:::open/*']
  const Statement = [{ Effect: 'Allow', Principal: '*', Action: 's3:*', Resource }]
  const policy = JSON.stringify({ Version: '2012-10-17', Statement })
  assert.equal((await kit.client.put('/open', policy, { query: { policy: '' } })).status, 204)
})
after(() => kit.close())

interface Raw {
  method: string
  target: string
  headers?: readonly string[]
  body?: Buffer
}

/** One request of nobody, as it stands, without a client that tidies it first. */
async function ask({ method, target, headers = [], body }: Raw): Promise<string> {
  const lines = ['Host: 127.0.0.1', 'Connection: close', ...headers]
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`)
  const head = `${method} ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
  const bytes = Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)])
  const reply = await rawExchange(kit.port, bytes, 'wait')
  const what = `${method} ${target.slice(0, 200)} ${headers.join(' ').slice(0, 200)}\n${reply.slice(0, 500)}`
  const status = statusOf(reply)
  assert.ok(status >= 200 && status < 500, what)
  assert.ok(!reply.includes(SECRET), what)
  assert.doesNotMatch(reply.slice(0, reply.indexOf('\r\n\r\n')), /\r\nX-Injected/i, what)
  return reply
}

async function forAll(act: (name: string, at: number) => Promise<void>): Promise<void> {
  const left = [...NAMES.entries()]
  const work = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await act(next[1], next[0])
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

async function assertUntouched(): Promise<void> {
  assert.deepEqual((await contentOf(kit, 'secret')).keys, ['key'])
  assert.equal((await kit.client.get('/secret/key')).text, SECRET)
  const { text } = await kit.client.get('/')
  assert.deepEqual(elements(text, 'Name'), ['open', 'secret'])
}

test('there are enough of them', () => assert.ok(NAMES.length >= 200, String(NAMES.length)))

test('in the URL of a key', async () => {
  await forAll(async (name, at) => {
    const target = `/open/${at}/${name}`
    const put = await ask({ method: 'PUT', target, body: Buffer.from(target) })
    const got = await ask({ method: 'GET', target })
    // What was taken is that key, and comes back from it.
    if (statusOf(put) === 200 && target.search(/[?#]/) < 0) assert.ok(got.endsWith(target), target)
    await ask({ method: 'DELETE', target: `/open/mine/${name}` })
  })
  await assertUntouched()
  assert.equal((await kit.client.get('/open/mine')).text, 'mine')
})

test('in the name of a bucket', async () => {
  await forAll(async (name) => {
    await ask({ method: 'GET', target: `/${name}` })
    await ask({ method: 'PUT', target: `/open${name}`, body: Buffer.from('x') })
    await ask({ method: 'DELETE', target: `/${name}/key` })
  })
  await assertUntouched()
})

test('in a copy source', async () => {
  await forAll(async (name, at) => {
    const source = [name, `open/${name}`, `/open/mine/${name}`, `open/mine?versionId=${name}`][at % 4]
    const headers = [`x-amz-copy-source: ${source}`]
    await ask({ method: 'PUT', target: `/open/copied-${at}`, headers, body: Buffer.alloc(0) })
    await ask({ method: 'GET', target: `/open/copied-${at}` })
  })
  await assertUntouched()
})

test('in the fields of a form', async () => {
  const part = (head: string, value: Buffer) =>
    Buffer.concat([
      Buffer.from(`--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
      value,
      Buffer.from('\r\n'),
    ])
  await forAll(async (name, at) => {
    const value = bytesOf(name)
    const forms = [
      [part('name="key"', value), part('name="file"; filename="f"', Buffer.from('x'))],
      [
        part('name="key"', Buffer.from(`up/\${filename}`)),
        part(`name="file"; filename="${value.toString('latin1')}"`, Buffer.from('x')),
      ],
      [part('name="bucket"', value), part('name="key"', value), part('name="file"', Buffer.from('x'))],
    ]
    const body = Buffer.concat([...forms[at % forms.length]!, Buffer.from('--B--\r\n')])
    const headers = ['Content-Type: multipart/form-data; boundary=B']
    await ask({ method: 'POST', target: '/open', headers, body })
  })
  await assertUntouched()
})

test('in a list of keys to delete', async () => {
  await forAll(async (name) => {
    const key = bytesOf(name).toString('latin1').replaceAll('&', '&amp;').replaceAll('<', '&lt;')
    const objects = `<Object><Key>${key}</Key></Object><Object><Key>a</Key><VersionId>${key}</VersionId></Object>`
    const body = Buffer.from(`<Delete>${objects}</Delete>`)
    const md5 = createHash('md5').update(body).digest('base64')
    await ask({ method: 'POST', target: '/open?delete', headers: [`Content-MD5: ${md5}`], body })
  })
  await assertUntouched()
})

test('in parameters', async () => {
  await forAll(async (name, at) => {
    const value = name.replaceAll('#', '%23')
    const list = [
      'marker',
      'prefix',
      'delimiter',
      'list-type=2&start-after',
      'list-type=2&continuation-token',
    ]
    await ask({ method: 'GET', target: `/open?${list[at % list.length]}=${value}` })
    const marks = `key-marker=${value}&version-id-marker=${value}&upload-id-marker=${value}`
    await ask({ method: 'GET', target: `/open?${at % 2 === 0 ? 'versions' : 'uploads'}&${marks}` })
    const upload = `/open/mine?uploadId=${value}`
    await ask({ method: ['GET', 'DELETE'][at % 2]!, target: upload })
    await ask({ method: 'PUT', target: `${upload}&partNumber=1`, body: Buffer.from('x') })
    await ask({ method: 'POST', target: upload, body: Buffer.from(COMPLETE) })
    await ask({ method: ['GET', 'DELETE'][at % 2]!, target: `/open/mine?versionId=${value}` })
    const reply = `response-content-type=${value}&response-content-disposition=${value}`
    await ask({ method: 'GET', target: `/open/mine?${reply}` })
    await ask({ method: 'GET', target: `/open/mine?${value}` })
  })
  await assertUntouched()
})

test('in headers', async () => {
  const names = ['x-amz-meta-a', 'x-amz-tagging', 'Content-Type', 'Content-Disposition', 'x-amz-acl', 'Host']
  names.push('x-amz-website-redirect-location', 'x-amz-storage-class', 'x-amz-expected-bucket-owner')
  await forAll(async (name, at) => {
    const headers = [`${names[at % names.length]}: ${name}`]
    await ask({ method: 'PUT', target: `/open/header-${at}`, headers, body: Buffer.from('x') })
    await ask({ method: 'GET', target: `/open/header-${at}` })
  })
  await assertUntouched()
  assert.equal(({} as Record<string, unknown>).polluted, undefined)
})
