/** Blocks in the middle of what was not synced are lost while later ones are kept: each hole costs only what was in it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { KIB, MIB } from '../support/needles.ts'
import { DIRECTORY, SimStore, VOLUME, verifyDisk } from '../support/sim-store.ts'

const DAT = `${DIRECTORY}/${VOLUME}.dat`
const SIZES = [1, 600, 5 * KIB, 70 * KIB, MIB + 9 * KIB, 0, 900, 30]

/** A volume of which everything behind a checkpoint may be lost, and where its records begin. */
async function prepare() {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 3; key++) await store.write(key, 1, 800)
  await store.checkpoint()
  for (const [i, size] of SIZES.entries()) await store.write(10 + i, 1, size)
  await store.remove(1)
  await store.write(2, 2, 4 * KIB)
  const disk2 = disk.crash({ u32: () => 1, below: () => 0, bytes: (n) => Buffer.alloc(n) }, { style: 'all' })
  const { records } = readSeaweedVolume(disk2.contents(DAT), undefined)
  return { disk: disk2, history: store.history, records }
}

const base = await prepare()
const FIRST = 3
const WAYS: [name: string, from: (length: number) => number, to: (length: number) => number][] = [
  ['all of it', () => 0, (length) => length],
  ['its start', () => 0, (length) => Math.min(16, length)],
  ['its middle', (length) => Math.floor(length / 2), (length) => Math.floor(length / 2) + 8],
  ['its end', (length) => length - 16, (length) => length - 4],
]

for (const [name, from, to] of WAYS) {
  for (const fill of [0, 0xa5]) {
    test(`a hole in one record: ${name}, ${fill === 0 ? 'zeros' : 'garbage'}`, async () => {
      for (let i = FIRST; i < base.records.length; i++) {
        const { offset, lengthBytes, key } = base.records[i]!
        const disk = base.disk.copy()
        disk.corrupt(
          DAT,
          (bytes) => void bytes.fill(fill, offset + from(lengthBytes), offset + to(lengthBytes)),
        )
        const history = base.history.snapshot()
        history.doubtLast(Number(key))
        await verifyDisk(disk, history, `record ${i} (key ${key}, ${lengthBytes} bytes)`)
        const after = readSeaweedVolume(disk.contents(DAT), undefined).records
        if (name === 'all of it' && i < base.records.length - 1)
          assert.ok(after.some((record) => record.key === 0n && record.offset === offset))
      }
    })
  }
}

test('a hole over several records, and several holes', async () => {
  for (let i = FIRST; i + 2 < base.records.length; i++) {
    const disk = base.disk.copy()
    const history = base.history.snapshot()
    const lost = [base.records[i]!, base.records[i + 1]!]
    const apart = base.records[i + 3]
    disk.corrupt(DAT, (bytes) => {
      for (const record of lost) bytes.fill(0, record.offset, record.offset + record.lengthBytes)
      if (apart !== undefined) bytes.fill(1, apart.offset, apart.offset + 16)
    })
    for (const record of [...lost, ...(apart === undefined ? [] : [apart])])
      history.doubtLast(Number(record.key))
    await verifyDisk(disk, history, `records ${i}, ${i + 1} and ${i + 3}`)
  }
})
