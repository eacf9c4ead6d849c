/** sfss as `cairn server` serves it, asked with curl as its document has it, and by its client. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { BasicAuth } from '../../src/net/basic-auth.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { ObjectFiles } from '../../src/protocols/sfss/object-files.ts'
import { SfssServer, type SfssServerOptions } from '../../src/protocols/sfss/server.ts'
import { SfssCounters } from '../../src/protocols/sfss/sfss-counters.ts'
import { startFiler } from '../filer/filer-kit.ts'
import { runCairn, type ServerProcess, spawnCairn, startServer } from '../support/cairn-process.ts'

const MIB = 1024 * 1024
const directory = mkdtempSync(join(tmpdir(), 'cairn-sfss-'))
let server: ServerProcess

before(async () => {
  server = await startServer(join(directory, 'data'))
})

after(async () => {
  await server.kill()
  rmSync(directory, { recursive: true, force: true })
})

const url = (target: string) => `http://${server.sfss}${target}`
const local = (name: string) => join(directory, name)

/** Runs curl; gives the body and what `--write-out` says. */
function curl(target: string, ...args: string[]): Promise<{ status: number; type: string; body: Buffer }> {
  const child = spawn('curl', [
    '-sS',
    '-m',
    '20',
    ...args,
    '-w',
    '\n%{http_code} %{content_type}',
    url(target),
  ])
  const pieces: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => {
      const all = Buffer.concat(pieces)
      const end = all.lastIndexOf('\n')
      const [status, type = ''] = all.toString('latin1', end + 1).split(' ')
      resolve({ status: Number(status), type, body: all.subarray(0, end) })
    })
  })
}

test('the lines of its document: create, update, get, status', async () => {
  const [one, two] = [randomBytes(5_000), Buffer.from('two')]
  writeFileSync(local('one.gif'), one)
  writeFileSync(local('two.gif'), two)
  const target = '?path=file/path/to/save.gif'
  const posted = await curl(`/files${target}`, '-F', `upload_file=@${local('one.gif')}`, '-X', 'POST')
  assert.equal(posted.status, 201)
  const got = await curl(`/file${target}`)
  assert.deepEqual([got.status, got.type], [200, 'image/gif'])
  assert.ok(got.body.equals(one))
  const put = await curl(`/file${target}`, '-F', `upload_file=@${local('two.gif')}`, '-X', 'PUT')
  assert.equal(put.status, 200)
  assert.ok((await curl(`/file${target}`)).body.equals(two))
  const made = await curl('/file?path=new', '-F', `upload_file=@${local('two.gif')}`, '-X', 'PUT')
  assert.equal(made.status, 200)
  const status = await curl('/status')
  assert.deepEqual([status.status, status.type], [200, 'application/json'])
  const stats = JSON.parse(status.body.toString())
  assert.equal(stats[server.master].cmd_set, '3')
  assert.equal(stats[server.master].curr_items, '2')
  assert.equal(stats[server.master].get_hits, '2')
  // curl has one for each line; the one that asks is open.
  assert.ok(Number(stats[server.master].total_connections) >= 6)
  assert.ok(Number(stats[server.master].curr_connections) >= 1)
  assert.deepEqual(stats.storages[server.master], { state: 'up', ...stats[server.master] })
  for (const value of Object.values({ ...stats[server.master], ...stats.webserver }))
    assert.equal(typeof value, 'string')
})

test('a raw body is the file as well, of any size up to the limit', async () => {
  for (const size of [0, 1, 70_000, 2 * MIB]) {
    const bytes = randomBytes(size)
    writeFileSync(local('raw'), bytes)
    const posted = await curl(`/files?path=raw/${size}`, '-H', 'Expect:', '--data-binary', `@${local('raw')}`)
    assert.equal(posted.status, 201)
    const got = await fetch(url(`/file?path=raw/${size}`))
    assert.equal(got.headers.get('content-length'), String(size))
    assert.equal(got.headers.get('content-type'), 'application/octet-stream')
    assert.ok(Buffer.from(await got.arrayBuffer()).equals(bytes))
  }
})

