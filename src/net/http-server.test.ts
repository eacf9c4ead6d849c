import assert from 'node:assert/strict'
import { writeSync } from 'node:fs'
import net, { type Socket } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { BodyBudget, drain, readBody } from './body.ts'
import type { FastReply, FastRequest } from './fast-lane.ts'
import { assertPortFree, HttpServer, type HttpServerOptions } from './http-server.ts'
import { errorOutcome, type Outcome } from './reply.ts'

const HOST = '127.0.0.1'
const servers: HttpServer[] = []
/** Targets of requests that ordinary handlers have begun. */
const begun: (string | undefined)[] = []

afterEach(async () => {
  begun.length = 0
  for (const server of servers.splice(0)) await server.close()
})

async function start(
  options: Partial<HttpServerOptions> = {},
): Promise<{ server: HttpServer; port: number }> {
  const server = new HttpServer({
    clock: systemClock,
    handler: async (request, response) => {
      begun.push(request.url)
      if (request.url === '/throw') throw new Error('a bug')
      if (request.url === '/throw-late') {
        response.write('half')
        throw new Error('a bug')
      }
      if (request.url === '/early') {
        response.writeHead(413, { 'Content-Length': 4 }).end('long')
        drain(request, {
          clock: systemClock,
          bytesMax: server.settings.drainBytesMax,
          msMax: server.settings.drainMsMax,
        })
        return
      }
      if (request.url === '/big') return void response.end(Buffer.alloc(30_000_000))
      if (request.url === '/slow') await systemClock.sleep(300)
      if (request.url === '/slower') await systemClock.sleep(1_200)
      const { bytes } = await readBody(request, response, { bytesMax: 1_000_000 }).catch(() => ({
        bytes: Buffer.alloc(0),
      }))
      response.end(`${request.method} ${request.url} ${bytes.length}`)
    },
    errorBody: (status, reason) => ({
      contentType: 'application/json',
      body: JSON.stringify({ status, reason }),
    }),
    ...options,
  })
  servers.push(server)
  return { server, port: await server.listen({ host: HOST, port: 0 }) }
}

/** A raw connection, and all that came back. */
class Raw {
  readonly socket: Socket
  received = ''
  readonly closed: Promise<string>

  constructor(port: number, bytes = '') {
    this.socket = net.connect(port, HOST)
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve(this.received)))
    this.socket.on('data', (piece) => {
      this.received += piece.toString('latin1')
    })
    this.socket.on('error', () => {})
    if (bytes !== '') this.socket.write(bytes, 'latin1')
  }

  /** Waits, at most 20 s, until what came matches. */
  async until(pattern: RegExp): Promise<string> {
    for (let i = 0; i < 2_000 && !pattern.test(this.received); i++) await systemClock.sleep(10)
    assert.match(this.received, pattern)
    return this.received
  }
}

