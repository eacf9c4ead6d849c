/** Two threads' views write and delete the same keys: memory, `.idx` and a rebuild from `.dat` agree, record for record. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { fidOf, KIB, MIB, needleOf } from '../support/needles.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { DIRECTORY, matches, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const path = (extension: string) => `${DIRECTORY}/${VOLUME}${extension}`
const KEYS = 3

/** Runs the actions at the same time, the asynchronous disk calls ending in random order. */
export async function interleave(
  disk: SimDisk,
  below: (n: number) => number,
  actions: (() => Promise<unknown>)[],
): Promise<void> {
  disk.hold()
  let running = actions.length
  const failures: unknown[] = []
  for (const action of actions) {
    void action()
      .catch((error: unknown) => failures.push(error))
      .finally(() => running--)
  }
  for (let turns = 0; running > 0; turns++) {
    assert.ok(turns < 100_000, 'the actions end')
    await new Promise(setImmediate)
    if (disk.held.length > 0) disk.release(below(disk.held.length))
  }
  disk.unhold()
  if (failures.length > 0) throw failures[0]
}

for (const seed of seedsToRun(4)) {
  test(`two writers of one key, seed ${seed}`, () =>
    withSeed(seed, async (random) => {
      const disk = new SimDisk(seed)
      disk.putDirectory(DIRECTORY)
      const store = await SimStore.open(disk, { views: 2 })
      await store.create()
      let version = 0
      for (let round = 0; round < 12; round++) {
        const actions = Array.from({ length: 6 }, () => async () => {
          const view = random.below(2)
          const key = 1 + random.below(KEYS)
          const size = [0, 10, 500, 3 * KIB, MIB + random.below(100 * KIB)][random.below(5)]!
          if (random.below(4) === 0) await store.remove(key, { view })
          else await store.write(key, ++version, size, { view })
        })
        await interleave(disk, (n) => random.below(n), actions)
        await store.checkReads(`round ${round}`)
        await compareAll(store, `round ${round}`)
        if (random.below(4) === 0) {
          await interleave(disk, (n) => random.below(n), [() => store.compact(), ...actions])
          await compareAll(store, `compaction in round ${round}`)
        }
      }
      await store.stop()
    }))
}

/** Both views, the files as SeaweedFS would read them, and an index rebuilt from `.dat` alone. */
async function compareAll(store: SimStore, what: string): Promise<void> {
  const disk = store.disk.copy()
  const seaweed = readSeaweedVolume(disk.contents(path('.dat')), disk.contents(path('.idx')))
  disk.dropFile(path('.idx'))
  disk.dropFile(path('.sums'))
  const rebuilt = await SimStore.open(disk)
  for (let key = 1; key <= KEYS; key++) {
    const first = await readKey(store.volume(0), key)
    const second = await readKey(store.volume(1), key)
    const third = await readKey(rebuilt.volume(), key)
    assert.deepEqual(second, first, `${what}: key ${key} in the second view`)
    assert.deepEqual(third, first, `${what}: key ${key} rebuilt`)
    const record = seaweed.liveByIndex.get(BigInt(key))
    assert.equal(
      record?.data.equals((first as { data: Buffer }).data),
      first === undefined ? undefined : true,
      `${what}: key ${key} by .idx`,
    )
  }
  await rebuilt.stop()
}

test('a large write that was overtaken by a later write, or delete, of its key stays overtaken', async () => {
  for (const overtaker of ['write', 'delete', 'write then delete', 'large']) {
    const disk = new SimDisk(1)
    disk.putDirectory(DIRECTORY)
    const store = await SimStore.open(disk, { views: 2 })
    await store.create()
    if (overtaker === 'delete') await store.write(1, 1, 10)
    disk.hold()
    const large = store.volume().write(needleOf(1, 2, MIB + 5000)) as Promise<unknown>
    for (let i = 0; i < 5; i++) await new Promise(setImmediate)
    assert.ok(
      disk.held.some((call) => call.kind === 'write'),
      'the large write is under way',
    )
    const other = store.volume(1)
    if (overtaker.startsWith('write')) await other.write(needleOf(1, 3, 40))
    if (overtaker.endsWith('delete')) other.remove(fidOf(1))
    const second =
      overtaker === 'large' ? (other.write(needleOf(1, 4, MIB + 9000)) as Promise<unknown>) : undefined
    if (second !== undefined) {
      for (let i = 0; i < 5; i++) await new Promise(setImmediate)
      while (disk.held.length > 1) disk.release(disk.held.length - 1)
    }
    for (let turns = 0; turns < 200; turns++) {
      await new Promise(setImmediate)
      if (disk.held.length > 0) disk.release(disk.held.length - 1)
    }
    await Promise.all([large, second])
    disk.unhold()
    const expected = { write: needleOf(1, 3, 40), large: needleOf(1, 4, MIB + 9000) }[overtaker]
    const found = await readKey(store.volume(), 1)
    assert.ok(matches(found, expected), overtaker)
    await compareAll(store, overtaker)
    await store.stop()
  }
})

test('a volume removed while a large write waits is not written to, nor is the one that takes its place', async () => {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  await store.write(1, 1, MIB + 70 * KIB)
  disk.hold()
  const late = (store.volume().write(needleOf(1, 2, MIB + 5000)) as Promise<unknown>).then(
    () => 'written',
    (error: { code: string }) => error.code,
  )
  await store.engine.admin.deleteVolume(VOLUME)
  await store.engine.admin.createVolume({ id: 2, collection: '', replicaPlacement: 0, ttl: 0 })
  for (let turns = 0; turns < 300; turns++) {
    await new Promise(setImmediate)
    if (disk.held.length > 0) disk.release(0)
    store.engine.clock.advance(10)
  }
  assert.notEqual(await late, 'written')
  disk.unhold()
  assert.equal(disk.contents(`${DIRECTORY}/2.dat`).length, 8)
})