test('the file of a form is the field upload_file, or the only file', async () => {
  writeFileSync(local('one'), 'one')
  writeFileSync(local('other'), 'other')
  const [one, other] = [`@${local('one')}`, `@${local('other')}`]
  const forms: [string[], string | undefined][] = [
    [['upload_file=text'], 'text'],
    [[`any=${one}`], 'one'],
    [['note=text', `any=${one}`], 'one'],
    [[`any=${other}`, `upload_file=${one}`, 'note=text'], 'one'],
    [[`any=${other}`, 'upload_file=text'], 'text'],
    [[`upload_file=${one}`, `upload_file=${other}`], undefined],
    [[`any=${one}`, `another=${other}`], undefined],
  ]
  for (const [fields, content] of forms) {
    const words = fields.flatMap((field) => ['-F', field])
    const posted = await curl('/files?path=form', ...words)
    assert.equal(posted.status, content === undefined ? 400 : 201, fields.join(' '))
    if (content !== undefined) assert.equal((await curl('/file?path=form')).body.toString(), content)
  }
})

test('paths are UTF-8, quoted, with spaces and dots', async () => {
  const path = 'ordner/grüße 文件 +&.txt'
  assert.equal(
    (await fetch(url(`/files?path=${encodeURIComponent(path)}`), { method: 'POST', body: 'a' })).status,
    201,
  )
  const spaced = encodeURIComponent(path).replaceAll('%20', '+')
  const got = await fetch(url(`/file?x=1&path=${spaced}`))
  assert.deepEqual([got.status, got.headers.get('content-type')], [200, 'text/plain'])
  assert.equal((await curl('/file?path=grüße')).status, 400)
  assert.equal((await curl('/files?path=../../etc/x', '-d', 'dots')).status, 201)
  assert.equal((await curl('/file?path=..%2F..%2Fetc%2Fx')).body.toString(), 'dots')
})

test('what is wrong is said: 400, 404, 405, 413', async () => {
  const wrong = [
    '',
    '?path=',
    '?other=1',
    '?path=%ff',
    '?path=%zz',
    '?path=a%00b',
    `?path=${'x'.repeat(1_025)}`,
  ]
  for (const query of wrong) {
    assert.equal((await curl(`/file${query}`)).status, 400, query)
    assert.equal((await curl(`/files${query}`, '-d', 'x')).status, 400, query)
    assert.equal((await curl(`/file${query}`, '-d', 'x', '-X', 'PUT')).status, 400, query)
  }
  assert.equal((await curl('/files?path=a', '-F', 'a=b', '-F', 'c=d')).status, 400)
  assert.equal((await curl('/file?path=nothing')).status, 404)
  assert.equal((await curl('/else')).status, 404)
  assert.equal((await curl('/files?path=a')).status, 405)
  writeFileSync(local('large'), randomBytes(2 * MIB + 1))
  for (const method of ['POST', 'PUT']) {
    const target = method === 'POST' ? '/files?path=large' : '/file?path=large'
    for (const body of [
      ['--data-binary', `@${local('large')}`],
      ['-F', `upload_file=@${local('large')}`],
    ]) {
      assert.equal((await curl(target, '-X', method, ...body)).status, 413)
      assert.equal((await curl(target, '-X', method, '-H', 'Expect:', ...body)).status, 413)
    }
  }
  writeFileSync(local('huge'), Buffer.alloc(40 * MIB))
  const huge = await curl('/files?path=large', '-H', 'Expect:', '-F', `upload_file=@${local('huge')}`)
  assert.equal(huge.status, 413)
  assert.equal((await curl('/file?path=large')).status, 404)
})

/** More than two sockets take while nobody reads, and less than is read and dropped. */
const [ENDLESS_PIECES, PIECE_BYTES] = [768, 64 * 1024]

const TOLD = `Content-Length: ${ENDLESS_PIECES * PIECE_BYTES}`

