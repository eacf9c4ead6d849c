/**
 * The Nth call of the disk fails, for every N of a write, an overwrite, a delete, a compaction, a checkpoint, the creation
 * of a volume and a start: nothing is acknowledged falsely, nothing acknowledged is lost, and after a failed sync the
 * volume takes no more writes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from '../../src/base/random.ts'
import { type CallKind, type Fault, SimDisk } from '../sim/sim-disk.ts'
import type { History } from '../support/history.ts'
import { KIB, MIB } from '../support/needles.ts'
import { randomOf } from '../support/seeds.ts'
import {
  assertAllowed,
  codeOf,
  DIRECTORY,
  readKey,
  SimStore,
  VOLUME,
  verifyDisk,
} from '../support/sim-store.ts'

const KEYS = 8
const CALLS_MAX = 400

/** A disk with a volume of some files, some garbage, and records behind the last checkpoint. */
async function prepare(): Promise<{ disk: SimDisk; history: History }> {
  const disk = new SimDisk(3)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= KEYS; key++) await store.write(key, 1, key * 1000)
  await store.write(3, 2, 70 * KIB)
  await store.checkpoint()
  await store.remove(4)
  await store.write(5, 2, MIB + 3000)
  await store.write(6, 2, 0)
  await store.stop()
  return { disk, history: store.history }
}

const SCENARIOS: Record<string, (store: SimStore) => Promise<string>> = {
  write: (store) => store.write(20, 1, 3000),
  'large write': (store) => store.write(21, 1, MIB + 70 * KIB),
  'several files by one write': (store) =>
    store.writeMany([
      [25, 1, 900],
      [2, 2, 700],
      [26, 1, 0],
    ]),
  overwrite: (store) => store.write(2, 2, 5000),
  'large overwrite': (store) => store.write(2, 2, MIB + 5000),
  'overwrite of a large file': (store) => store.write(5, 3, 10),
  delete: (store) => store.remove(3),
  'delete of a large file': (store) => store.remove(5),
  compaction: (store) => store.compact(),
  'compaction beside writes': (store) => compactBesideWrites(store),
  checkpoint: async (store) => {
    const written = await store.write(22, 1, 100)
    await store.checkpoint()
    return written
  },
  'two writers': async (store) => {
    const codes = await Promise.all([
      store.write(23, 1, 900),
      store.write(24, 1, 700, { view: 1 }),
      store.remove(1, { view: 1 }),
    ])
    return codes.find((code) => code !== 'ok') ?? 'ok'
  },
  creation: (store) => store.create(2).then(() => 'ok', codeOf),
}

async function compactBesideWrites(store: SimStore): Promise<string> {
  const codes = await Promise.all([
    store.compact(),
    store.write(7, 2, 600, { view: 1 }),
    store.write(8, 2, MIB + 9000),
    store.remove(1, { view: 1 }),
  ])
  return codes.find((code) => code !== 'ok') ?? 'ok'
}

const FAULTS: Record<string, { fault: Fault; kinds: readonly CallKind[] }> = {
  EIO: {
    fault: { code: 'EIO' },
    kinds: ['open', 'read', 'write', 'truncate', 'size', 'rename', 'remove', 'syncDirectory', 'mkdir'],
  },
  ENOSPC: { fault: { code: 'ENOSPC' }, kinds: ['open', 'write', 'rename', 'mkdir'] },
  'a short write': { fault: { code: 'ENOSPC', short: true }, kinds: ['write'] },
  'a failed sync': { fault: { code: 'EIO', dropPerMille: 1000 }, kinds: ['sync'] },
  'a failed sync that loses half': {
    fault: { code: 'EIO', dropPerMille: 500, evict: false },
    kinds: ['sync'],
  },
}

const base = await prepare()

for (const [what, run] of Object.entries(SCENARIOS)) {
  for (const [name, { fault, kinds }] of Object.entries(FAULTS)) {
    test(`${what}: ${name} at every call`, async () => {
      for (let nth = 1; ; nth++) {
        assert.ok(nth < CALLS_MAX, 'the scenario ends')
        if (!(await failOnce({ nth, fault, kinds, scenario: what, name, run }))) break
      }
    })
  }
}

interface Failure {
  nth: number
  fault: Fault
  kinds: readonly CallKind[]
  scenario: string
  name: string
  run: (store: SimStore) => Promise<string>
}

