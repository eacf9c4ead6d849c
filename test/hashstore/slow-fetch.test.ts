/** FETCFILE by a client that stands still: it gets the file, or is told by a reset that it has not. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { ByteStream, ReadBuffers } from '../../src/net/byte-stream.ts'
import type { StoredFile } from '../../src/protocols/hashstore/files.ts'
import { HashstoreCounters } from '../../src/protocols/hashstore/hashstore-counters.ts'
import { serveOldClient } from '../../src/protocols/hashstore/old-protocol.ts'
import type { SessionParts } from '../../src/protocols/hashstore/session.ts'
import { WritesUnderWay } from '../../src/protocols/hashstore/writes-under-way.ts'
import { WAIT_MS_MAX, Wire } from './hashstore-kit.ts'

const PIECE_BYTES = 16 * 1024
const STILL_MS = 200

/** A file that is just so long that its end stays in this process while nobody reads. */
async function* untilStuck(socket: Socket, sent: (sizeBytes: number) => void): AsyncGenerator<Buffer> {
  let sizeBytes = 0
  for (;;) {
    if (socket.writableLength > 0) await systemClock.sleep(STILL_MS)
    if (socket.writableLength > 0) return sent(sizeBytes)
    sizeBytes += PIECE_BYTES
    yield Buffer.alloc(PIECE_BYTES, 'x')
  }
}

/** Serves one FETCFILE to a client that does not read; goes on when all was written. */
async function stuckFetch() {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const wire = new Wire((server.address() as AddressInfo).port)
  const [socket] = (await accepted) as [Socket]
  const stream = ByteStream.takeOver(socket, { buffers: new ReadBuffers(), unreadBytesMax: 1024 })
  let sizeBytes = 0
  let isWritten = false
  const pieces = () =>
    untilStuck(stream.socket, (size) => {
      sizeBytes = size
      isWritten = true
    })
  const file = { entry: { size: 0 }, found: { read: () => ({ sizeBytes: 0, pieces }) } }
  const parts = {
    files: { findByName: async () => file as unknown as StoredFile },
    counters: new HashstoreCounters(HashstoreCounters.share(1), 0),
    writes: new WritesUnderWay(WritesUnderWay.share()),
    ...{ clock: systemClock, log: silentLog, headerTimeoutMs: WAIT_MS_MAX },
  } as unknown as SessionParts
  const served = serveOldClient(stream, { kind: 'fetch', pathBytes: 1 }, parts).catch(() => stream.reset())
  await wire.take(2)
  wire.socket.pause()
  wire.send('f')
  for (let turn = 0; !isWritten && turn < 1_000; turn++) await systemClock.sleep(20)
  assert.ok(isWritten)
  // All that follows the last piece at once.
  await systemClock.sleep(STILL_MS)
  const close = () => server.close()
  return { wire, stream, sizeBytes, served, close }
}

test('a client that stands still and is cut does not take what it has for the file', async () => {
  const { wire, stream, sizeBytes, served, close } = await stuckFetch()
  stream.reset()
  wire.socket.resume()
  const { bytes, end } = await wire.rest()
  await served
  close()
  assert.deepEqual([end, bytes.length < sizeBytes], ['reset', true])
})

test('a client that goes on gets all of it', async () => {
  const { wire, sizeBytes, served, close } = await stuckFetch()
  wire.socket.resume()
  const { bytes, end } = await wire.rest()
  await served
  close()
  assert.deepEqual([end, bytes.length], ['orderly', sizeBytes])
})
