/** Volumes put into a data directory: whatever step a crash cuts, the next start goes on, and nothing is half there. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import {
  type AdoptionState,
  readAdoption,
  readRefusal,
  writeAdoption,
} from '../../src/disk/volume-adoption.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { fidOf, needleOf } from '../support/needles.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'

const VERIFYING: AdoptionState = { state: 'verifying', damaged: 0, reason: '' }

async function prepare(t: TestContext): Promise<{ data: string; folder: string }> {
  const [source, data] = [temporaryDirectory(), temporaryDirectory()]
  t.after(source.remove)
  t.after(data.remove)
  const store = new RealStore(source.path)
  await store.create(5)
  for (let key = 1; key <= 300; key++) await store.write(5, key, 1, 200)
  await store.close()
  const folder = join(data.path, 'adopt')
  mkdirSync(folder)
  for (const name of readdirSync(source.path)) cpSync(join(source.path, name), join(folder, name))
  return { data: data.path, folder }
}

async function assertAdopted(data: string): Promise<void> {
  const store = new RealStore(data)
  store.keeper.adoption.start()
  await store.keeper.adoption.look()
  await store.keeper.adoption.stop()
  assert.ok(await store.volume(5).read(fidOf(300, 5)))
  await store.write(5, 301, 1, 100)
  assert.equal(existsSync(join(data, '5.adopting')), false)
  await store.close()
}

const CUTS: [string, (data: string, folder: string) => void][] = [
  ['before anything', () => undefined],
  ['behind the marker', (data) => writeAdoption(realDisk, placeIn(data), VERIFYING)],
  [
    'between the names',
    (data, folder) => {
      writeAdoption(realDisk, placeIn(data), VERIFYING)
      for (const name of ['5.idx', '5.sums']) renameSync(join(folder, name), join(data, name))
    },
  ],
  [
    'before it was verified',
    (data, folder) => {
      writeAdoption(realDisk, placeIn(data), VERIFYING)
      for (const name of ['5.idx', '5.sums', '5.cairn', '5.dat'])
        renameSync(join(folder, name), join(data, name))
    },
  ],
]

const placeIn = (directory: string) => ({ directory, collection: '', volumeId: 5 })

for (const [name, cut] of CUTS) {
  test(`a crash ${name}`, async (t) => {
    const { data, folder } = await prepare(t)
    // What a removed volume of that number left behind must not count.
    if (name === 'before anything') writeFileSync(join(data, '5.sums'), 'old')
    cut(data, folder)
    await assertAdopted(data)
  })
}

test('it takes no writes before it is verified', async (t) => {
  const { data } = await prepare(t)
  const store = new RealStore(data)
  const looking = store.keeper.adoption.look()
  const isReadOnly = (error: unknown) => error instanceof StoreError && error.code === 'read_only'
  assert.ok(store.volume(5).slot.hasFlag(FLAG.readOnly))
  assert.throws(() => store.volume(5).write(needleOf(400, 1, 10)), isReadOnly)
  assert.ok(await store.volume(5).read(fidOf(1, 5)))
  await looking
  await store.write(5, 400, 1, 10)
  await store.close()
})

test('a number that is taken is refused, and the volume that has it is not touched', async (t) => {
  const { data, folder } = await prepare(t)
  const store = new RealStore(data)
  await store.create(5)
  await store.write(5, 9999, 1, 10)
  await store.keeper.adoption.look()
  assert.match(readRefusal(realDisk, placeIn(folder)) ?? '', /volume 5 is here already/)
  assert.equal(readAdoption(realDisk, placeIn(data)), undefined)
  assert.ok(existsSync(join(folder, '5.dat')))
  assert.ok(await store.volume(5).read(fidOf(9999, 5)))
  await store.close()
})

test('a volume from elsewhere with the number of an erasure volume is refused', async (t) => {
  const { data, folder } = await prepare(t)
  const volumeId = 2 ** 30
  for (const name of readdirSync(folder)) {
    const extension = name.slice(name.indexOf('.'))
    if (extension === '.cairn') rmSync(join(folder, name))
    else renameSync(join(folder, name), join(folder, `${volumeId}${extension}`))
  }
  const store = new RealStore(data)
  await store.keeper.adoption.look()
  const refused = readRefusal(realDisk, { directory: folder, collection: '', volumeId })
  assert.match(refused ?? '', /ids of volumes from elsewhere are below 1073741824/)
  assert.equal(store.volumes.get(volumeId), undefined)
  await store.close()
})
