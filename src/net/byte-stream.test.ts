import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { ByteStream, ReadBuffers } from './byte-stream.ts'

const KIB = 1024
const PIECE = 256 * KIB

/** A stream, and what its other side is to send. */
async function connected(): Promise<{ stream: ByteStream; other: Socket; close: () => void }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection')
  const stream = await ByteStream.dial(
    { host: '127.0.0.1', port },
    { buffers: new ReadBuffers(), unreadBytesMax: PIECE, timeoutMs: 20_000 },
  )
  const [other] = (await accepted) as [Socket]
  other.on('error', () => other.destroy())
  const close = () => {
    stream.reset()
    other.destroy()
    server.close()
  }
  return { stream, other, close }
}

async function takePieces(
  stream: ByteStream,
  sizeBytes: number,
): Promise<{ lengths: number[]; whole: Buffer }> {
  const lengths: number[] = []
  const copies: Buffer[] = []
  for (let left = sizeBytes; left > 0; ) {
    const piece = await stream.some(left)
    assert.ok(piece !== undefined)
    lengths.push(piece.length)
    copies.push(Buffer.from(piece))
    left -= piece.length
    piece.giveBack?.()
  }
  return { lengths, whole: Buffer.concat(copies) }
}

test('bytes come in whole pieces, whatever arrives at a time, and what follows them by itself', async () => {
  const { stream, other, close } = await connected()
  try {
    for (const sizeBytes of [3 * PIECE + 1_000, 2 * PIECE, 70_000]) {
      const [head, body, tail] = [randomBytes(5), randomBytes(sizeBytes), randomBytes(4)]
      const sent = Buffer.concat([head, body, tail])
      for (let at = 0; at < sent.length; at += 50_001) other.write(sent.subarray(at, at + 50_001))
      assert.deepEqual(await stream.take(head.length), head)
      stream.readWhole(sizeBytes)
      const { lengths, whole } = await takePieces(stream, sizeBytes)
      assert.ok(whole.equals(body))
      const wanted = Array.from({ length: Math.ceil(sizeBytes / PIECE) }, (_, each) =>
        Math.min(PIECE, sizeBytes - each * PIECE),
      )
      assert.deepEqual(lengths, wanted)
      assert.deepEqual(await stream.take(tail.length), tail)
    }
  } finally {
    close()
  }
})

test('bytes that have all arrived before come in whole pieces too, and the next ones as they are', async () => {
  const { stream, other, close } = await connected()
  try {
    const [body, tail] = [randomBytes(20_000), randomBytes(30)]
    other.write(Buffer.concat([body, tail]))
    await stream.take(1)
    stream.readWhole(body.length - 1)
    assert.ok((await takePieces(stream, body.length - 1)).whole.equals(body.subarray(1)))
    assert.deepEqual(await stream.take(tail.length), tail)
  } finally {
    close()
  }
})

test('a stream that ends, or is cut, within a whole piece', async () => {
  for (const [cut, outcome] of [
    [false, undefined],
    [true, 'incomplete_body'],
  ] as const) {
    const { stream, other, close } = await connected()
    try {
      stream.readWhole(PIECE)
      other.write(randomBytes(1_000))
      if (cut) other.resetAndDestroy()
      else other.end()
      const code = await stream.some(PIECE).catch((error) => error.code)
      assert.equal(code, outcome)
    } finally {
      close()
    }
  }
})
