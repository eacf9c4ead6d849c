import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { type Clock, systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { headerOf, RawConnection } from './raw-connection.ts'

/** A server that answers each request with the next of these byte strings; an empty one closes the connection. */
async function withServer(
  replies: string[],
  run: (address: string, connections: () => number) => Promise<void>,
): Promise<void> {
  let connections = 0
  const server = net.createServer((socket) => {
    connections++
    socket.on('error', () => undefined)
    socket.on('data', () => {
      const reply = replies.shift()
      if (reply === undefined || reply === '') return void socket.destroy()
      // Cut in two, so that every reply arrives in pieces.
      const middle = Math.floor(reply.length / 2)
      socket.write(reply.slice(0, middle), 'latin1')
      setImmediate(() => socket.write(reply.slice(middle), 'latin1'))
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  try {
    await run(`127.0.0.1:${(server.address() as net.AddressInfo).port}`, () => connections)
  } finally {
    server.close()
  }
}

function connect(address: string, clock: Clock = systemClock): RawConnection {
  return new RawConnection({ address, clock, timeoutMs: 1_000, bodyBytesMax: 1_000_000 })
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const isCode = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

test('replies one after the other on one connection, small, large and without a body', async () => {
  const large = 'y'.repeat(300_000)
  const replies = [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "ab"\r\n\r\nhello',
    `HTTP/1.1 200 OK\r\ncontent-length:300000\r\n\r\n${large}`,
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
  ]
  await withServer(replies, async (address, connections) => {
    const connection = connect(address)
    const first = await connection.send(REQUEST)
    assert.equal(first.status, 200)
    assert.equal(first.body.toString(), 'hello')
    assert.equal(headerOf(first, 'etag'), '"ab"')
    assert.equal(headerOf(first, 'server'), undefined)
    assert.equal((await connection.send(Buffer.from(REQUEST))).body.toString(), large)
    assert.equal((await connection.send(REQUEST)).status, 204)
    assert.equal((await connection.send(REQUEST)).status, 404)
    assert.equal(connections(), 1)
    connection.close()
  })
})

test('after a break, or Connection: close, the next request has a connection of its own', async () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const last = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'
  await withServer(['', ok, last, ok], async (address, connections) => {
    const connection = connect(address)
    await assert.rejects(connection.send(REQUEST), isCode('io_error'))
    assert.equal((await connection.send(REQUEST)).status, 200)
    assert.equal((await connection.send(REQUEST)).status, 200)
    assert.equal((await connection.send(REQUEST)).status, 200)
    assert.equal(connections(), 3)
    connection.close()
  })
})

test('what is not a plain reply is an error', async () => {
  const replies = [
    'SSH-2.0-whatever\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 12x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger',
    'HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n',
    `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}`,
  ]
  const count = replies.length
  await withServer(replies, async (address) => {
    for (let i = 0; i < count; i++) {
      const connection = connect(address)
      await assert.rejects(connection.send(REQUEST), isCode('io_error'))
      connection.close()
    }
  })
})

test('no server, no answer, no address', async () => {
  await assert.rejects(connect('127.0.0.1:1').send(REQUEST), isCode('unavailable'))
  assert.throws(() => connect('nowhere'), isCode('bad_request'))
  await withServer(['HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nnot all'], async (address) => {
    let nowMs = 0
    const connection = connect(address, { ...systemClock, monotonicMs: () => nowMs })
    const reply = connection.send(REQUEST)
    nowMs = 999
    connection.checkTimeout()
    nowMs = 1_000
    connection.checkTimeout()
    await assert.rejects(reply, isCode('timeout'))
  })
})
