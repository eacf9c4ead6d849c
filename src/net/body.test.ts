import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import type { StoreError } from '../base/errors.ts'
import { BodyBudget, drain, readBody } from './body.ts'

describe('bodies', () => {
  const budget = new BodyBudget(new SharedArrayBuffer(4), 300_000)
  let server: http.Server
  let port: number
  let settled: (text: string) => void = () => {}

  before(async () => {
    const handler: http.RequestListener = async (request, response) => {
      if (request.headers['x-late'] !== undefined)
        await new Promise<void>((resolve) => request.once('close', () => setImmediate(resolve)))
      readBody(request, response, { bytesMax: 200_000, budget }).then(
        (body) => {
          response.end(`${body.bytes.length} ${body.bytes.subarray(0, 5)} ${budget.usedBytes > 0}`)
          body.release()
          settled('stored')
        },
        (error: StoreError) => {
          response.writeHead(400).end(`${error.code}: ${error.message}`)
          drain(request, { clock: systemClock })
          settled(error.code)
        },
      )
    }
    server = http.createServer(handler)
    server.on('checkContinue', handler)
    server.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    port = (server.address() as AddressInfo).port
  })
  after(() => server.close())

  const send = (body: Buffer | Buffer[], headers: http.OutgoingHttpHeaders = {}): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = http.request(
        { port, host: '127.0.0.1', method: 'POST', headers, agent: false },
        (reply) => {
          let text = ''
          reply.on('data', (piece) => (text += piece)).on('end', () => resolve(text))
        },
      )
      sent.on('error', reject)
      if (Array.isArray(body)) for (const piece of body) sent.write(piece)
      else sent.setHeader('Content-Length', body.length)
      sent.end(Array.isArray(body) ? undefined : body)
    })

  test('of known and unknown length, whole', async () => {
    assert.equal(await send(Buffer.from('hello')), '5 hello true')
    assert.equal(await send(Buffer.alloc(150_000, 'x')), '150000 xxxxx true')
    assert.equal(await send([Buffer.from('he'), Buffer.from('llo')]), '5 hello true')
    assert.equal(await send(Buffer.alloc(0)), '0  false')
    assert.equal(await send([]), '0  false')
    assert.equal(budget.usedBytes, 0)
  })

  test('over the limit, announced or not', async () => {
    assert.match(await send(Buffer.alloc(200_001)), /^too_large/)
    assert.match(await send([Buffer.alloc(150_000), Buffer.alloc(50_001)]), /^too_large/)
    assert.equal(budget.usedBytes, 0)
  })

  test('over the budget of the process', async () => {
    assert.ok(budget.reserve(250_000))
    assert.match(await send(Buffer.alloc(60_000)), /^too_many_requests/)
    assert.match(await send(Buffer.alloc(100_000)), /^too_many_requests/)
    assert.match(await send([Buffer.alloc(60_000)]), /^too_many_requests/)
    budget.release(250_000)
    assert.match(await send(Buffer.alloc(100_000)), /^100000/)
    assert.equal(budget.usedBytes, 0)
  })

  test('cut off: nothing is stored, nothing stays reserved', async () => {
    for (const head of ['Content-Length: 100', 'Content-Length: 100000', 'Transfer-Encoding: chunked']) {
      const outcome = new Promise<string>((resolve) => (settled = resolve))
      const socket = net.connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.end(
        `POST / HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n${head.startsWith('T') ? '5\r\nhello\r\n' : 'hello'}`,
      )
      assert.equal(await outcome, 'bad_request')
      socket.destroy()
    }
    assert.equal(budget.usedBytes, 0)
  })

  test('of a client that left before they were asked for', { timeout: 20_000 }, async () => {
    for (const sent of ['', 'he', 'hello']) {
      const outcome = new Promise<string>((resolve) => (settled = resolve))
      const socket = net.connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`POST / HTTP/1.1\r\nHost: x\r\nX-Late: 1\r\nContent-Length: 5\r\n\r\n${sent}`)
      await new Promise<void>((resolve) => server.once('request', () => resolve()))
      socket.resetAndDestroy()
      assert.equal(await outcome, 'bad_request')
    }
    assert.equal(budget.usedBytes, 0)
  })

  test('100-continue is asked for only when the body is wanted', async () => {
    const continued = new Promise<string>((resolve) => {
      const socket = net.connect(port, '127.0.0.1')
      let text = ''
      socket.on('data', (piece) => {
        text += piece
        if (text.endsWith('continue\r\n\r\n') || text.includes('100 Continue\r\n\r\n')) {
          if (!text.includes('200')) socket.write('hello')
        }
        if (text.includes('hello')) {
          socket.destroy()
          resolve(text)
        }
      })
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
    })
    assert.match(await continued, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/)
  })
})
