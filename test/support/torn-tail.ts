/** A volume whose last record is torn in many ways, and what must hold then. */
import assert from 'node:assert/strict'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import type { History } from './history.ts'
import { KIB } from './needles.ts'
import { randomOf } from './seeds.ts'
import { DIRECTORY, readKey, SimStore, VOLUME, verifyDisk } from './sim-store.ts'

export const DAT = `${DIRECTORY}/${VOLUME}.dat`
const LAST_KEY = 9
/** Of so many cuts, one gets the whole check; the others are opened and read. */
const WHOLE_CHECK_EVERY = 97

export interface TornBase {
  disk: SimDisk
  history: History
  start: number
  end: number
  /** The last record is covered by a checkpoint. */
  stopped: boolean
}

/** A volume whose last record, of that data length, is behind the last checkpoint, or not when it was stopped. */
export async function prepareTorn(lengthBytes: number, stopped: boolean): Promise<TornBase> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 4; key++) await store.write(key, 1, key * 900)
  await store.checkpoint()
  await store.write(2, 2, 333)
  await store.remove(3)
  const start = disk.contents(DAT).length
  await store.write(LAST_KEY, 1, lengthBytes)
  const end = disk.contents(DAT).length
  if (stopped) await store.stop()
  return { disk: disk.copy(), history: store.history, start, end, stopped }
}

/** As `prepareTorn`, but the last write brought a new file, an older one's next version, the new one's, and a small one. */
export async function prepareTornMany(): Promise<TornBase & { ends: number[] }> {
  const base = await prepareTorn(100, false)
  const store = await SimStore.open(base.disk, { history: base.history })
  const start = base.disk.contents(DAT).length
  await store.writeMany([
    [20, 1, 300],
    [2, 3, 70],
    [20, 2, 500],
    [21, 1, 1],
  ])
  const { records } = readSeaweedVolume(base.disk.contents(DAT), undefined)
  const ends = records.filter(({ offset }) => offset >= start).map((each) => each.offset + each.lengthBytes)
  return { disk: base.disk.copy(), history: store.history, start, end: ends.at(-1)!, ends, stopped: false }
}

type Tear = (dat: Buffer, at: number) => Buffer

export const TEARS: Record<string, Tear> = {
  'cut off': (dat, at) => dat.subarray(0, at),
  zeros: (dat, at) => Buffer.concat([dat.subarray(0, at), Buffer.alloc(dat.length - at)]),
  garbage: (dat, at) =>
    Buffer.concat([dat.subarray(0, at), randomOf(at).bytes(Math.min(100, dat.length - at))]),
}

export async function checkTear(base: TornBase, tear: Tear, at: number, what: string): Promise<void> {
  const disk = base.disk.copy()
  const torn = tear(disk.contents(DAT), at)
  disk.corrupt(DAT, () => torn)
  const history = base.history.snapshot()
  // What is torn was acknowledged, but this is damage, not a crash: it may be gone.
  if (!torn.equals(base.disk.contents(DAT))) history.begin(LAST_KEY, undefined)
  // What was synced is gone: no crash does that.
  const isShort = base.stopped && torn.length < base.end
  if (!isShort && at % WHOLE_CHECK_EVERY === 0)
    return verifyDisk(disk, history, what, { damaged: [LAST_KEY] })
  const store = await SimStore.open(disk, { history })
  for (const key of [1, 2, 3, 4]) {
    const found = await readKey(store.volume(), key)
    assert.ok(found !== 'damaged', `${what}: key ${key}`)
    const [state] = history.allowed(key)
    assert.equal(found?.data.length, state?.data.length, `${what}: key ${key}`)
  }
  const last = await readKey(store.volume(), LAST_KEY)
  if (last !== 'damaged' && last !== undefined)
    assert.equal(torn.length >= base.end - 8, true, `${what}: served though torn`)
  if (isShort) assert.equal(last, 'damaged', `${what}: not taken for absent`)
  const outcome = await store.write(LAST_KEY + 1, 2, 50)
  assert.equal(outcome, isShort ? 'read_only' : 'ok', `${what}: a write`)
  assert.ok(disk.contents(DAT).length <= base.end + 200)
  await store.stop()
}

export function offsetsOf(base: TornBase, stride: number): number[] {
  const { start, end } = base
  const offsets = new Set<number>()
  for (let at = start; at <= end; at += stride) offsets.add(at)
  if (stride > 1) {
    for (let at = start; at < start + 40; at++) offsets.add(at)
    for (let at = end - 120; at <= end; at++) offsets.add(at)
    for (let block = start + 20; block < end; block += 64 * KIB)
      for (let at = block - 2; at <= block + 2; at++) offsets.add(at)
  }
  return [...offsets].filter((at) => at >= start && at <= end).sort((a, b) => a - b)
}
