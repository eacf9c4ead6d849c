/** The master's file: what was handed out is never handed out again, whatever the disk or the power does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, seededRandom } from '../../src/base/random.ts'
import { KeySequence } from '../../src/blobs/master/key-sequence.ts'
import { FileMasterState, KEY_ASSIGNED_END } from '../../src/blobs/master-state.ts'
import { SimDisk } from '../sim/sim-disk.ts'

function openState(disk: SimDisk, random: Random = seededRandom(1)): FileMasterState {
  return FileMasterState.open({ disk, directory: '/state', random })
}

function newDisk(): SimDisk {
  const disk = new SimDisk(1)
  disk.putDirectory('/state')
  return disk
}

test('a new state is fresh, an opened one is not, and keeps what it had', async () => {
  const disk = newDisk()
  const state = openState(disk)
  assert.equal(state.fresh, true)
  assert.deepEqual(await state.leaseKeys(100, 1n), { first: 1n, end: 101n })
  assert.deepEqual(await state.leaseKeys(10, 1n), { first: 101n, end: 111n })
  assert.deepEqual(await state.leaseKeys(10, 2n ** 53n), { first: 2n ** 53n, end: 2n ** 53n + 10n })
  assert.equal(await state.allocateVolumeId(0), 1)
  assert.equal(await state.allocateVolumeId(7), 8)
  await state.noteVolumeId(20)
  await state.noteVolumeId(5)
  await state.noteNodes(['b', 'a'])
  const again = openState(disk, seededRandom(2))
  assert.equal(again.fresh, false)
  assert.equal(again.clusterId, state.clusterId)
  assert.deepEqual(again.knownNodeIds, ['a', 'b'])
  assert.equal(await again.allocateVolumeId(0), 21)
  assert.deepEqual(await again.leaseKeys(1, 1n), { first: 2n ** 53n + 10n, end: 2n ** 53n + 11n })
})

test('the end of keys and volume ids is an error, not a repetition', async () => {
  const state = openState(newDisk())
  await assert.rejects(state.leaseKeys(10, KEY_ASSIGNED_END - 9n), /no file keys are left/)
  await state.leaseKeys(10, KEY_ASSIGNED_END - 10n)
  await assert.rejects(state.leaseKeys(1, 1n), { code: 'unavailable' })
  assert.equal(await state.allocateVolumeId(2 ** 30 - 2), 2 ** 30 - 1)
  await assert.rejects(state.allocateVolumeId(0), /no volume ids are left/)
})

test('a damaged or later file is refused, never replaced', () => {
  const damages: [name: string, change: (text: string) => string, code: string][] = [
    ['empty', () => '', 'corrupt'],
    ['cut', (text) => text.slice(0, -1), 'corrupt'],
    ['another number', (text) => text.replace('"nextKey":"1"', '"nextKey":"0"'), 'corrupt'],
    ['a later format', (text) => text.replace('cairn-master-state 1', 'cairn-master-state 2'), 'unsupported'],
    ['something else', () => 'hello\n', 'corrupt'],
  ]
  for (const [name, change, code] of damages) {
    const disk = newDisk()
    openState(disk)
    disk.corrupt('/state/master.state', (bytes) => Buffer.from(change(bytes.toString())))
    const before = disk.contents('/state/master.state')
    assert.throws(() => openState(disk), { code }, name)
    assert.deepEqual(disk.contents('/state/master.state'), before)
  }
})

test('every bit of the file counts', () => {
  const disk = newDisk()
  openState(disk)
  const good = disk.contents('/state/master.state')
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bytes = Buffer.from(good)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    disk.putFile('/state/master.state', bytes)
    assert.throws(() => openState(disk), `bit ${bit}`)
  }
})

/** Takes keys and volume ids until the disk fails for good; gives what callers were told. */
async function work(disk: SimDisk): Promise<{ keys: bigint[]; volumes: number[] }> {
  const told = { keys: [] as bigint[], volumes: [] as number[] }
  try {
    const state = openState(disk)
    const keys = new KeySequence(state, 3)
    for (let i = 0; i < 8; i++) {
      await attempt(async () => void told.keys.push(await keys.take(1)))
      await attempt(async () => void told.volumes.push(await state.allocateVolumeId(0)))
    }
  } catch {
    // Not even opened.
  }
  return told
}

async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch {
    // The disk failed this call; the next may work.
  }
}

test('power loss at every call: no key and no volume id twice', async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed)
    const images: { disk: SimDisk; told: { keys: bigint[]; volumes: number[] } }[] = []
    const disk = newDisk()
    const told = { keys: [] as bigint[], volumes: [] as number[] }
    disk.beforeCall = () => {
      images.push({ disk: disk.crash(random), told: { keys: [...told.keys], volumes: [...told.volumes] } })
    }
    const state = openState(disk)
    const keys = new KeySequence(state, 3)
    for (let i = 0; i < 6; i++) {
      told.keys.push(await keys.take(1))
      told.volumes.push(await state.allocateVolumeId(0))
    }
    disk.beforeCall = undefined
    images.push({ disk: disk.crash(random), told })
    for (const image of images) {
      const after = openState(image.disk, random)
      const nextKey = await new KeySequence(after, 3).take(1)
      const nextVolume = await after.allocateVolumeId(0)
      for (const key of image.told.keys) assert.ok(nextKey > key, `seed ${seed}: key ${key} again`)
      for (const id of image.told.volumes) assert.ok(nextVolume > id, `seed ${seed}: volume ${id} again`)
    }
  }
})

test('the Nth call failing, for every N: no key and no volume id twice, in this life or the next', async () => {
  for (const code of ['EIO', 'ENOSPC', 'short'] as const) {
    for (let nth = 1; nth <= 40; nth++) {
      for (const forever of [false, true]) {
        const disk = newDisk()
        disk.failCall(nth, code, { forever })
        const told = await work(disk)
        disk.heal()
        const where = `${code} at ${nth}`
        assert.equal(new Set(told.keys).size, told.keys.length, where)
        assert.equal(new Set(told.volumes).size, told.volumes.length, where)
        const after = openState(disk.crash(seededRandom(nth)))
        const nextKey = await new KeySequence(after, 3).take(1)
        const nextVolume = await after.allocateVolumeId(0)
        assert.ok(
          told.keys.every((key) => nextKey > key),
          where,
        )
        assert.ok(
          told.volumes.every((id) => nextVolume > id),
          where,
        )
      }
    }
  }
})