for (const [what, framing] of [
  ['of a length that is told', TOLD],
  ['in chunks', 'Transfer-Encoding: chunked'],
  ['on a connection for one request', `${TOLD}\r\nConnection: close`],
  ['in chunks on a connection for one request', 'Transfer-Encoding: chunked\r\nConnection: close'],
] as const) {
  test(`a client that is still sending a file that is too large, ${what}, gets 413`, async () => {
    const [host, port] = server.sfss.split(':') as [string, string]
    const socket = connect(Number(port), host)
    let answer = ''
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no end behind ${answer}`)))
    socket.on('data', (piece: Buffer) => {
      answer += piece.toString()
    })
    const ended = new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('end', resolve)
    })
    socket.write(`POST /files?path=endless HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`)
    const piece = Buffer.alloc(PIECE_BYTES)
    const sent = framing.startsWith('T')
      ? Buffer.concat([Buffer.from('10000\r\n'), piece, Buffer.from('\r\n')])
      : piece
    let pieces = 0
    for (; pieces < ENDLESS_PIECES && !answer.includes('\r\n\r\n'); pieces++)
      await new Promise<void>((resolve) => socket.write(sent, () => resolve()))
    assert.ok(pieces < ENDLESS_PIECES, 'the answer comes before the end of the body')
    assert.match(answer, /^HTTP\/1\.1 413 /)
    for (; pieces < ENDLESS_PIECES; pieces++) socket.write(sent)
    if (framing.startsWith('T')) socket.write('0\r\n\r\n')
    // The rest is dropped, and what comes behind it understood.
    const isOnlyOne = framing.includes('close')
    if (!isOnlyOne) socket.write('GET /file?path=endless HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await ended
    assert.match(
      answer,
      isOnlyOne
        ? /file over the limit of 2097152 bytes"}$/
        : /file over the limit of 2097152 bytes"}HTTP\/1\.1 404 /,
    )
  })
}

test('heads, ranges, conditions, and removal', async () => {
  const target = url('/file?path=letters.txt')
  await fetch(target, { method: 'PUT', body: 'abcdefghij' })
  const head = await fetch(target, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '10', ''])
  const range = await fetch(target, { headers: { range: 'bytes=2-4' } })
  assert.deepEqual([range.status, await range.text()], [206, 'cde'])
  const two = await fetch(target, { headers: { range: 'bytes=0-0,9-9' } })
  assert.match(two.headers.get('content-type')!, /^multipart\/byteranges/)
  const behind = await fetch(target, { headers: { range: 'bytes=10-' } })
  assert.deepEqual([behind.status, behind.headers.get('content-range')], [416, 'bytes */10'])
  assert.deepEqual(await behind.json(), { error: 'invalid range' })
  const etag = head.headers.get('etag')!
  assert.equal((await fetch(target, { headers: { 'if-none-match': etag } })).status, 304)
  const first = { 'if-none-match': '*' }
  assert.equal((await fetch(target, { method: 'PUT', body: 'x', headers: first })).status, 412)
  assert.equal((await fetch(target, { method: 'PUT', body: 'x', headers: { 'if-match': etag } })).status, 200)
  const present = (await fetch(target, { method: 'HEAD' })).headers.get('etag')!
  const weak = { 'if-match': `W/${present}` }
  assert.equal((await fetch(target, { method: 'PUT', body: 'y', headers: weak })).status, 412)
  for (const method of ['PUT', 'DELETE']) {
    const body = method === 'PUT' ? { body: 'y' } : {}
    const nowhere = url('/file?path=nowhere')
    assert.equal((await fetch(nowhere, { method, ...body, headers: { 'if-match': '*' } })).status, 412)
    assert.equal((await fetch(nowhere, { method: 'HEAD' })).status, 404)
  }
  const removed = async (headers: Record<string, string>) =>
    (await fetch(target, { method: 'DELETE', headers })).status
  assert.equal(await removed({ 'if-match': etag }), 412)
  assert.equal(await removed({ 'if-none-match': '*' }), 412)
  assert.equal(await removed({ 'if-match': 'malformed' }), 400)
  const now = (await fetch(target, { method: 'HEAD' })).headers.get('etag')!
  assert.equal(await removed({ 'if-match': `"other", ${now}` }), 204)
  assert.equal((await fetch(target)).status, 404)
  assert.equal((await fetch(target, { method: 'DELETE' })).status, 404)
})

/** The status of a GET whose target is written as it is given. */
function statusOf(address: string, target: string): Promise<number> {
  const [host, port] = address.split(':') as [string, string]
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host)
    let answer = ''
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no end behind ${answer}`)))
    socket.once('error', reject)
    socket.on('data', (piece: Buffer) => {
      answer += piece.toString('latin1')
    })
    socket.once('end', () => resolve(Number(answer.split(' ')[1])))
    socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  })
}

