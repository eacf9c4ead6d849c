/** What clients do wrong: each gets a clear error, and nothing is stored or lost. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { ask, exchangeRaw, form, type Kit, post, startKit } from './volume-server-kit.ts'

describe('bad input', () => {
  let kit: Kit
  before(async () => {
    kit = await startKit()
  })
  after(() => kit.close())

  /** Nothing is stored under that id. */
  async function isAbsent(fid: string): Promise<void> {
    assert.equal((await ask(kit.port, { path: `/${fid}` })).status, 404)
  }

  test('malformed file ids', async () => {
    const bad = [
      '1,',
      '1,zz',
      '1,123',
      '1,12345678',
      'x,0163703712',
      '99999999999,0163703712',
      '1,01637037120163703712016370',
      'abc',
      '-1,0163703712',
      '1,01_x637037',
    ]
    bad.push('1,ffffffffffffffff12345678_1', '1,01637037d6_', '1,%zz', '1/2/3/4/5')
    for (const fid of bad) {
      const read = await ask(kit.port, { path: `/${fid}` })
      assert.equal(read.status, 400, fid)
      assert.ok(read.json().error, fid)
      const written = await post(kit.port, fid, { content: 'x' })
      assert.equal(written.status, 400, fid)
      assert.ok(written.json().error, fid)
      assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}` })).status, 400, fid)
    }
  })

  test('paths that are no files', async () => {
    assert.equal((await ask(kit.port, { path: '/favicon.ico' })).status, 404)
    for (const path of ['/../../etc/passwd', '/..%2f..%2fetc%2fpasswd', '//', '/%00']) {
      assert.equal((await ask(kit.port, { path })).status, 400, path)
    }
  })

  test('a wrong cookie: 404 to read, 400 to delete, 500 to write, and the file stays', async () => {
    const fid = kit.newFid()
    await post(kit.port, fid, { content: 'mine' })
    const wrong = `${fid.slice(0, -8)}${fid.endsWith('00000000') ? '00000001' : '00000000'}`
    assert.equal((await ask(kit.port, { path: `/${wrong}` })).status, 404)
    const removed = await ask(kit.port, { method: 'DELETE', path: `/${wrong}` })
    assert.deepEqual([removed.status, removed.text], [400, '{"error":"File Random Cookie does not match."}'])
    const written = await post(kit.port, wrong, { content: 'yours' })
    assert.equal(written.status, 500)
    assert.equal(written.json().error, `failed to write to local disk: mismatching cookie ${wrong.slice(-8)}`)
    assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'mine')
  })

  test('unknown volumes and ids', async () => {
    assert.equal((await ask(kit.port, { path: '/77,0163703712' })).status, 404)
    const written = await post(kit.port, '77,0163703712', { content: 'x' })
    assert.deepEqual([written.status, written.json().error], [404, 'volume 77 not found'])
    assert.deepEqual((await ask(kit.port, { method: 'DELETE', path: '/77,0163703712' })).text, '{"size":0}')
    const fid = kit.newFid()
    assert.equal((await ask(kit.port, { path: `/${fid}` })).status, 404)
    assert.equal((await ask(kit.port, { method: 'HEAD', path: `/${fid}` })).status, 404)
    assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}` })).status, 404)
    // Without tokens any id may be written.
    assert.equal((await post(kit.port, '1,ff00112233445566aabbccdd', { content: 'x' })).status, 201)
    assert.equal((await ask(kit.port, { path: '/1,ff00112233445566aabbccdd' })).text, 'x')
  })

  test('bodies over the limit are refused at once, announced or not', async () => {
    const large = Buffer.alloc(9 * 1024 * 1024)
    const fid = kit.newFid()
    const announced = await ask(kit.port, { method: 'PUT', path: `/${fid}`, body: large })
    assert.equal(announced.status, 413)
    assert.match(String(announced.json().error), /limit/)
    const headers = { 'Transfer-Encoding': 'chunked' }
    assert.equal((await ask(kit.port, { method: 'PUT', path: `/${fid}`, headers, body: large })).status, 413)
    assert.equal((await post(kit.port, fid, { content: large.subarray(0, 8 * 1024 * 1024 + 1) })).status, 413)
    // A client that waits for 100-continue never sends the body.
    const head = `PUT /${fid} HTTP/1.1\r\nHost: x\r\nContent-Length: ${large.length}\r\nExpect: 100-continue\r\n\r\n`
    const reply = await exchangeRaw(kit.port, head, (received) => received.includes('}'))
    assert.match(reply, /^HTTP\/1.1 413 /)
    await isAbsent(fid)
    assert.equal(kit.budget.usedBytes, 0)
  })

  test('bodies that are cut off', async () => {
    const fid = kit.newFid()
    const { headers, body } = form({ content: 'x'.repeat(1000), filename: 'x' })
    const type = `Content-Type: ${headers['Content-Type']}`
    for (const length of [body.length, 100_000]) {
      const socket = net.connect(kit.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.end(
        `POST /${fid} HTTP/1.1\r\nHost: x\r\n${type}\r\nContent-Length: ${length}\r\n\r\n${body.subarray(0, 500)}`,
      )
      await new Promise((resolve) => socket.on('close', resolve).resume())
    }
    for (const keep of [0, 10, 60, 500, body.length - 4]) {
      const cut = await ask(kit.port, {
        method: 'POST',
        path: `/${fid}`,
        headers,
        body: body.subarray(0, keep),
      })
      assert.equal(cut.status, 400, String(keep))
      assert.match(String(cut.json().error), /malformed multipart form/)
    }
    await isAbsent(fid)
  })

  test('malformed forms, two files, part header bombs', async () => {
    const fid = kit.newFid()
    const send = (body: string, type = 'multipart/form-data; boundary=B') =>
      ask(kit.port, { method: 'POST', path: `/${fid}`, headers: { 'Content-Type': type }, body })
    const part = (name: string) =>
      `--B\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\n\r\n${name}\r\n`
    assert.match(String((await send(`${part('a')}${part('b')}--B--\r\n`)).json().error), /more than one file/)
    assert.equal((await send('no boundary here')).status, 400)
    assert.equal((await send(part('a'), 'multipart/form-data')).status, 400)
    assert.equal((await send(`--B\r\nX: ${'y'.repeat(10_000)}\r\n\r\nx\r\n--B--\r\n`)).status, 413)
    assert.equal(
      (await send(`${'--B\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n'.repeat(100)}--B--\r\n`))
        .status,
      400,
    )
    await isAbsent(fid)
  })

  test('names over 255 bytes, types over 255 bytes, pairs over 64 KiB', async () => {
    const fid = kit.newFid()
    const long = await post(kit.port, fid, { content: 'x', filename: 'n'.repeat(256) })
    assert.deepEqual([long.status, long.json().error], [400, 'name over 255 bytes'])
    assert.equal((await post(kit.port, fid, { content: 'x', filename: 'ü'.repeat(128) })).status, 400)
    assert.equal((await post(kit.port, fid, { content: 'x', mime: `text/${'m'.repeat(256)}` })).status, 400)
    const headers = Object.fromEntries(
      Array.from({ length: 9 }, (_, i) => [`Seaweed-P${i}`, 'v'.repeat(8_000)]),
    )
    assert.equal((await post(kit.port, fid, { content: 'x' }, { headers })).status, 431)
    await isAbsent(fid)
    assert.equal((await post(kit.port, fid, { content: 'x', filename: 'n'.repeat(255) })).status, 201)
  })

  test('numbers and flags that are none', async () => {
    const fid = kit.newFid()
    const bad = [
      'ts=x',
      'ts=-1',
      'ts=1.5',
      'ts=99999999999999',
      'ttl=5s',
      'ttl=x',
      'ttl=-1m',
      'ttl=999999999y',
      'cm=maybe',
      'fsync=2',
      'type=other',
      'dl=perhaps',
      'readDeleted=x',
      'width=x',
      'height=-1',
      'crop_x1=1e3',
      'mode=stretch',
      'ts=%zz',
    ]
    for (const query of bad) {
      const { headers, body } = form({ content: 'x' })
      const written = await ask(kit.port, { method: 'POST', path: `/${fid}?${query}`, headers, body })
      assert.equal(written.status, 400, query)
      assert.ok(String(written.json().error).length > 5, query)
      assert.equal((await ask(kit.port, { path: `/${fid}?${query}` })).status, 400, query)
      assert.equal((await ask(kit.port, { method: 'DELETE', path: `/${fid}?${query}` })).status, 400, query)
    }
    const split = await ask(kit.port, { path: `/${fid}?response-content-type=a%0d%0aX:%20b` })
    assert.equal(split.status, 400)
    await isAbsent(fid)
  })

  test('methods that are not allowed', async () => {
    for (const method of ['PATCH', 'TRACE', 'LINK', 'PROPFIND']) {
      const refused = await ask(kit.port, { method, path: `/${kit.newFid()}` })
      assert.equal(refused.status, 405)
      assert.match(String(refused.json().error), /not allowed/)
      assert.match(String(refused.headers.allow), /GET/)
    }
  })

  test('header bombs', async () => {
    const bomb = `GET /${kit.newFid()} HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(6_000)}\r\n`
    const reply = await exchangeRaw(kit.port, bomb)
    assert.match(reply, /^HTTP\/1.1 431 .*\r\n\r\n\{"error":".*too large"\}$/s)
  })

  test('bad manifests', async () => {
    const bad = [
      '',
      'x',
      '[]',
      '{}',
      '{"chunks":[{"fid":"x","offset":0,"size":1}]}',
      '{"chunks":[{"fid":"1,0163703712","offset":5,"size":1}]}',
      '{"chunks":[{"fid":"1,0163703712","offset":0,"size":-1}]}',
      '{"size":7,"chunks":[{"fid":"1,0163703712","offset":0,"size":1}]}',
    ]
    for (const content of bad) {
      const fid = kit.newFid()
      const { headers, body } = form({ content })
      const refused = await ask(kit.port, { method: 'POST', path: `/${fid}?cm=true`, headers, body })
      assert.equal(refused.status, 400, content)
      await isAbsent(fid)
    }
  })

  test('a volume that takes no writes says why, and still reads', async () => {
    const other = await startKit()
    const fid = other.newFid()
    await post(other.port, fid, { content: 'before' })
    await other.keeper.setReadOnly(1, true)
    const refused = await post(other.port, other.newFid(), { content: 'x' })
    assert.equal(refused.status, 409)
    assert.match(String(refused.json().error), /read only/)
    assert.equal((await ask(other.port, { method: 'DELETE', path: `/${fid}` })).status, 409)
    assert.equal((await ask(other.port, { path: `/${fid}` })).text, 'before')
    await other.keeper.setReadOnly(1, false)
    assert.equal((await post(other.port, other.newFid(), { content: 'x' })).status, 201)
    await other.close()
  })

  test('more bytes in flight than the process may hold', async () => {
    const bodyBudget = new BodyBudget(new SharedArrayBuffer(4), 100_000)
    const other = await startKit({ bodyBudget })
    const refused = await post(other.port, other.newFid(), { content: randomBytes(200_000) })
    assert.equal(refused.status, 429)
    assert.equal(refused.headers['retry-after'], '1')
    assert.equal((await post(other.port, other.newFid(), { content: randomBytes(50_000) })).status, 201)
    assert.equal(bodyBudget.usedBytes, 0)
    await other.close()
  })

  test('10,000 idle connections hold up nobody', {
    skip: filesMax() < 11_000 && 'too few open files allowed',
  }, async () => {
    const fid = kit.newFid()
    await post(kit.port, fid, { content: 'served' })
    // Their other ends are in a process of their own: both together would need 20,000 open files.
    const clients = spawn(process.execPath, ['-e', IDLE_CLIENTS, String(kit.port)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    try {
      await once(clients.stdout, 'data', { signal: AbortSignal.timeout(30_000) })
      for (let i = 0; i < 1_000 && kit.server.connectionCount < 10_000; i++) await systemClock.sleep(10)
      assert.equal(kit.server.connectionCount, 10_000)
      assert.equal((await ask(kit.port, { path: `/${fid}` })).text, 'served')
      assert.equal((await post(kit.port, kit.newFid(), { content: 'x' })).status, 201)
    } finally {
      clients.stdin.end()
      await once(clients, 'exit', { signal: AbortSignal.timeout(30_000) })
    }
    for (let i = 0; i < 1_000 && kit.server.connectionCount > 0; i++) await systemClock.sleep(10)
    assert.equal(kit.server.connectionCount, 0)
  })
})

/** Opens 10,000 connections, says so, and goes when told. */
const IDLE_CLIENTS = `
const net = require('node:net')
let open = 0
const next = () => {
  const socket = net.connect(Number(process.argv[1]), '127.0.0.1', () => {
    if (++open === 10_000) process.stdout.write('ready')
    else if (open <= 9_900) next()
  })
}
for (let i = 0; i < 100; i++) next()
process.stdin.on('end', () => process.exit()).resume()
`

/** Open files that one process may have. */
function filesMax(): number {
  try {
    return Number(/Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}
