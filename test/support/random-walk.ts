/** One random run of the engine on a simulated disk, compared with what its history allows at every step. */
import assert from 'node:assert/strict'
import type { Random } from '../../src/base/random.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { KIB, MIB } from './needles.ts'
import { assertAllowed, checkFiles, DIRECTORY, readKey, SimStore } from './sim-store.ts'

const KEYS = 24
const SIZES = [0, 1, 7, 100, 1000, 4 * KIB, 17 * KIB, 66 * KIB, 200 * KIB]

export async function randomWalk(random: Random, steps: number): Promise<void> {
  const disk = new SimDisk(random.u32())
  disk.putDirectory(DIRECTORY)
  let store = await SimStore.open(disk, { views: 2 })
  await store.create()
  for (let step = 0; step < steps; step++) {
    const view = random.below(2)
    const key = 1 + random.below(KEYS)
    const choice = random.below(100)
    if (choice < 34) await expectOk(store.write(key, step, sizeOf(random), { view }))
    else if (choice < 40) await expectOk(store.writeMany(severalFiles(random, step), { view }))
    else if (choice < 55) await store.remove(key, { view })
    else if (choice < 80)
      assertAllowed(store.history, key, await readKey(store.volume(view), key), `step ${step}`)
    else if (choice < 84) await store.checkpoint()
    else if (choice < 88) await store.compact()
    else if (choice < 92) await together(store, random, step)
    else store = await restart(store, random, step)
  }
  await store.settle('the end')
  await store.checkReads('the end')
  await store.stop()
  checkFiles(store.disk, store.history, 'the end')
}

/** Each key once: what comes of one that is there twice is for a test of its own. */
function severalFiles(random: Random, step: number): [number, number, number][] {
  const keys = new Set(Array.from({ length: 1 + random.below(6) }, () => 1 + random.below(KEYS)))
  return [...keys].map((key) => [key, step, SIZES[random.below(SIZES.length)]!])
}

function sizeOf(random: Random): number {
  return random.below(40) === 0 ? MIB + random.below(100 * KIB) : SIZES[random.below(SIZES.length)]!
}

async function expectOk(result: Promise<string>): Promise<void> {
  assert.equal(await result, 'ok')
}

/** Several operations at once, ending in any order; what they leave unacknowledged is for `restart` to sort out. */
async function together(store: SimStore, random: Random, step: number): Promise<void> {
  const { disk } = store
  disk.hold()
  const actions: Promise<unknown>[] = []
  for (let i = 0; i < 5; i++) {
    const key = 1 + random.below(KEYS)
    const view = random.below(2)
    const size = i === 0 ? MIB + 10 : sizeOf(random)
    actions.push(
      random.below(4) === 0 ? store.remove(key, { view }) : store.write(key, step * 100 + i, size, { view }),
    )
  }
  if (random.below(2) === 0) actions.push(store.compact())
  let running = true
  const all = Promise.all(actions).finally(() => (running = false))
  while (running) {
    await new Promise(setImmediate)
    if (disk.held.length > 0) disk.release(random.below(disk.held.length))
  }
  await all
  disk.unhold()
}

/** A clean stop, a kill that keeps the page cache, or a power loss; then all keys are read, and what is found holds. */
async function restart(store: SimStore, random: Random, step: number): Promise<SimStore> {
  const how = ['stop', 'kill', 'power loss', 'power loss'][random.below(4)]!
  // The last operations have not been synced when the power goes.
  if (how !== 'stop') for (let i = random.below(4); i > 0; i--) await writeOnly(store, random, step)
  if (how === 'stop') await store.stop()
  const disk = how === 'power loss' ? store.disk.crash(random) : store.disk.kill()
  const next = await SimStore.open(how === 'stop' ? store.disk.copy() : disk, {
    history: store.history,
    views: 2,
  })
  await next.settle(`step ${step}, after a ${how}`)
  return next
}

async function writeOnly(store: SimStore, random: Random, step: number): Promise<void> {
  await store.writeUnsynced(1 + random.below(KEYS), step * 1000 + random.below(1000), random.below(5000))
}