test('the form of a target that proxies send is understood, here and at the other doors', async () => {
  await fetch(url('/file?path=proxied'), { method: 'PUT', body: 'x' })
  assert.equal(await statusOf(server.sfss, `http://${server.sfss}/file?path=proxied`), 200)
  assert.equal(await statusOf(server.sfss, 'HTTP://x/file?path=nothing-there'), 404)
  for (const address of [server.volume, server.filer, server.objects, server.master])
    assert.equal(await statusOf(address, `http://${address}/healthz`), 200, address)
})

test('its client sends files and folders, and measures', async () => {
  const [host, port] = server.sfss.split(':') as [string, string]
  const client = (...args: string[]) => runCairn(['sfss-client', '--host', host, '--port', port, ...args])
  writeFileSync(local('sent.txt'), 'sent')
  const sent = await client('--path', 'folder/subfolder/filename.ext', '--filepath', local('sent.txt'))
  assert.equal(sent.code, 0, sent.stderr)
  assert.equal((await curl('/file?path=folder/subfolder/filename.ext')).body.toString(), 'sent')
  mkdirSync(local('tree/below'), { recursive: true })
  writeFileSync(local('tree/a'), 'a')
  writeFileSync(local('tree/below/ü b'), 'b')
  symlinkSync(local('sent.txt'), local('tree/linked'))
  assert.equal((await client('--path', 'tree', '--filepath', local('tree'))).code, 0)
  assert.equal((await curl('/file?path=tree/below/%C3%BC%20b')).body.toString(), 'b')
  assert.equal((await curl('/file?path=tree/linked')).body.toString(), 'sent')
  writeFileSync(local('tree/below/large'), randomBytes(2 * MIB + 1))
  writeFileSync(local('tree/a'), 'another')
  const most = await client('--path', 'most/', '--filepath', local('tree'))
  assert.equal(most.code, 1)
  assert.equal(
    most.stderr,
    'cairn: most/below/large: file over the limit of 2097152 bytes (status 413)\n',
    'one line for what failed',
  )
  assert.deepEqual(most.stdout.trim().split('\n').sort(), ['most/a', 'most/below/ü b', 'most/linked'])
  assert.equal((await curl('/file?path=most/a')).body.toString(), 'another')
  const measured = await client('--path', 'bench', '--benchmark', '--requests', '40', '--json')
  assert.equal(measured.code, 0, measured.stderr)
  const { phases } = JSON.parse(measured.stdout)
  assert.deepEqual(
    phases.map(({ completedRequests: done, failedRequests: failed }: Record<string, number>) => [
      done,
      failed,
    ]),
    [
      [40, 0],
      [40, 0],
    ],
  )
  writeFileSync(local('large'), randomBytes(2 * MIB + 1))
  const large = await client('--path', 'large', '--filepath', local('large'))
  assert.equal(large.code, 1)
  assert.equal((await client('--filepath', local('sent.txt'))).code, 2)
  for (const flags of [
    ['--filepath', local('nothing')],
    ['--filepath', local('tree'), '--benchmark'],
    ['--filepath', local('tree'), '--json'],
  ]) {
    const refused = await client('--path', 'x', ...flags)
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /^cairn: (cannot read|--json goes with --benchmark).*\n/)
  }
})

