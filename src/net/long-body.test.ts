/** Long bodies on the short way, over real sockets. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import type { ByteSink } from '../base/byte-sink.ts'
import { systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import type { LongRequest } from './fast-lane.ts'
import { HttpServer, type HttpServerSettings } from './http-server.ts'
import { errorOutcome, type Outcome } from './reply.ts'

const HOST = '127.0.0.1'
const BODY = seededRandom(1).bytes(3_000_000)
const SHA256 = createHash('sha256').update(BODY).digest('hex')
const WAIT_MS_MAX = 20_000

const servers: HttpServer[] = []
after(async () => {
  for (const server of servers) await server.close()
})

/** Takes so many bytes at a time, and fails when it has had enough. */
class SlowSink implements ByteSink {
  readonly hash = createHash('sha256')
  readonly #roomMax: number
  readonly #enough: number
  #room: number
  #takenBytes = 0

  constructor(roomMax: number, enough: number) {
    this.#roomMax = roomMax
    this.#enough = enough
    this.#room = roomMax
  }

  take(bytes: Buffer): number {
    if (this.#takenBytes >= this.#enough) throw new StoreError('too_large', 'enough')
    const count = Math.min(this.#room, bytes.length)
    this.hash.update(bytes.subarray(0, count))
    this.#takenBytes += count
    this.#room -= count
    return count
  }

  roomBytes(): number {
    return this.#room
  }

  async room(): Promise<void> {
    await systemClock.sleep(1)
    if (this.#takenBytes >= this.#enough) throw new StoreError('too_large', 'enough')
    this.#room = this.#roomMax
  }
}

/** Bytes at a time, and how many are enough. */
const POURED = /^\/poured\/(\d+)\/(\d+)$/

/** Answers with the digest of the body, but `/early` without a look at it. */
async function answer({ target, body }: LongRequest): Promise<Outcome> {
  if (target === '/early') return errorOutcome(403, 'not for you')
  const poured = POURED.exec(target)
  const sink = new SlowSink(Number(poured?.[1]), Number(poured?.[2]))
  const { hash } = sink
  try {
    if (poured !== null) await body.pour(sink)
    else
      for await (const piece of body.pieces()) {
        hash.update(piece)
        if (target === '/slowly') await systemClock.sleep(1)
      }
  } catch (error) {
    assert.ok(error instanceof StoreError)
    return errorOutcome(400, error.code)
  }
  return { status: 200, headers: [], body: hash.digest('hex') }
}

async function start(settings: Partial<HttpServerSettings> = {}): Promise<number> {
  const server = new HttpServer({
    clock: systemClock,
    settings,
    handler: (_request, response) => void response.end('the ordinary way'),
    fastLane: {
      commonHead: () => 'Server: fast\r\n',
      answer: ({ target }) => ({
        outcome: { status: 200, headers: [], body: `short ${target};` },
        onSent() {},
      }),
      answerLong: (request) => ({ outcome: answer(request), onSent() {} }),
    },
  })
  servers.push(server)
  return await server.listen({ host: HOST, port: 0 })
}

async function connect(port: number): Promise<Socket> {
  const socket = net.connect({ port, host: HOST, allowHalfOpen: true })
  socket.on('error', () => {})
  socket.setTimeout(WAIT_MS_MAX, () => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** All that comes until it matches, or the connection ends. */
async function until(socket: Socket, pattern: RegExp): Promise<string> {
  let text = ''
  for await (const piece of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    text += piece.toString('latin1')
    if (pattern.test(text)) return text
  }
  assert.match(text, pattern)
  return text
}

/** The server has ended the connection, one way or the other. */
async function closed(socket: Socket): Promise<void> {
  await new Promise((resolve) => void socket.once('end', resolve).once('close', resolve))
  socket.destroy()
}

const head = (path: string, more = '') =>
  `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${BODY.length}\r\n${more}\r\n`

describe('a long body', () => {
  test('comes whole, in pieces of any length, and the next request after it', async () => {
    const port = await start()
    for (const path of ['/', '/slowly', '/poured/30011/9000000', '/poured/9000000/9000000']) {
      const socket = await connect(port)
      socket.write(head(path))
      for (let at = 0, length = 1; at < BODY.length; at += length, length = (length * 7) % 200_003)
        socket.write(BODY.subarray(at, at + length))
      socket.write('GET /next HTTP/1.1\r\nHost: x\r\n\r\n')
      const text = await until(socket, /short \/next;/)
      assert.ok(text.indexOf(SHA256) > 0 && text.indexOf(SHA256) < text.indexOf('short'))
      socket.destroy()
    }
  })

  test('of many at a time are not mixed up', async () => {
    const port = await start()
    await Promise.all(
      Array.from({ length: 30 }, async (_, at) => {
        const body = BODY.subarray(at * 1_000, at * 1_000 + 500_000)
        const socket = await connect(port)
        socket.write(
          `PUT ${at % 2 === 0 ? '/slowly' : '/poured/65536/9000000'} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`,
        )
        socket.write(body)
        await until(socket, new RegExp(createHash('sha256').update(body).digest('hex')))
        socket.destroy()
      }),
    )
  })

  test('is asked for where the client waits for that; a short one too', async () => {
    const port = await start()
    const socket = await connect(port)
    socket.write(head('/', 'Expect: 100-continue\r\n'))
    await until(socket, /^HTTP\/1.1 100 Continue\r\n\r\n$/)
    socket.write(BODY)
    await until(socket, new RegExp(SHA256))
    socket.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n')
    await until(socket, /^HTTP\/1.1 100 Continue\r\n\r\n$/)
    socket.write('abc')
    await until(socket, new RegExp(createHash('sha256').update('abc').digest('hex')))
    socket.destroy()
  })

  test('that is not wanted is not asked for, and the connection ends', async () => {
    const socket = await connect(await start())
    socket.write(head('/early', 'Expect: 100-continue\r\n'))
    const text = await until(socket, /not for you/)
    assert.match(text, /^HTTP\/1.1 403 Forbidden\r\nServer: fast\r\n.*Connection: close\r\n/s)
    socket.end()
    await closed(socket)
  })

  test('that is refused is read to its end, and the connection goes on', async () => {
    const socket = await connect(await start())
    socket.write(head('/early'))
    await until(socket, /not for you/)
    socket.write(BODY)
    socket.write('GET /next HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(socket, /short \/next;/)
    socket.destroy()
  })

  test('that is refused in its middle is read to its end, and the connection goes on', async () => {
    const port = await start()
    for (const path of ['/poured/5003/1000000', '/poured/9000000/1000000', '/poured/9000000/0']) {
      const socket = await connect(port)
      socket.write(head(path))
      socket.write(BODY)
      await until(socket, /^HTTP\/1.1 400 .*too_large/s)
      socket.write('GET /next HTTP/1.1\r\nHost: x\r\n\r\n')
      await until(socket, /short \/next;/)
      socket.destroy()
    }
  })

  test('that is refused is not read for ever', async () => {
    for (const settings of [{ drainBytesMax: 100_000 }, { drainMsMax: 50 }]) {
      const socket = await connect(await start(settings))
      socket.write(head('/early'))
      await until(socket, /not for you/)
      if (settings.drainBytesMax !== undefined) socket.write(BODY)
      socket.resume()
      await closed(socket)
    }
  })

  test('that breaks off is told, where somebody is left to be told', async () => {
    const port = await start()
    const gone = await connect(port)
    gone.write(head('/'))
    gone.write(BODY.subarray(0, 1_000_000), () => gone.destroy())
    for (const path of ['/', '/poured/30011/9000000', '/poured/9000000/9000000']) {
      const half = await connect(port)
      half.write(head(path))
      half.end(BODY.subarray(0, 1_000_000))
      await until(half, /^HTTP\/1.1 400 .*incomplete_body/s)
    }
  })

  test('that drips is told so, and cut', async () => {
    const settings = { slowGraceMs: 50, bytesPerSecondMin: 1_000_000, sweepPeriodMs: 20 }
    const socket = await connect(await start(settings))
    socket.write(head('/'))
    const drip = setInterval(() => socket.write('x'), 10)
    await until(socket, /^HTTP\/1.1 408 .*\r\nConnection: close\r\n/s)
    socket.resume()
    await closed(socket)
    clearInterval(drip)
  })
})
