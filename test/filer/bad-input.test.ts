/** What nobody should send: paths that would leave their place, broken bodies, strangers. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { BasicAuth } from '../../src/net/basic-auth.ts'
import { exchangeRaw } from '../volume-server/volume-server-kit.ts'
import { type FilerKit, startFiler } from './filer-kit.ts'

let filer: FilerKit
before(async () => {
  filer = await startFiler({ filerBuckets: true })
  await filer.objects.createBucket({ name: 'secret', owner: 'other' })
  await filer.put('/buckets/secret/key', 'secret')
})
after(() => filer.close())

/** One request as it stands, without a client that tidies the path first. */
async function raw(method: string, target: string, body = ''): Promise<{ status: number; text: string }> {
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`
  const head = `${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${length}\r\n${body}`
  const text = await exchangeRaw(filer.port, Buffer.from(head, 'latin1'))
  return { status: Number(text.slice(9, 12)), text }
}

/** Ways to write `..`, `.`, slashes and the like. */
const DOTS = ['..', '%2e%2e', '.%2e', '%2E.', '%2e%2E', '.', '%2e']
const SLASHES = ['/', '%2f', '%2F', '//', '/%2f']

test('no spelling of .. or . is a name, in a path, in mv.from and cp.from, in the name of an upload', async () => {
  const targets: string[] = []
  for (const dots of DOTS) {
    for (const slash of SLASHES) {
      targets.push(
        `/${dots}${slash}x`,
        `/a${slash}${dots}${slash}x`,
        `/a${slash}${dots}`,
        `/a${slash}${dots}${slash}`,
      )
      targets.push(`/a${slash}${dots}${slash}${dots}${slash}buckets${slash}secret${slash}key`)
    }
  }
  for (const target of targets) {
    for (const [method, body] of [
      ['GET', ''],
      ['PUT', 'x'],
      ['DELETE', ''],
    ] as const) {
      const { status, text } = await raw(method, target, body)
      assert.equal(status, 400, `${method} ${target}`)
      assert.ok(!text.endsWith('secret'))
    }
    const decoded = target.replace(/%2e/gi, '.').replace(/%2f/gi, '/')
    for (const parameter of ['mv.from', 'cp.from']) {
      const moved = await filer.ask({
        method: 'POST',
        path: `/t?${parameter}=${encodeURIComponent(decoded)}`,
      })
      assert.equal(moved.status, 400, decoded)
    }
  }
  for (const filename of ['..', '.', 'a/..', '../..']) {
    const posted = await filer.post('/up/', { content: 'x', filename })
    assert.equal(posted.status, 400, filename)
  }
  const nested = await filer.post('/up/', { content: 'x', filename: '../../etc/passwd' })
  assert.equal(nested.text, '{"name":"passwd","size":1}')
  assert.deepEqual(await filer.names('/up'), ['passwd'])
})

test('slashes that are doubled or encoded count once, and dots in names are names', async () => {
  assert.equal((await raw('PUT', '/s//a%2Fb///c', 'x')).status, 201)
  assert.equal((await filer.get('/s/a/b/c')).text, 'x')
  for (const name of [
    '...',
    '..a',
    'a..',
    '.hidden',
    '%252e%252e',
    '..%5c..',
    '%5c%5cserver',
    'c%3a%5cx',
    '~',
    '..;',
  ]) {
    assert.equal((await raw('PUT', `/dots/${name}`, 'x')).status, 201, name)
    assert.equal((await raw('GET', `/dots/${name}`)).status, 200, name)
  }
  assert.equal((await filer.names('/dots')).length, 10)
})

test('paths that are no text', async () => {
  for (const target of ['/a%00b', '/%', '/%zz', '/%ff', '/%c0%ae%c0%ae/x', '/a%ed%a0%80', '/\xff']) {
    assert.equal((await raw('GET', target)).status, 400, target)
    assert.equal((await raw('PUT', target, 'x')).status, 400, target)
  }
  assert.equal((await raw('GET', '/%0d%0aX:%20y')).status, 404)
  assert.equal((await raw('PUT', '/line%0abreak', 'x')).status, 201)
  const got = await filer.get('/line%0Abreak')
  assert.equal(got.headers['content-disposition'], "inline; filename*=utf-8''line%0Abreak")
})

test('names over 255 bytes, and keys over 1,024', async () => {
  const long = 'ä'.repeat(128)
  assert.equal((await filer.put(`/${encodeURIComponent(long)}`, 'x')).status, 414)
  assert.equal((await filer.put(`/${'a'.repeat(255)}`, 'x')).status, 201)
  assert.equal((await filer.put(`/${'a'.repeat(256)}`, 'x')).status, 414)
  assert.equal((await filer.put(`/${'a'.repeat(256)}/b`, 'x')).status, 414)
  assert.equal((await filer.post('/', { content: 'x', filename: 'a'.repeat(256) })).status, 414)
  assert.equal((await filer.ask({ method: 'POST', path: `/${'a'.repeat(256)}/` })).status, 414)
  const deep = `/${'d'.repeat(250)}`.repeat(5)
  assert.equal((await filer.put(deep, 'x')).status, 414)
  assert.equal((await filer.get(deep)).status, 404)
  assert.equal((await filer.get(`/${'a'.repeat(2_000)}`)).status, 404)
  assert.equal((await filer.ask({ method: 'DELETE', path: deep })).status, 204)
})

test('parameters that cannot be meant', async () => {
  const queries = [
    'mode=9',
    'mode=x',
    'ttl=1x',
    'offset=-1',
    'offset=x',
    'skipCheckParentDir=so',
    'ttl=%zz',
    'collection=a/b',
  ]
  for (const query of queries) assert.equal((await filer.put(`/p/f?${query}`, 'x')).status, 400, query)
  assert.equal((await filer.get('/p/f')).status, 404)
  assert.equal((await filer.ask({ method: 'DELETE', path: '/p?recursive=perhaps' })).status, 400)
})

test('forms that are none', async () => {
  const type = (boundary: string) => ({ 'Content-Type': `multipart/form-data${boundary}` })
  const post = (body: string | Buffer, boundary = '; boundary=B') =>
    filer.ask({ method: 'POST', path: '/forms/f', body, headers: type(boundary) })
  assert.equal((await post('x', '')).status, 400)
  for (const filler of ['', 'x'.repeat(100_000)]) {
    assert.equal((await post(`no boundary ${filler}`)).status, filler === '' ? 400 : 413)
    const head = '--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    assert.equal((await post(`${head}cut off ${filler}`)).status, 400)
    assert.equal((await post(`--B\r\n${filler}`)).status >= 400, true)
  }
  assert.equal((await filer.get('/forms/f')).status, 404)
})

test('a body that breaks off leaves nothing', async () => {
  for (const length of [1_000, 5_000_000]) {
    const head = `PUT /cut/${length} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`
    await new Promise<void>((resolve) => {
      const socket = net.connect(filer.port, '127.0.0.1', () => {
        socket.write(head)
        socket.write(Buffer.alloc(length >> 1), () => socket.destroy())
      })
      socket.on('close', () => resolve())
    })
    assert.equal((await filer.get(`/cut/${length}`)).status, 404)
  }
})

test('an error is answered before the body is sent, and the rest of the body is read', async () => {
  const length = 20_000_000
  const head = `PUT /early/f?mode=x HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`
  const got = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = net.connect(filer.port, '127.0.0.1', () => socket.write(head))
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')))
    socket.on('error', reject)
    socket.on('data', (piece) => {
      const isFirst = text === ''
      text += piece.toString('latin1')
      // The answer came; now the body, and another request on the same connection.
      if (isFirst) {
        socket.write(Buffer.alloc(length))
        socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n')
      } else if (text.split('HTTP/1.1').length === 3) socket.destroy()
    })
    socket.on('close', () => resolve(text))
  })
  assert.match(got, /^HTTP\/1\.1 400 /)
  assert.match(got, /HTTP\/1\.1 200 OK/)
})

test('Expect: 100-continue', async () => {
  const head = 'PUT /expect/f HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n'
  const got = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = net.connect(filer.port, '127.0.0.1', () => socket.write(head))
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')))
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
    socket.on('data', (piece) => {
      text += piece.toString('latin1')
      if (text.endsWith('100 Continue\r\n\r\n')) socket.write(Buffer.alloc(100_000))
      else socket.destroy()
    })
  })
  assert.match(got, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /)
  assert.equal((await filer.get('/expect/f')).body.length, 100_000)
})

test('chunked bodies, of every length', async () => {
  for (const size of [0, 10, 70_000, 5_000_000]) {
    const bytes = Buffer.alloc(size, 'chunked ')
    const headers = { 'Transfer-Encoding': 'chunked' }
    const put = await filer.ask({ method: 'PUT', path: `/chunked/${size}`, body: bytes, headers })
    assert.equal(put.status, 201)
    assert.ok((await filer.get(`/chunked/${size}`)).body.equals(bytes))
    assert.equal(put.headers['content-md5'], createHash('md5').update(bytes).digest('base64'))
  }
})

test('other methods are refused, and health needs nobody', async () => {
  for (const method of ['PATCH', 'PROPFIND', 'LOCK']) {
    const refused = await filer.ask({ method, path: '/x' })
    assert.equal(refused.status, 405)
    assert.equal(refused.headers.allow, 'PUT, POST, GET, HEAD, DELETE, OPTIONS')
  }
  assert.equal((await filer.get('/healthz')).status, 200)
})

test('errors are JSON, indented when asked for', async () => {
  const refused = await filer.ask({ method: 'DELETE', path: '/?pretty=1' })
  assert.equal(refused.headers['content-type'], 'application/json')
  assert.equal(refused.headers['x-content-type-options'], 'nosniff')
  assert.equal(refused.text, '{\n  "error": "/ cannot be deleted"\n}')
  assert.ok(refused.headers['x-amz-request-id'])
})

test('with passwords, nothing but health is answered without one', async () => {
  const guarded = await startFiler({ basicAuth: new BasicAuth('bob:secret') })
  const right = { Authorization: `Basic ${Buffer.from('bob:secret').toString('base64')}` }
  const wrong = { Authorization: `Basic ${Buffer.from('bob:guess').toString('base64')}` }
  for (const headers of [{}, wrong]) {
    for (const method of ['GET', 'PUT', 'POST', 'DELETE', 'HEAD']) {
      const refused = await guarded.ask({
        method,
        path: '/f',
        headers,
        ...(method === 'PUT' ? { body: 'x' } : {}),
      })
      assert.equal(refused.status, 401, method)
      assert.match(refused.headers['www-authenticate'] as string, /^Basic /)
    }
    assert.equal((await guarded.get('/', headers)).status, 401)
  }
  assert.equal((await guarded.put('/f', 'x', right)).status, 201)
  assert.equal((await guarded.get('/f', right)).text, 'x')
  assert.equal((await guarded.get('/healthz')).status, 200)
  assert.equal((await guarded.ask({ method: 'OPTIONS', path: '/f' })).status, 200)
  await guarded.close()
})
