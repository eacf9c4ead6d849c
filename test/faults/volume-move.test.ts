/**
 * A volume moves between two disks, and power fails before any call of it, at one server, the other, or both: there is
 * always a whole copy, never two that take writes, and the move done again ends as if nothing had been.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Random } from '../../src/base/random.ts'
import { type HeldVolume, isSameCopy, type VolumeCopies } from '../../src/disk/volume-copies.ts'
import type { VolumeSet } from '../../src/disk/volume-set.ts'
import { WORD } from '../../src/disk/volume-table.ts'
import { CHANGING_CALLS, SimDisk } from '../sim/sim-disk.ts'
import { dataOf, fidOf, KIB, MIB, needleOf } from '../support/needles.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { type Engine, openEngine } from '../support/sim-engine.ts'

const DIRECTORY = '/data'
const VOLUME = 1
const PIECE_BYTES = 256 * KIB
const sizes = new Map<number, number>()
for (let key = 1; key <= 24; key++) sizes.set(key, key === 7 ? MIB + 5000 : key * 700)

function newDisk(random: Random): SimDisk {
  const disk = new SimDisk(random.u32())
  disk.putDirectory(DIRECTORY)
  return disk
}

function open(disk: SimDisk): Promise<Engine> {
  return openEngine(disk, { directories: [DIRECTORY], views: 1 })
}

async function fill(disk: SimDisk): Promise<Engine> {
  const engine = await open(disk)
  await engine.admin.createVolume({ id: VOLUME, collection: '', replicaPlacement: 0, ttl: 0 })
  const volume = engine.views[0]!.get(VOLUME)!
  for (const [key, size] of sizes) await volume.write(needleOf(key, 1, size))
  for (let key = 100; key < 110; key++) {
    await volume.write(needleOf(key, 1, 3000))
    volume.remove(fidOf(key))
  }
  await volume.durable()
  return engine
}

async function copy(from: VolumeCopies, to: VolumeCopies, held: HeldVolume): Promise<void> {
  to.stage(held)
  for (const { file, sizeBytes } of held.files) {
    for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
      const lengthBytes = Math.min(PIECE_BYTES, sizeBytes - offset)
      const { compactionRevision } = held
      const piece = await from.read({ id: VOLUME, file, compactionRevision, offset, lengthBytes })
      await to.write(VOLUME, { file, offset, ...piece })
    }
  }
  const { records, recordsDamaged } = await to.verify(VOLUME)
  assert.ok(records >= sizes.size + 20)
  assert.equal(recordsDamaged, 0)
}

/** The steps of the master, as it does them, also when some are done already. */
async function move(from: Engine, to: Engine): Promise<void> {
  const [source, target] = [from.admin.copies, to.admin.copies]
  const has = async ({ admin }: Engine) => (await admin.status()).volumes.some(({ id }) => id === VOLUME)
  if (await has(from)) {
    const held = await source.hold(VOLUME)
    if (await has(to)) assert.ok(isSameCopy(target.describe(VOLUME), held))
    else {
      await copy(source, target, held)
      assert.ok(isSameCopy(source.describe(VOLUME), held))
      assert.ok(isSameCopy(await target.adopt(VOLUME), held))
    }
    await source.handOver(held)
  }
  target.release(VOLUME)
}

async function readsAll(view: VolumeSet): Promise<boolean> {
  const volume = view.get(VOLUME)
  if (volume === undefined) return false
  for (const [key, size] of sizes) {
    const needle = await volume.read(fidOf(key))
    assert.ok(needle !== undefined, `key ${key} is missing`)
    const wanted = dataOf(key * 7919 + 1, size)
    if (needle.data !== undefined) assert.ok(needle.data.equals(wanted))
    else {
      const pieces: Buffer[] = []
      for await (const piece of needle.large!.read(0, size)) pieces.push(piece)
      needle.large!.close()
      assert.ok(Buffer.concat(pieces).equals(wanted))
    }
  }
  for (let key = 100; key < 110; key++) assert.equal(await volume.read(fidOf(key)), undefined)
  return true
}

async function takesWrites(view: VolumeSet): Promise<boolean> {
  try {
    await view.get(VOLUME)?.write(needleOf(999, 1, 10))
    view.get(VOLUME)?.remove(fidOf(999))
    return view.get(VOLUME) !== undefined
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'read_only')
    return false
  }
}

interface Image {
  from: SimDisk
  to: SimDisk
  what: string
}

