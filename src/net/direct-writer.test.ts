/** What is written past the stream arrives whole and in order, also at a reader that lets it wait, and nothing is lost at the end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { DirectWriter } from './direct-writer.ts'

/** Of one connection both ends. */
async function connection(t: TestContext): Promise<{ near: Socket; far: Socket }> {
  const server = net.createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const far = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [near] = (await once(server, 'connection')) as [Socket]
  far.pause()
  t.after(() => {
    for (const socket of [near, far]) socket.destroy()
    server.close()
  })
  return { near, far }
}

async function allOf(far: Socket): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of far) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

const pieceOf = (number: number) => Buffer.alloc(50_000, `${number} `)

test('a small write is with the system when it returns', async (t) => {
  const { near, far } = await connection(t)
  const writer = new DirectWriter(near, () => {})
  assert.equal(writer.write(Buffer.from('one ')), true)
  assert.equal(writer.write(Buffer.from('two')), true)
  assert.equal(writer.waitingBytes, 0)
  near.end()
  assert.equal((await allOf(far)).toString(), 'one two')
})

test('what the reader lets wait is kept, and what comes behind it stays behind it', async (t) => {
  const { near, far } = await connection(t)
  const drained = Promise.withResolvers<void>()
  const writer = new DirectWriter(near, () => drained.resolve())
  const all: Buffer[] = []
  let isKept = false
  while (!isKept) {
    all.push(pieceOf(all.length))
    isKept = !writer.write(all.at(-1)!)
  }
  assert.ok(writer.waitingBytes > 0)
  const reused = pieceOf(all.length)
  all.push(Buffer.from(reused))
  assert.equal(writer.write(reused), true)
  reused.fill('x')
  const arriving = allOf(far)
  await drained.promise
  all.push(pieceOf(all.length))
  writer.write(all.at(-1)!)
  near.end()
  assert.ok((await arriving).equals(Buffer.concat(all)))
})

test('the end comes behind what waits', async (t) => {
  const { near, far } = await connection(t)
  const writer = new DirectWriter(near, () => {})
  const all: Buffer[] = []
  do all.push(pieceOf(all.length))
  while (writer.write(all.at(-1)!))
  near.end()
  assert.ok((await allOf(far)).equals(Buffer.concat(all)))
})

test('a connection that is gone takes nothing and is closed', async (t) => {
  const { near, far } = await connection(t)
  near.on('error', () => {})
  const writer = new DirectWriter(near, () => assert.fail('nobody has read'))
  while (writer.write(pieceOf(1)));
  const closed = new Promise((resolve) => near.once('close', resolve))
  far.resetAndDestroy()
  await closed
  assert.equal(writer.write(Buffer.from('more')), true)
})
