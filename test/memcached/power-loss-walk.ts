/**
 * The power goes, or the process is killed, or both, at random calls to the disk while values of a hashed store are set, changed and
 * removed: what was answered is there afterwards, and what was removed does not come back; also when the power goes again.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../src/base/random.ts'
import { KeyedBlobs } from '../../src/blobs/keyed-blobs.ts'
import { HashedStore } from '../../src/objects/hashed-store.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { DIRECTORY, SimStore } from '../support/sim-store.ts'
import { named, setMany } from './hashed-store-kit.ts'

const NAMES = Array.from({ length: 14 }, (_, at) => `name ${at}`)

export interface WalkOptions {
  /** Each of a few changes at a time. */
  rounds: number
  /** One in so many calls to the disk is followed by a look at what a loss would leave. */
  callsBetween: number
}

async function openSim(disk: SimDisk) {
  const sim = await SimStore.open(disk)
  if (sim.engine.views[0]!.get(1) === undefined) await sim.create()
  const volumes = sim.engine.views[0]!
  const assign = async () => ({ volumeId: 1, keyHigh: 0, keyLow: 1, count: 1, url: '' })
  const blobs = new KeyedBlobs({ volumes, sync: 'batch', collection: '', assign })
  // Some names have one hash.
  const hash = (name: Buffer) => ({ keyHigh: 7, keyLow: 1 + (Number(name.toString().slice(5)) % 12) })
  const store = await HashedStore.open({ blobs, clock: sim.engine.clock, cacheBytesMax: 1_000_000, hash })
  return { sim, store }
}

type Value = string | undefined

/** What a name may have: the last answered, or what was asked for behind it. */
interface Expected {
  answered: Value
  asked: Value[]
}

async function textAt(store: HashedStore, name: string): Promise<Value> {
  return (await store.get(Buffer.from(name)))?.value.toString()
}

async function checkImage(image: SimDisk, expected: Map<string, Expected>, random: Random): Promise<void> {
  const { sim, store } = await openSim(image)
  const found = new Map<string, Value>()
  for (const [name, { answered, asked }] of expected) {
    const value = await textAt(store, name)
    const allowed = [answered, ...asked]
    assert.ok(
      allowed.includes(value),
      `${name} is ${value?.slice(0, 20)}, not ${allowed.map((each) => each?.slice(0, 20)).join(' or ')}`,
    )
    found.set(name, value)
  }
  // The power goes again, right behind the start.
  const again = await openSim(image.crash(random))
  for (const [name, value] of found) assert.equal(await textAt(again.store, name), value, `${name}, again`)
  await again.sim.stop()
  await sim.stop()
}

/** Gives how many losses were looked at. Throws where something answered is lost. */
export async function walkWithLosses(random: Random, { rounds, callsBetween }: WalkOptions): Promise<number> {
  const disk = new SimDisk(random.u32())
  disk.putDirectory(DIRECTORY)
  const { sim, store } = await openSim(disk)
  const expected = new Map<string, Expected>(NAMES.map((name) => [name, { answered: undefined, asked: [] }]))
  const images: Promise<void>[] = []
  const look = () => {
    const copy = new Map([...expected].map(([name, each]) => [name, { ...each, asked: [...each.asked] }]))
    const lost = random.below(3) === 0 ? disk.kill() : disk
    const image = random.below(4) === 0 ? disk.kill() : lost.crash(random)
    const check = checkImage(image, copy, random)
    // It is waited for between two rounds.
    check.catch(() => {})
    images.push(check)
  }
  let isLooking = false
  disk.beforeCall = () => {
    if (isLooking || random.below(callsBetween) > 0) return
    isLooking = true
    look()
    isLooking = false
  }
  let number = 0
  const change = async (name: string): Promise<void> => {
    const state = expected.get(name)!
    const text = `${++number} `.repeat(1 + random.below(random.below(8) === 0 ? 3_000 : 100))
    const kind = random.below(10)
    const wanted = kind === 0 ? undefined : kind === 1 ? `${state.answered ?? ''}${text}` : text
    state.asked.push(wanted)
    if (kind === 0) await store.update(Buffer.from(name), () => 'remove')
    else if (kind <= 2)
      await store.update(Buffer.from(name), () => ({ flags: 0, expiresMs: 0, value: Buffer.from(wanted!) }))
    else assert.equal(await setMany(store, [named(name, wanted!)]), undefined)
    state.answered = wanted
    state.asked.shift()
  }
  for (let round = 0; round < rounds; round++) {
    // Of each name one change at a time: the order of two is the store's own.
    const names = new Set(
      Array.from({ length: 1 + random.below(8) }, () => NAMES[random.below(NAMES.length)]!),
    )
    let isDone = false
    const all = Promise.all([...names].map(change)).finally(() => {
      isDone = true
    })
    while (!isDone) {
      sim.engine.clock.advance(1)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await all
    if (random.below(15) === 0) await sim.compact()
    if (random.below(15) === 0) await store.sweep()
    await Promise.all(images)
  }
  look()
  await Promise.all(images)
  disk.beforeCall = undefined
  await sim.stop()
  return images.length
}
