/** The fast lane and `node:http` must read the same request out of the same bytes, or one of them would be deceived. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { type Random, seededRandom } from '../base/random.ts'
import { readBody } from './body.ts'
import { HttpServer, type HttpServerOptions } from './http-server.ts'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const CASES = 400

const PIECES = [
  'GET',
  'POST',
  'PUT',
  ' ',
  '/1,01aabbccdd',
  '/x?y=%zz',
  'HTTP/1.1',
  'HTTP/1.0',
  '\r\n',
  '\n',
  '\r',
  ':',
  'Host: x',
  'Content-Length: 5',
  'Content-Length: 005',
  'Content-Length:5 ',
  'Transfer-Encoding: chunked',
  'Connection: keep-alive',
  'Connection: close',
  'X-Y: \xe9',
  'X-Y: \x00',
  ' folded',
  'hello',
  '0\r\n\r\n',
  '\t',
  'Expect: 100-continue',
  'content-length : 5',
  'Host : x',
  'X-Y:',
  '\xa0',
]

function mutate(random: Random): string {
  const lines = ['POST /1,01aabbccdd HTTP/1.1', 'Host: x', 'Content-Length: 5', 'X-A: b', '', 'hello']
  let text = lines.join('\r\n') + (random.below(2) === 0 ? 'GET /2 HTTP/1.1\r\nHost: y\r\n\r\n' : '')
  for (let count = random.below(4); count > 0; count--) {
    const at = random.below(text.length + 1)
    const cut = random.below(3) === 0 ? random.below(8) : 0
    text = text.slice(0, at) + PIECES[random.below(PIECES.length)]! + text.slice(at + cut)
  }
  return text
}

/** Sends the bytes and waits until the server has closed the connection. */
async function send(port: number, bytes: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
    socket.end(bytes, 'latin1')
  })
}

test(`${CASES} mangled requests, seed ${SEED} (CAIRN_TEST_SEED)`, { timeout: 280_000 }, async () => {
  /** The requests as a server understood them: of the one with the lane, of the one without. */
  const seen: [string[], string[]] = [[], []]
  const note = (
    list: string[],
    request: { method?: string; rawHeaders: readonly string[] },
    target: string,
    body: Buffer,
  ) => {
    list.push(JSON.stringify([request.method, target, request.rawHeaders, body.toString('hex')]))
  }
  const options = (list: string[]): HttpServerOptions => ({
    clock: systemClock,
    settings: { headerTimeoutMs: 2_000 },
    async handler(request, response) {
      const body = await readBody(request, response, { bytesMax: 1_000 }).catch(() => undefined)
      if (body === undefined) return void response.writeHead(400).end()
      note(list, request, request.url!, body.bytes)
      response.end()
    },
  })
  let fastCount = 0
  const withLane = new HttpServer({
    ...options(seen[0]),
    fastLane: {
      commonHead: () => '',
      answer(request) {
        fastCount++
        note(seen[0], request, request.target, request.body)
        return { outcome: { status: 200, headers: [], body: undefined }, onSent() {} }
      },
    },
  })
  const without = new HttpServer(options(seen[1]))
  const ports = [
    await withLane.listen({ host: '127.0.0.1', port: 0 }),
    await without.listen({ host: '127.0.0.1', port: 0 }),
  ] as const
  try {
    const random = seededRandom(SEED)
    for (let i = 0; i < CASES; i++) {
      const bytes = mutate(random)
      for (const list of seen) list.length = 0
      await Promise.all([send(ports[0], bytes), send(ports[1], bytes)])
      assert.deepEqual(seen[0], seen[1], `case ${i}: ${JSON.stringify(bytes)}`)
    }
    assert.ok(fastCount > CASES / 10)
  } finally {
    await withLane.close()
    await without.close()
  }
})