test('a signal ends its client, which says so', { timeout: 60_000 }, async () => {
  let asked = 0
  let stop: () => void = () => {}
  const other = createServer((request, response) => {
    asked++
    if (asked === 2) stop()
    request.resume().once('end', () => response.writeHead(201).end())
  })
  await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve))
  const at = ['--host', '127.0.0.1', '--port', String((other.address() as AddressInfo).port)]
  mkdirSync(local('many'))
  for (let i = 0; i < 1_000; i++) writeFileSync(local(`many/${i}`), 'x')
  try {
    for (const flags of [
      ['--filepath', local('many')],
      ['--benchmark', '--requests', '100000', '--concurrency', '1', '--size', '1'],
    ]) {
      asked = 0
      const { child, ended } = spawnCairn(['sfss-client', '--path', 'x', ...at, ...flags])
      stop = () => child.kill('SIGINT')
      const { code, stderr } = await ended
      assert.equal(code, 1, stderr)
      assert.match(stderr, /cairn: interrupted/)
      if (flags.includes('--benchmark')) continue
      assert.equal(stderr, `cairn: interrupted: ${asked} of 1000 files are stored\n`)
      assert.ok(asked < 1_000)
    }
  } finally {
    other.close()
  }
})

/** A door on a storage that is down. */
async function onStorageThatIsDown(
  options: Partial<SfssServerOptions>,
  use: (at: string) => Promise<void>,
): Promise<void> {
  const kit = await startFiler()
  const down = () => Promise.reject(new StoreError('unavailable', 'no volume server answers'))
  const counters = new SfssCounters(SfssCounters.share(1), 0)
  const [clock, version] = [systemClock, '0.0.0']
  const objects = Object.assign(Object.create(kit.objects), { bucket: down })
  const storage = { address: () => '127.0.0.1:1', check: down }
  const door = new SfssServer({
    files: new ObjectFiles({ objects, storage, clock, counters, version, owner: 'root' }),
    ...{ clock, counters, version, random: systemRandom, log: silentLog },
    fileSizeBytesMax: MIB,
    bodyBudget: new BodyBudget(new SharedArrayBuffer(4), 64 * MIB),
    ...options,
  })
  try {
    await use(`http://127.0.0.1:${await door.listen({ host: '127.0.0.1', port: 0 })}`)
  } finally {
    await door.close()
    await kit.close()
  }
}

test('504 where no storage answers, for files and for the status', async () => {
  await onStorageThatIsDown({}, async (at) => {
    const requests: [string, RequestInit][] = [
      ['/status', {}],
      ['/file?path=a', {}],
      ['/file?path=a', { method: 'HEAD' }],
      ['/file?path=a', { method: 'DELETE' }],
      ['/file?path=a', { method: 'PUT', body: 'x' }],
      ['/files?path=a', { method: 'POST', body: 'x' }],
    ]
    for (const [target, request] of requests)
      assert.equal((await fetch(at + target, request)).status, 504, `${request.method} ${target}`)
  })
})

test('a password is asked for, where there is one, on all but the look at its health', async () => {
  await onStorageThatIsDown({ basicAuth: new BasicAuth('ada:secret\n') }, async (at) => {
    for (const target of ['/status', '/file?path=a']) {
      const refused = await fetch(at + target)
      assert.deepEqual([refused.status, refused.headers.has('www-authenticate')], [401, true])
      const headers = { authorization: `Basic ${Buffer.from('ada:secret').toString('base64')}` }
      assert.equal((await fetch(at + target, { headers })).status, 504)
    }
    assert.equal((await fetch(`${at}/healthz`)).status, 200)
  })
})

test('429 where too many passwords wait to be checked', async () => {
  const bugs: unknown[] = []
  const log = { ...silentLog, error: (...words: unknown[]) => void bugs.push(words) } as typeof silentLog
  const busy = new StoreError('too_many_requests', 'too many passwords to check; try again')
  const basicAuth = Object.assign(new BasicAuth('ada:secret\n'), { user: () => Promise.reject(busy) })
  await onStorageThatIsDown({ basicAuth, log }, async (at) => {
    for (const method of ['GET', 'PUT']) {
      const refused = await fetch(`${at}/file?path=a`, { method, ...(method === 'PUT' && { body: 'x' }) })
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '1'])
    }
  })
  assert.deepEqual(bugs, [])
})