async function imagesOf(random: Random, every: number): Promise<Image[]> {
  const [from, to] = [newDisk(random), newDisk(random)]
  const [source, target] = [await fill(from), await open(to)]
  const images: Image[] = []
  const lose = (disk: SimDisk) => (random.below(3) === 0 ? disk.kill() : disk.crash(random))
  const take = (what: string) => {
    const which = random.below(3)
    images.push({
      from: which === 1 ? from.copy() : lose(from),
      to: which === 2 ? to.copy() : lose(to),
      what: `${['both lose power', 'the target loses power', 'the source loses power'][which]} ${what}`,
    })
  }
  for (const [disk, name] of [
    [from, 'source'],
    [to, 'target'],
  ] as const) {
    disk.beforeCall = ({ kind, path }) => {
      if (CHANGING_CALLS.includes(kind) && random.below(every) === 0)
        take(`before ${kind} ${path} at the ${name}`)
    }
  }
  await move(source, target)
  take('after the move')
  for (const disk of [from, to]) assert.deepEqual(disk.misuses, [])
  return images
}

async function verify({ from, to, what }: Image): Promise<void> {
  try {
    const [source, target] = [await open(from), await open(to)]
    const views = [source.views[0]!, target.views[0]!] as const
    const whole = [await readsAll(views[0]), await readsAll(views[1])]
    assert.ok(whole.includes(true), 'a whole copy is somewhere')
    const writable = [await takesWrites(views[0]), await takesWrites(views[1])]
    assert.notDeepEqual(writable, [true, true])
    const staged = from.list(DIRECTORY).concat(to.list(DIRECTORY))
    assert.deepEqual(
      staged.filter((name) => name.endsWith('.arriving')),
      [],
    )
    await moveAgain(source, target, what)
    assert.deepEqual([await readsAll(views[0]), await readsAll(views[1])], [false, true])
    assert.deepEqual([await takesWrites(views[0]), await takesWrites(views[1])], [false, true])
    await source.stop()
    await target.stop()
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error })
  }
}

async function moveAgain(source: Engine, target: Engine, what: string): Promise<void> {
  try {
    await move(source, target)
  } catch (error) {
    throw new Error(`${what}, when it was done again: ${(error as Error).message}`, { cause: error })
  }
}

test('power loss before any call of a move', async () => {
  for (const seed of seedsToRun(2)) {
    await withSeed(seed, async (random) => {
      const images = await imagesOf(random, 2)
      assert.ok(images.length > 15, String(images.length))
      for (const image of images) await verify(image)
    })
  }
})

test('bytes that change on their way are refused, and so are files that are not whole', async () => {
  await withSeed(1, async (random) => {
    const [source, target] = [await fill(newDisk(random)), await open(newDisk(random))]
    const held = await source.admin.copies.hold(VOLUME)
    const { copies } = target.admin
    copies.stage(held)
    const { compactionRevision } = held
    const wanted = { id: VOLUME, file: 'dat', compactionRevision, offset: 0, lengthBytes: 1000 } as const
    const piece = await source.admin.copies.read(wanted)
    const changed = Buffer.from(piece.bytes)
    changed[500]! ^= 1
    const place = { file: 'dat', offset: 0, checksum: piece.checksum } as const
    await assert.rejects(copies.write(VOLUME, { ...place, bytes: changed }), { code: 'corrupt' })
    await copies.write(VOLUME, { ...place, bytes: piece.bytes })
    await assert.rejects(copies.verify(VOLUME), { code: 'corrupt' })
    await assert.rejects(copies.adopt(VOLUME), { code: 'conflict' })
    copies.drop(VOLUME)
    await assert.rejects(copies.adopt(VOLUME), { code: 'not_found' })
    const other = { ...held, appendNsLow: held.appendNsLow ^ 1 }
    await assert.rejects(source.admin.copies.handOver(other), { code: 'conflict' })
    await assert.rejects(source.admin.compactVolume(VOLUME, 0), { code: 'conflict' })
    source.admin.copies.release(VOLUME)
    assert.equal(await takesWrites(source.views[0]!), true)
    await assert.rejects(source.admin.copies.read(wanted), { code: 'conflict' })
  })
})

test('a file that is not there any more keeps no other one open', async () => {
  await withSeed(1, async (random) => {
    const disk = newDisk(random)
    const { admin, views } = await fill(disk)
    const { compactionRevision } = await admin.copies.hold(VOLUME)
    const { slot } = views[0]!.get(VOLUME)!
    disk.dropFile(`${DIRECTORY}/${VOLUME}.sums`)
    const piece = { id: VOLUME, file: 'sums', compactionRevision, offset: 0, lengthBytes: 0 } as const
    await assert.rejects(admin.copies.read(piece), { code: 'io_error' })
    assert.equal(slot.get(WORD.pins0) + slot.get(WORD.pins1), 0)
  })
})

test('a hold waits for the compaction that is under way', async () => {
  await withSeed(1, async (random) => {
    const { admin, stop, views } = await fill(newDisk(random))
    const compaction = admin.compactVolume(VOLUME, 0)
    const held = await admin.copies.hold(VOLUME)
    assert.equal((await compaction).compacted, true)
    assert.equal(held.compactionRevision, 1)
    assert.equal(await readsAll(views[0]!), true)
    await stop()
  })
})
