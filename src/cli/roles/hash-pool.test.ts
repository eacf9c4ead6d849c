/** Digests on other threads are those of this one, for bodies that interleave, in shared memory or not. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { digestsOf } from '../../objects/digests.ts'
import { serveHashing, ThreadHashPool } from './hash-pool.ts'

function pool(lanes: number) {
  const channels = Array.from({ length: lanes }, () => new MessageChannel())
  for (const { port1 } of channels) serveHashing(port1)
  const close = () => channels.forEach(({ port1 }) => void port1.close())
  return { hashes: new ThreadHashPool(channels.map(({ port2 }) => port2)), close }
}

test('many bodies at once have their own digests', async () => {
  const { hashes, close } = pool(2)
  const names = ['md5', 'sha256', 'crc64nvme'] as const
  const bodies = Array.from({ length: 20 }, (_, at) => randomBytes(at * 1000))
  const digests = await Promise.all(
    bodies.map(async (body) => {
      const hashing = hashes.start(names)
      for (let at = 0; at < body.length; at += 700) {
        const shared = Buffer.from(new SharedArrayBuffer(Math.min(700, body.length - at)))
        body.copy(shared, 0, at)
        await hashing.update(at % 1400 === 0 ? shared : body.subarray(at, at + 700))
        shared.fill(0)
      }
      return await hashing.finish()
    }),
  )
  for (const [at, body] of bodies.entries()) assert.deepEqual(digests[at], digestsOf(names, body))
  close()
})

test('updates need not be waited for, and a body that is given up leaves nothing', async () => {
  const { hashes, close } = pool(1)
  const body = randomBytes(5000)
  const hashing = hashes.start(['sha1'])
  const given = hashes.start(['md5'])
  const updates = [0, 1000, 2000, 3000, 4000].map((at) => hashing.update(body.subarray(at, at + 1000)))
  const lost = given.update(body)
  given.abandon()
  given.abandon()
  assert.deepEqual((await hashing.finish()).sha1, createHash('sha1').update(body).digest())
  await Promise.all([...updates, lost])
  hashing.abandon()
  close()
})
