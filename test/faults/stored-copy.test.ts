/** A stored copy of a volume, inside a record that is torn, brings none of its own records to life. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { cookieOf, KIB, needleOf } from '../support/needles.ts'
import { DIRECTORY, readKey, SimStore, VOLUME, verifyDisk } from '../support/sim-store.ts'

const DAT = `${DIRECTORY}/${VOLUME}.dat`
const KEYS = 10
const CARRIER = 77

async function fill(seed: number): Promise<SimStore> {
  const disk = new SimDisk(seed)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= KEYS; key++) await store.write(key, 1, key * 300)
  for (let key = 1; key <= KEYS; key += 2) await store.write(key, 2, 100 + key)
  for (let key = 2; key <= KEYS; key += 3) await store.remove(key)
  return store
}

/** Stores the bytes in a record, destroys its first sector or so, and opens what a kill would leave. */
async function checkCarrier(store: SimStore, data: Buffer, what: string): Promise<void> {
  const needle = needleOf(CARRIER, 1, 0, { data, name: undefined, mime: undefined, pairs: undefined })
  const start = store.disk.contents(DAT).length
  await store.volume().write(needle)
  await store.write(CARRIER + 1, 1, 500)
  for (const [from, to] of [
    [0, 1],
    [0, 40],
    [12, 16],
    [0, 512],
    [512, 1024],
  ] as [number, number][]) {
    for (const cutTail of [false, true]) {
      const disk = store.disk.crash(
        { u32: () => 1, below: () => 0, bytes: (n) => Buffer.alloc(n) },
        { style: 'all' },
      )
      disk.corrupt(DAT, (bytes) => {
        bytes.fill(0xee, start + from, start + to)
        return cutTail ? bytes.subarray(0, bytes.length - 560) : bytes
      })
      const history = store.history.snapshot()
      if (cutTail) history.begin(CARRIER + 1, undefined)
      await verifyDisk(
        disk,
        history,
        `${what}, bytes ${from} to ${to} of the carrier destroyed${cutTail ? ', tail cut' : ''}`,
      )
    }
  }
}

test("a copy of the volume's own earlier .dat", async () => {
  const store = await fill(1)
  const copy = store.disk.contents(DAT)
  for (let key = 1; key <= KEYS; key += 2) await store.remove(key)
  await checkCarrier(store, copy, 'own copy')
})

test("a copy of another volume's .dat", async () => {
  const other = await openOther()
  await checkCarrier(await fill(1), other, 'copy of another')
})

/** Another volume: another salt, the same keys and cookies, later times. */
async function openOther(): Promise<Buffer> {
  const disk = new SimDisk(5)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create(2)
  store.engine.clock.advance(1_000_000)
  for (let key = 1; key <= KEYS; key++) await store.volume(0, 2).write(needleOf(key, 5, 77))
  return disk.contents(`${DIRECTORY}/2.dat`)
}

test('a copy from before a compaction, lying where its records lay then', async () => {
  const store = await fill(1)
  await store.write(KEYS + 1, 1, 20 * KIB)
  await store.write(KEYS + 2, 1, 700)
  const before = store.disk.contents(DAT)
  const victim = readSeaweedVolume(before, undefined).records.findLast(
    (record) => record.key === BigInt(KEYS + 2),
  )!
  await store.remove(KEYS + 1)
  await store.remove(KEYS + 2)
  await store.compact()
  const start = store.disk.contents(DAT).length
  assert.ok(start + 20 < victim.offset)
  await checkCarrier(store, before.subarray(start + 20), 'aligned copy')
})

test('a record that looks right but has another salt is no record', async () => {
  const store = await fill(1)
  const disk = store.disk.copy()
  const stranger = needleOf(99, 1, 60)
  const record = Buffer.alloc(128)
  record.writeUInt32BE(cookieOf(99), 0)
  record.writeUInt32BE(99, 8)
  record.writeUInt32BE(4 + stranger.data.length + 1, 12)
  disk.corrupt(DAT, (bytes) => Buffer.concat([bytes, record]))
  const again = await SimStore.open(disk, { history: store.history })
  assert.equal(await readKey(again.volume(), 99), undefined)
  await again.checkReads('a stranger at the end')
})