/** Runs the scenario with one failure. False when it ended before the failure came up. */
async function failOnce({ nth, fault, kinds, scenario, name, run }: Failure): Promise<boolean> {
  const random = randomOf(nth)
  const disk = base.disk.copy()
  const store = await SimStore.open(disk, { history: base.history.snapshot(), views: 2 })
  const callsBefore = disk.callCount
  disk.failCall(nth, fault, { kinds })
  const outcome = await run(store)
  disk.heal()
  const failed = disk.log.find((call) => call.number > callsBefore && call.failed !== undefined)
  const detail = `${scenario}, ${name} at call ${nth} (${failed?.kind} ${failed?.path})`
  const own = failed?.kind === 'sync' && failed.path.endsWith('.dat') && scenario !== 'checkpoint'
  if (own) assert.notEqual(outcome, 'ok', `${detail}: acknowledged`)
  await checkLive(store, detail, failed?.kind === 'sync')
  if (failed !== undefined) await verifyAfter(store, random, detail)
  return failed !== undefined
}

/** In the running process: reads are right, and writes are refused or work in earnest. */
async function checkLive(store: SimStore, what: string, syncFailed: boolean): Promise<void> {
  const info = (await store.engine.admin.status()).volumes.find((volume) => volume.id === VOLUME)
  assert.ok(info, `${what}: the volume is still known`)
  for (const view of store.engine.views) {
    for (const key of store.history.keys) {
      const found = await readKey(view.get(VOLUME)!, key)
      const inDoubt = store.history.allowed(key).length > 1
      if (!(found === 'damaged' && inDoubt && syncFailed)) assertAllowed(store.history, key, found, what)
    }
  }
  const outcome = await store.write(30, 1, 2000)
  if (info.failed) assert.equal(outcome, 'io_error', `${what}: a failed volume takes a write`)
  else if (info.diskFull) await checkRoomAgain(store, outcome, what)
  else assert.equal(outcome, 'ok', `${what}: the next write`)
}

async function checkRoomAgain(store: SimStore, outcome: string, what: string): Promise<void> {
  assert.equal(outcome, 'disk_full', `${what}: a write to a full disk`)
  assert.equal(await store.remove(2), 'ok', `${what}: a delete on a full disk`)
  await store.checkpoint()
  assert.equal(await store.write(31, 1, 2000), 'ok', `${what}: a write when there is room again`)
}

/** After a power loss, after a kill that kept the page cache, and after a clean stop. */
async function verifyAfter(store: SimStore, random: Random, what: string): Promise<void> {
  const options = { mayBeReadOnly: true, restart: random.below(4) === 0 }
  await verifyDisk(store.disk.crash(random), store.history, `${what}, then power loss`, options)
  if (random.below(3) > 0) return
  await verifyDisk(store.disk.crash(random, { style: 'all' }), store.history, `${what}, then killed`, options)
  await store.checkpoint()
  await store.stop()
  await verifyDisk(store.disk.crash(random), store.history, `${what}, then stopped`, options)
}

for (const [name, { fault, kinds }] of Object.entries(FAULTS)) {
  test(`start: ${name} at every call`, async () => {
    const random = randomOf(5)
    for (let nth = 1; ; nth++) {
      assert.ok(nth < CALLS_MAX, 'the start ends')
      const disk = base.disk.crash(random, { style: 'all' })
      disk.failCall(nth, fault, { kinds: [...kinds, 'stat', 'list'] })
      const store = await SimStore.open(disk, { history: base.history.snapshot() })
      disk.heal()
      const failed = disk.log.find((call) => call.failed !== undefined)
      if (failed === undefined) break
      const what = `start, ${name} at call ${nth} (${failed.kind} ${failed.path})`
      const view = store.engine.views[0]!
      const opened = view.list().length > 0
      if (opened) await store.checkReads(what)
      else if (failed.kind !== 'list') {
        // A directory that fails at its opening is not looked into; else the volume is known and says what is wrong.
        const directoryFailed = view.context.table.isComplete === false
        if (directoryFailed) assert.throws(() => view.assertComplete(), { code: 'io_error' }, what)
        else assert.throws(() => view.get(VOLUME), { code: 'io_error' }, what)
        const outcome = await store.create().then(() => 'made', codeOf)
        assert.notEqual(outcome, 'made', `${what}: a volume is made over it`)
      }
      await store.stop()
      await verifyDisk(disk.crash(random), base.history, what, { mayBeReadOnly: true, restart: false })
    }
  })
}