/** Other events have their turn: what has arrived is read before this resolves. */
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`

describe('listening', () => {
  test('a port in use is told, with and without reusePort', async () => {
    const { port } = await start()
    const isInUse = (error: unknown) => error instanceof StoreError && error.code === 'in_use'
    await assert.rejects(assertPortFree(HOST, port), isInUse)
    await assert.rejects(
      new HttpServer({ clock: systemClock, handler() {} }).listen({ host: HOST, port }),
      isInUse,
    )
  })

  test('two servers share a port with reusePort, and the probe tells strangers', async () => {
    const first = new HttpServer({ clock: systemClock, handler: (_, response) => void response.end() })
    const second = new HttpServer({ clock: systemClock, handler: (_, response) => void response.end() })
    servers.push(first, second)
    const port = await first.listen({ host: HOST, port: 0, reusePort: true })
    await second.listen({ host: HOST, port, reusePort: true })
    await assert.rejects(assertPortFree(HOST, port), /in use/)
    await first.close()
    await second.close()
    await assertPortFree(HOST, port)
  })

  test('an address of another machine', async () => {
    await assert.rejects(assertPortFree('203.0.113.1', 1), /cannot listen/)
  })
})

describe('requests behind one that is still answered', () => {
  test('begin in order, each after the reply before it', async () => {
    const steps: string[] = []
    const gates: (() => void)[] = []
    const { port } = await start({
      async handler(request, response) {
        steps.push(`begin ${request.url}`)
        const { bytes } = await readBody(request, response, { bytesMax: 1_000_000 })
        await new Promise<void>((resolve) => void gates.push(resolve))
        steps.push(`end ${request.url} ${bytes.length}`)
        response.end(`reply ${request.url}`)
      },
    })
    const put = (path: string, more: string, body: string) =>
      `PUT ${path} HTTP/1.1\r\nHost: x\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`
    const bytes = [put('/1', '', 'x'.repeat(70_000)), put('/2', 'Expect: 100-continue\r\n', 'two'), get('/3')]
    const raw = new Raw(port, bytes.join(''))
    for (let count = 1; count <= 3; count++) {
      for (let i = 0; i < 2_000 && gates.length < count; i++) await systemClock.sleep(10)
      await turn()
      gates[count - 1]!()
    }
    const received = await raw.until(/reply \/3/)
    assert.match(received, /reply \/1HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK[^/]*reply \/2HTTP/s)
    const lengths = [70_000, 3, 0]
    assert.deepEqual(
      steps,
      lengths.flatMap((length, i) => [`begin /${i + 1}`, `end /${i + 1} ${length}`]),
    )
    raw.socket.destroy()
  })

  test('wait for a reader that does not read, however many they are', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => void warnings.push(warning)
    process.on('warning', onWarning)
    const { server, port } = await start()
    const raw = new Raw(port)
    raw.socket.pause()
    raw.socket.write(get('/big').repeat(1_400))
    const other = new Raw(port)
    for (let i = 1; i <= 3; i++) {
      other.socket.write(get(`/other${i}`))
      await other.until(new RegExp(`GET /other${i} `))
    }
    assert.deepEqual(
      begun.filter((path) => path === '/big'),
      ['/big'],
    )
    raw.socket.destroy()
    other.socket.destroy()
    for (let i = 0; i < 2_000 && server.connectionCount > 0; i++) await systemClock.sleep(10)
    await turn()
    assert.equal(
      begun.filter((path) => path === '/big').length,
      1,
      'none begins on a connection that is gone',
    )
    assert.deepEqual(warnings, [])
    process.off('warning', onWarning)
  })

  test('are all answered when they are more than may wait', async () => {
    const { port } = await start()
    const paths = Array.from({ length: 5_000 }, (_, i) => `/n${i}`)
    const raw = new Raw(port, get('/slow') + paths.map((path) => get(path)).join(''))
    const received = await raw.until(/GET \/n4999 0$/)
    assert.deepEqual(
      [...received.matchAll(/GET (\/n\d+) 0/g)].map(([, path]) => path),
      paths,
    )
    raw.socket.destroy()
  })

  test('that are malformed, or cut off, are told so behind the replies before them', async () => {
    const { port } = await start()
    const malformed = await new Raw(port, `${get('/slow')}${get('/2')}nonsense\r\n\r\n`).closed
    assert.match(malformed, /GET \/slow 0HTTP\/1.1 200 OK.*GET \/2 0HTTP\/1.1 400 .*malformed/s)
  })

  test('that are cut off are told so, and do not begin', async () => {
    const asked: string[] = []
    const { port } = await start({
      async handler(request, response) {
        asked.push(request.url!)
        await new Promise((resolve) => request.socket.once('end', resolve))
        response.end('whole')
      },
    })
    const raw = new Raw(port)
    raw.socket.end(`${get('/1')}PUT /cut HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab`)
    assert.match(await raw.closed, /wholeHTTP\/1.1 400 .*the body was cut off/s)
    assert.deepEqual(asked, ['/1'])
  })

  test('and the first of them behind the close of the server is its last', async () => {
    const asked: string[] = []
    let open: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const { server, port } = await start({
      async handler(request, response) {
        asked.push(request.url!)
        await gate
        response.end(`reply ${request.url}`)
      },
    })
    const raw = new Raw(port, get('/1') + get('/2') + get('/3'))
    for (let i = 0; i < 2_000 && asked.length === 0; i++) await systemClock.sleep(10)
    const closed = server.close()
    open()
    const received = await raw.closed
    await closed
    assert.match(received, /reply \/1HTTP\/1.1 200 OK.*Connection: close.*reply \/2$/s)
    assert.deepEqual(asked, ['/1', '/2'])
  })
})

describe('requests that the server itself answers', () => {
  test('malformed ones', async () => {
    const { port } = await start()
    const bad = [
      'nonsense\r\n\r\n',
      'GET /\r\n\r\n',
      'GET / HTTP/1.1\r\n\r\n',
      get('/', 'Host: y\r\n'),
      get('/', ' folded: x\r\n'),
      get('/', 'Na me: x\r\n'),
      get('/', 'X: a\0b\r\n'),
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
    ]
    for (const bytes of bad)
      assert.match(await new Raw(port, bytes).closed, /^HTTP\/1.1 400 /, JSON.stringify(bytes))
  })

  test('nothing that comes behind the last request is one', async () => {
    const asked: string[] = []
    const { port } = await start({
      handler(request, response) {
        asked.push(request.url!)
        setImmediate(() => response.end('done'))
      },
    })
    for (const last of [
      get('/last', 'Connection: close\r\n'),
      'GET /old HTTP/1.0\r\n\r\n',
      get('/', 'Host: y\r\n'),
    ]) {
      const reply = await new Raw(port, last + get('/behind')).closed
      assert.equal(reply.split('HTTP/1.1 ').length, 2, reply)
    }
    assert.deepEqual(asked, ['/last', '/old'])
  })

  test('a head over 16 KiB', async () => {
    const { port } = await start()
    const reply = await new Raw(port, get('/', `X: ${'y'.repeat(17_000)}\r\n`)).closed
    assert.match(reply, /^HTTP\/1.1 431 .*\r\nContent-Type: application\/json\r\n/)
    const many = Array.from({ length: 5_000 }, (_, i) => `X${i}: y\r\n`).join('')
    assert.match(await new Raw(port, get('/', many)).closed, /^HTTP\/1.1 431 /)
  })

  test('a head that does not come, and one that comes byte by byte', async () => {
    const { port } = await start({ settings: { headerTimeoutMs: 300 } })
    const silent = new Raw(port, 'GET / HT')
    const slow = new Raw(port)
    const drip = systemClock.every(50, () => slow.socket.write('G'))
    assert.match(await silent.closed, /^HTTP\/1.1 408 /)
    await slow.closed
    drip()
  })

  test('an expectation other than 100-continue', async () => {
    const { port } = await start()
    const raw = new Raw(port, get('/', 'Expect: miracles\r\n'))
    assert.match(await raw.until(/expectation/), /^HTTP\/1.1 417 /)
    raw.socket.destroy()
  })
})

describe('handlers', () => {
  test('that throw give 500, and the server goes on', async () => {
    const errors: unknown[] = []
    const { port } = await start({ onHandlerError: (error) => errors.push(error) })
    const raw = new Raw(port, get('/throw'))
    await raw.until(/^HTTP\/1.1 500 .*internal error/s)
    raw.socket.write(get('/after'))
    await raw.until(/GET \/after 0/)
    raw.socket.destroy()
    assert.equal(errors.length, 1)
  })

  test('that throw in the middle of a reply cut the connection', async () => {
    const { port } = await start()
    const reply = await new Raw(port, get('/throw-late')).closed
    assert.ok(!reply.includes('0\r\n\r\n'))
  })

  test('that answer early let the client read the answer, and the connection lives', async () => {
    const { port } = await start()
    const raw = new Raw(port, 'POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n')
    await raw.until(/413.*long/s)
    raw.socket.write('x'.repeat(3_000_000))
    raw.socket.write(get('/after'))
    await raw.until(/GET \/after 0/)
    raw.socket.destroy()
  })

  test('a rest that is too long, or too slow, is cut', async () => {
    const { port } = await start({ settings: { drainBytesMax: 100_000, drainMsMax: 300 } })
    const long = new Raw(port, 'POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n')
    await long.until(/413.*long/s)
    long.socket.write('x'.repeat(2_000_000))
    await long.closed
    await new Raw(port, 'POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n').closed
  })
})

describe('slow and idle clients', () => {
  const settings = { idleTimeoutMs: 60_000, slowGraceMs: 300, sweepPeriodMs: 50, bytesPerSecondMin: 1_000 }

  test('a body that drips is refused', async () => {
    const { port } = await start({ settings })
    const raw = new Raw(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n')
    const drip = systemClock.every(20, () => raw.socket.write('x'))
    assert.match(await raw.closed, /^HTTP\/1.1 408 /)
    drip()
  })

  test('a reader that does not read is cut', async () => {
    const { port, server } = await start({ settings })
    const raw = new Raw(port, get('/big'))
    raw.socket.pause()
    while (server.connectionCount === 0) await turn()
    for (let i = 0; i < 1_000 && server.connectionCount > 0; i++) await systemClock.sleep(10)
    assert.equal(server.connectionCount, 0)
    raw.socket.destroy()
  })

  test('an idle connection is closed, a busy one is not', async () => {
    const { port } = await start({ settings: { idleTimeoutMs: 1_000 } })
    const raw = new Raw(port, get('/'))
    await raw.until(/GET \/ 0/)
    await raw.closed
    const busy = new Raw(port, get('/slower'))
    await busy.until(/GET \/slower 0/)
    await busy.closed
  })

  test('more connections than allowed are dropped', async () => {
    const { port } = await start({ settings: { connectionsMax: 2 } })
    const raws = [new Raw(port, get('/1')), new Raw(port, get('/2'))]
    for (const raw of raws) await raw.until(/200 OK/)
    assert.equal(await new Raw(port, get('/3')).closed, '')
    for (const raw of raws) raw.socket.destroy()
  })
})

describe('closing', () => {
  test('lets requests in flight finish, closes idle connections, accepts no more', async () => {
    const { port, server } = await start()
    const idle = new Raw(port, get('/idle'))
    const fresh = new Raw(port)
    await idle.until(/GET \/idle 0/)
    const busy = new Raw(port, get('/slow'))
    while (!begun.includes('/slow')) await turn()
    await server.close()
    assert.match(await busy.closed, /GET \/slow 0/)
    await idle.closed
    await fresh.closed
    await assertPortFree(HOST, port)
  })

  test('cuts what does not end in time', async () => {
    const { port, server } = await start({ settings: { shutdownGraceMs: 100 } })
    const stuck = new Raw(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n')
    await systemClock.sleep(100)
    await server.close()
    assert.equal(await stuck.closed, '')
  })
})

describe('the fast lane', () => {
  const budget = new BodyBudget(new SharedArrayBuffer(4), 200_000)
  const answered: FastRequest[] = []

  function lane(settings = {}, { clock = systemClock, waiting = Promise.resolve() } = {}) {
    answered.length = 0
    const reply = (outcome: Outcome | Promise<Outcome>): FastReply => ({ outcome, onSent() {} })
    return start({
      settings,
      clock,
      fastLane: {
        commonHead: () => 'Server: fast\r\n',
        bodyBudget: budget,
        answer(request) {
          answered.push({ ...request, body: Buffer.from(request.body) })
          const text = `fast ${request.method} ${request.target} ${request.body.length};`
          const outcome: Outcome = { status: 200, headers: ['X-A', 'b'], body: text }
          if (request.target.startsWith('/fast')) return reply(outcome)
          if (request.target === '/later') return reply(systemClock.sleep(50).then(() => outcome))
          if (request.target === '/bad') return reply(errorOutcome(404, 'nothing'))
          if (request.target === '/bytes') return reply({ ...outcome, body: Buffer.alloc(100_000, 'y') })
          if (request.target === '/stream') return reply(Promise.resolve({ ...outcome, body: streamOf(5) }))
          if (request.target === '/wait') return reply(waiting.then(() => outcome))
          if (request.target === '/broken') return reply(Promise.reject(new Error('a bug')))
          return undefined
        },
      },
    })
  }

  function streamOf(count: number) {
    return {
      sizeBytes: count * 100_000,
      async *pieces() {
        for (let i = 0; i < count; i++) yield Buffer.alloc(100_000, 'z')
      },
      close() {},
    }
  }

  test('answers simple requests, pipelined ones in order', async () => {
    const { port } = await lane()
    const post = 'POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Y:  padded \r\n\r\nhello'
    const raw = new Raw(
      port,
      get('/fast/1') + post + get('/later') + get('/bad') + get('/stream') + get('/fast/2'),
    )
    const reply = await raw.until(/fast GET \/fast\/2 0;/)
    const order = [
      'fast GET /fast/1 0;',
      'fast POST /fast 5;',
      'fast GET /later 0;',
      '404 Not Found',
      'zzz',
      '/fast/2 0;',
    ]
    const places = order.map((text) => reply.indexOf(text))
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    )
    assert.ok(places[0]! > 0)
    assert.equal(reply.match(/z/g)?.length, 500_000)
    assert.match(reply, /^HTTP\/1.1 200 OK\r\nServer: fast\r\nX-A: b\r\nContent-Length: 19\r\n\r\nfast/)
    assert.deepEqual(answered[1]!.rawHeaders, ['Host', 'x', 'Content-Length', '5', 'X-Y', 'padded'])
    assert.equal(answered[1]!.body.toString(), 'hello')
    raw.socket.destroy()
  })

  test('closes after the reply where the client asks for that', async () => {
    const { port } = await lane()
    for (const path of ['/fast', '/later', '/stream']) {
      const raw = new Raw(port, get(path, 'Connection: close\r\n') + get('/fast/never'))
      const reply = await raw.closed
      assert.match(reply, /^HTTP\/1.1 200 OK\r\nServer: fast\r\nX-A: b\r\nConnection: close\r\n/)
      assert.doesNotMatch(reply, /never/)
    }
  })

  test('puts together bodies that come in pieces', async () => {
    const { port } = await lane()
    const raw = new Raw(port, 'POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nxx')
    while (budget.usedBytes === 0) await systemClock.sleep(5)
    raw.socket.write('x'.repeat(30_000))
    await systemClock.sleep(50)
    await turn()
    raw.socket.write('x'.repeat(29_998) + get('/fast/next'))
    await raw.until(/fast POST \/fast 60000;.*fast GET \/fast\/next/s)
    assert.equal(budget.usedBytes, 0)
    raw.socket.destroy()
  })

  test('hands everything else over, bytes and all', async () => {
    const { port } = await lane()
    const slowly: [bytes: string, wanted: RegExp][] = [
      [get('/other'), /GET \/other 0$/],
      [
        `POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`,
        /POST \/fast 100000$/,
      ],
      [
        'POST /fast HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
        /POST \/fast 3$/,
      ],
      ['POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc', /POST \/other 3$/],
      [get('/fast', 'Connection: upgrade\r\n'), /GET \/fast 0$/],
      ['GET /fast HTTP/1.0\r\n\r\n', /GET \/fast 0$/],
      ['OPTIONS /fast HTTP/1.1\r\nHost: x\r\n\r\n', /OPTIONS \/fast 0$/],
      ['GET http://x/fast HTTP/1.1\r\nHost: x\r\n\r\n', /GET http:\/\/x\/fast 0$/],
      [get('/fast', 'Expect: 100-continue\r\n'), /GET \/fast 0$/],
      ['GET /fast HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', /^HTTP\/1.1 (400|200)/],
      ['GET /fast HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n', /^HTTP\/1.1 400/],
      ['GET /fast HTTP/1.1\nHost: x\n\n', /^HTTP\/1.1 400/],
      [
        'POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc',
        /^HTTP\/1.1 400/,
      ],
      ['POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc', /^HTTP\/1.1 400/],
    ]
    for (const [bytes, wanted] of slowly) {
      const raw = new Raw(port, bytes)
      await raw.until(wanted)
      assert.ok(!raw.received.includes('Server: fast'), bytes)
      raw.socket.destroy()
    }
  })

  test('a head in pieces, and fast requests before and after a slow one', async () => {
    const { port } = await lane()
    const raw = new Raw(port, get('/fast/1'))
    await raw.until(/fast\/1 0;$/)
    raw.socket.write(get('/fast/2').slice(0, 20))
    await systemClock.sleep(30)
    await turn()
    raw.socket.write(get('/fast/2').slice(20))
    await raw.until(/GET \/fast\/2 0$/)
    raw.socket.write(get('/fast/3') + get('/other'))
    await raw.until(/GET \/fast\/3 0.*GET \/other 0$/s)
    raw.socket.destroy()
  })

  test('a reader that does not read stops the work, and is cut', async () => {
    const { port, server } = await lane({ slowGraceMs: 300, sweepPeriodMs: 50, idleTimeoutMs: 60_000 })
    const raw = new Raw(port)
    raw.socket.pause()
    raw.socket.write(get('/bytes').repeat(200))
    while (server.connectionCount === 0) await turn()
    for (let i = 0; i < 1_000 && server.connectionCount > 0; i++) await systemClock.sleep(10)
    assert.equal(server.connectionCount, 0)
    assert.ok(answered.length < 200)
    raw.socket.destroy()
  })

  test('a reader that reads slowly gets everything, in order', async () => {
    const { port } = await lane()
    const raw = new Raw(port)
    raw.socket.pause()
    raw.socket.write(get('/bytes').repeat(100) + get('/fast/end'))
    await systemClock.sleep(100)
    assert.ok(answered.length < 100)
    raw.socket.resume()
    const reply = await raw.until(/fast GET \/fast\/end 0;$/)
    assert.equal(reply.match(/y/g)?.length, 10_000_000)
    raw.socket.destroy()
  })

  test('idle ones are closed, dripping bodies are cut, cut bodies are told', async () => {
    const { port } = await lane({ idleTimeoutMs: 1_000, sweepPeriodMs: 50 })
    const idle = new Raw(port, get('/fast'))
    await idle.until(/fast GET/)
    await idle.closed
    const cut = new Raw(port)
    cut.socket.end('POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
    assert.match(await cut.closed, /^HTTP\/1.1 400 .*cut off/s)
    assert.equal(budget.usedBytes, 0)
    const dripping = await lane({ slowGraceMs: 200, sweepPeriodMs: 50 })
    const drip = new Raw(dripping.port, 'POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n')
    const stop = systemClock.every(20, () => drip.socket.write('x'))
    assert.match(await drip.closed, /^HTTP\/1.1 408 .*Connection: close\r\n.*the request took too long/s)
    stop()
    for (let i = 0; i < 1_000 && budget.usedBytes > 0; i++) await systemClock.sleep(10)
    assert.equal(budget.usedBytes, 0)
  })

  /** A clock that the test sets forward by an hour. */
  function jumpingClock() {
    let lateMs = 0
    const jump = () => {
      lateMs += 3_600_000
    }
    return { jump, clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + lateMs } }
  }

  test('who waits for this server is not idle, however long it takes', async () => {
    const { clock, jump } = jumpingClock()
    const { promise: waiting, resolve } = Promise.withResolvers<void>()
    const { port } = await lane({ sweepPeriodMs: 5 }, { clock, waiting })
    const raw = new Raw(port, get('/wait'))
    for (let i = 0; i < 2_000 && answered.length === 0; i++) await systemClock.sleep(10)
    await systemClock.sleep(50)
    jump()
    await systemClock.sleep(100)
    resolve()
    await raw.until(/fast GET \/wait 0;$/)
    await systemClock.sleep(50)
    jump()
    await raw.closed
  })

  test('a request that came while the thread was busy is answered, though its connection seemed idle', async () => {
    const { clock, jump } = jumpingClock()
    const { port } = await lane({ sweepPeriodMs: 5 }, { clock })
    const raw = new Raw(port, get('/fast/1'))
    await raw.until(/fast\/1 0;$/)
    await systemClock.sleep(50)
    // From here the loop comes to its timers, of which the sweep is one that is due, before it looks at the network.
    await new Promise(setImmediate)
    const connected = raw.socket as unknown as { _handle: { fd: number } }
    writeSync(connected._handle.fd, get('/fast/2'))
    jump()
    const untilMs = systemClock.monotonicMs() + 20
    while (systemClock.monotonicMs() < untilMs);
    await raw.until(/fast\/2 0;$/)
  })

  test('a half-closed client still gets its replies', async () => {
    const { port } = await lane()
    const raw = new Raw(port)
    raw.socket.end(get('/later') + get('/fast/2'))
    assert.match(await raw.closed, /later 0;.*fast\/2 0;$/s)
    const mixed = new Raw(port)
    mixed.socket.end(get('/later') + get('/other'))
    assert.match(await mixed.closed, /later 0;$/)
  })

  test('a failing reply cuts the connection and nothing else', async () => {
    const errors: unknown[] = []
    const { port } = await lane()
    assert.equal(await new Raw(port, get('/broken')).closed, '')
    const raw = new Raw(port, get('/fast'))
    await raw.until(/fast GET/)
    raw.socket.destroy()
    assert.equal(errors.length, 0)
  })

  test('closing finishes what is in flight and says so', async () => {
    const { port, server } = await lane()
    const idle = new Raw(port, get('/fast'))
    await idle.until(/fast GET/)
    const busy = new Raw(port, get('/later'))
    while (!answered.some(({ target }) => target === '/later')) await turn()
    await server.close()
    assert.match(await busy.closed, /Connection: close.*later 0;$/s)
    await idle.closed
  })
})
