/**
 * Power loss at any point of a workload: what was acknowledged is there, what was not is wholly there or absent, deletes
 * stay deleted, the volume is writable, and SeaweedFS would take the files. A second power loss, while recovering, as well.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../src/base/random.ts'
import { type Call, CHANGING_CALLS, SimDisk } from '../sim/sim-disk.ts'
import type { History } from './history.ts'
import { KIB, MIB } from './needles.ts'
import { DIRECTORY, SimStore, verifyDisk } from './sim-store.ts'

/** About as many calls as a recovery makes. */
const RECOVERY_CALLS = 40

export interface PowerLossOptions {
  /** Operations, or groups of them. */
  steps: number
  /** One crash image for so many calls. */
  every: number
}

interface Image {
  disk: SimDisk
  history: History
  created: boolean
  what: string
}

/** Takes crash images before changing calls of the disk while the workload runs: one of `every`. */
async function imagesOf(random: Random, options: PowerLossOptions): Promise<Image[]> {
  const disk = new SimDisk(random.u32())
  disk.putDirectory(DIRECTORY)
  const images: Image[] = []
  const store = await SimStore.open(disk, { views: 2 })
  let created = false
  let seen = 0
  const take = (call: Call | undefined) => {
    const before =
      call === undefined
        ? 'the end'
        : `${call.kind} ${call.path} ${call.length}@${call.position} (call ${call.number})`
    // A killed process leaves more than a power loss does; its restart is where that is lost.
    images.push({
      disk: random.below(4) === 0 ? disk.kill() : disk.crash(random),
      history: store.history.snapshot(),
      created,
      what: `power loss before ${before}`,
    })
  }
  disk.beforeCall = (call) => {
    if (CHANGING_CALLS.includes(call.kind) && seen++ % options.every === 0) take(call)
  }
  await store.create()
  created = true
  await runWorkload(store, random, options.steps)
  take(undefined)
  disk.beforeCall = undefined
  return images
}

const SIZES = [0, 1, 100, 4 * KIB, 4 * KIB, 30 * KIB, 70 * KIB, MIB + 100 * KIB]

/** Writes, overwrites and deletes, some of them at the same time, with checkpoints and compactions between them. */
async function runWorkload(store: SimStore, random: Random, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) {
    const view = random.below(2)
    const key = 1 + random.below(12)
    const size = SIZES[random.below(SIZES.length)]!
    const choice = random.below(20)
    if (choice < 9) await store.write(key, step, size, { view })
    else if (choice < 12) await store.remove(key, { view })
    else if (choice < 16) await together(store, random, step)
    else if (choice < 18) await store.checkpoint()
    else await Promise.all([store.compact(), store.write(key, step, size, { view })])
  }
}

/** Several writers in both threads, a large one among them. */
async function together(store: SimStore, random: Random, step: number): Promise<void> {
  const { disk } = store
  const running: Promise<unknown>[] = []
  disk.hold()
  for (let i = 0; i < 4; i++) {
    const size = i === 0 ? MIB + random.below(200 * KIB) : random.below(8 * KIB)
    const options = { view: random.below(2) }
    running.push(store.write(20 + random.below(6), step * 10 + i, size, options))
    if (random.below(3) === 0) running.push(store.remove(20 + random.below(6), options))
    if (random.below(3) === 0) running.push(store.writeUnsynced(30 + random.below(3), step * 10 + i, 900))
  }
  const beside = random.below(4)
  if (beside === 0) running.push(store.checkpoint())
  if (beside === 1) running.push(store.compact())
  let left = true
  const done = Promise.all(running).then(() => (left = false))
  while (left) {
    await new Promise(setImmediate)
    if (disk.held.length > 0) disk.release(random.below(disk.held.length))
  }
  await done
  disk.unhold()
}

/** Checks an image, or, half the time, what a second loss before a random call of its recovery leaves of it. */
async function verifyImage(image: Image, random: Random): Promise<void> {
  const options = { mayBeMissing: !image.created, restart: random.below(4) === 0 }
  if (random.below(2) === 0) return verifyDisk(image.disk, image.history, image.what, options)
  const at = 1 + random.below(RECOVERY_CALLS)
  let again: SimDisk | undefined
  image.disk.beforeCall = (call) => {
    if (call.number === at) again = image.disk.crash(random)
  }
  await SimStore.open(image.disk)
  again ??= image.disk.crash(random)
  await verifyDisk(again, image.history, `${image.what}, again before call ${at} of recovery`, options)
}

/** Runs a workload and checks what a power loss would leave at each of its points. Returns how many were checked. */
export async function checkPowerLoss(random: Random, options: PowerLossOptions): Promise<number> {
  const images = await imagesOf(random, options)
  assert.ok(images.length > options.steps)
  for (const image of images) await verifyImage(image, random)
  return images.length
}
