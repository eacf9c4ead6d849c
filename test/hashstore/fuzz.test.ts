import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { FUZZERS } from './fuzz.ts'
import { fetchOld, startHashstore, Wire, writeOld } from './hashstore-kit.ts'

const INPUTS = 500
const CONNECTIONS = 60

for (const [name, fuzz] of Object.entries(FUZZERS)) {
  test(`random ${name}`, async () => {
    for (const seed of seedsToRun(2)) {
      await withSeed(seed, (random) => {
        for (let i = 0; i < INPUTS; i++) fuzz(random)
      })
    }
  })
}

test('random connections leave a server that serves, and nothing stored but what they stored', async () => {
  const kit = await startHashstore({ headerTimeoutMs: 300, idleTimeoutMs: 300 })
  try {
    assert.ok(await writeOld(kit.port, 'kept', Buffer.from('kept')))
    for (const seed of seedsToRun(1)) {
      await withSeed(seed, async (random) => {
        const starts = [
          'WRITFILE,0004kep',
          'FETCFILE,0004kept',
          'CAIRNEXT,0001',
          'CAIRNEXT,0001\0\0\0\x10',
          '',
        ]
        const connections = Array.from({ length: CONNECTIONS }, async () => {
          const wire = new Wire(kit.port).send(starts[random.below(starts.length)]!)
          wire.send(random.bytes(random.below(100)))
          if (random.below(3) === 0) wire.reset()
          else await wire.rest()
        })
        await Promise.all(connections)
      })
    }
    assert.equal(String(await fetchOld(kit.port, 'kept')), 'kept')
  } finally {
    await kit.close()
  }
})
