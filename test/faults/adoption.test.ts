/** Volumes put into a data directory: whatever step a crash cuts, the next start goes on, and nothing is half there. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import {
  type AdoptionState,
  readAdoption,
  readRefusal,
  writeAdoption,
} from '../../src/disk/volume-adoption.ts'
import { FLAG } from '../../src/disk/volume-table.ts'
import { SimClock } from '../sim/sim-clock.ts'
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

/** The machine's disk, which fails as it is told. */
function failingDisk() {
  const fails = { full: false, marker: false, bytesRead: 0 }
  const failure = (code: string) => Object.assign(new Error(`${code}: as the test wants it`), { code })
  const disk: Disk = {
    ...realDisk,
    open: (path, mode) => {
      if (fails.full && mode === 'w+') throw failure('ENOSPC')
      if (fails.marker && path.endsWith('.adopting')) throw failure('EIO')
      return realDisk.open(path, mode)
    },
    read: (...given) => {
      fails.bytesRead += given[3]
      return realDisk.read(...given)
    },
    readSync: (...given) => {
      fails.bytesRead += given[3]
      return realDisk.readSync(...given)
    },
  }
  return { disk, fails }
}

const isReadOnly = (error: unknown) => error instanceof StoreError && error.code === 'read_only'
const writeOne = (store: RealStore) => store.volume(5).write(needleOf(400, 1, 10))

test('the disk is full when a volume was verified: it stays read only until there is room, and is not read again', async (t) => {
  const { data } = await prepare(t)
  const { disk, fails } = failingDisk()
  const store = new RealStore(data, { disk })
  const looking = store.keeper.adoption.look()
  fails.full = true
  await looking
  assert.equal(readAdoption(realDisk, placeIn(data))?.state, 'verifying')
  assert.throws(() => writeOne(store), isReadOnly)
  assert.ok(fails.bytesRead > 300 * 200)
  fails.bytesRead = 0
  await store.keeper.adoption.look()
  assert.ok(fails.bytesRead < 1000, `${fails.bytesRead} bytes were read`)
  fails.full = false
  await store.keeper.adoption.look()
  assert.equal(readAdoption(realDisk, placeIn(data)), undefined)
  await writeOne(store)
  await store.close()
})

test('a start on a full disk with a volume that is not verified yet', async (t) => {
  const { data, folder } = await prepare(t)
  for (const name of readdirSync(folder)) renameSync(join(folder, name), join(data, name))
  writeAdoption(realDisk, placeIn(data), VERIFYING)
  const { disk, fails } = failingDisk()
  const store = new RealStore(data, { disk })
  fails.full = true
  store.keeper.adoption.start()
  assert.throws(() => writeOne(store), isReadOnly)
  await store.keeper.adoption.look()
  assert.throws(() => writeOne(store), isReadOnly)
  fails.full = false
  await store.keeper.adoption.look()
  await writeOne(store)
  await store.keeper.adoption.stop()
  await store.close()
})

test('a marker that cannot be read does not keep others waiting', async (t) => {
  const { data } = await prepare(t)
  const { disk, fails } = failingDisk()
  const clock = new SimClock()
  const store = new RealStore(data, { disk, clock })
  await store.create(6)
  writeAdoption(realDisk, { ...placeIn(data), volumeId: 6 }, { state: 'damaged', damaged: 1, reason: 'x' })
  fails.marker = true
  store.keeper.adoption.start()
  // What a look of the timer throws ends the process.
  clock.advance(1000)
  await store.keeper.adoption.stop()
  fails.marker = false
  await store.close()
  await assertAdopted(data)
})

for (const bytes of ['{"state":"damaged","damaged":1,"reason":"x}\n', '', 'null', '{"state":"verifyinh"}']) {
  test(`a damaged marker: ${JSON.stringify(bytes)}`, async (t) => {
    const { data } = await prepare(t)
    const first = new RealStore(data)
    await first.create(4)
    await first.close()
    const place = { ...placeIn(data), volumeId: 4 }
    writeFileSync(join(data, '4.adopting'), bytes)
    assert.equal(readAdoption(realDisk, place)?.state, 'failed')
    assert.match(readAdoption(realDisk, place)?.reason ?? '', /marker .* is damaged/)
    await assertAdopted(data)
  })
}

for (const state of ['damaged', 'failed'] as const) {
  test(`a volume whose marker says ${state} is not replaced by one that arrives`, async (t) => {
    const { data, folder } = await prepare(t)
    const store = new RealStore(data)
    await store.create(5)
    await store.write(5, 9999, 1, 10)
    writeAdoption(realDisk, placeIn(data), { state, damaged: 1, reason: 'x' })
    await store.keeper.adoption.look()
    assert.match(readRefusal(realDisk, placeIn(folder)) ?? '', /volume 5 is here already/)
    await store.close()
    const again = new RealStore(data)
    assert.ok(await again.volume(5).read(fidOf(9999, 5)))
    await again.close()
  })
}
