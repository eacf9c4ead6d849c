/** The real engine on a simulated disk: a keeper and some threads' views in one thread, with a history of what was promised. */
import assert from 'node:assert/strict'
import { StoreError } from '../../src/base/errors.ts'
import type { Volume } from '../../src/disk/volume.ts'
import { checkSeaweedVolume, type SeaweedVolume } from '../compat/seaweed-files.ts'
import type { SimDisk } from '../sim/sim-disk.ts'
import { History, type KeyState } from './history.ts'
import { collect, cookieOf, describe, fidOf, isSame, MIB, needleOf, type ReadNeedle } from './needles.ts'
import { type Engine, type EngineOptions, openEngine } from './sim-engine.ts'

export const DIRECTORY = '/data'
export const VOLUME = 1

/** A key that `verify` writes to see that the volume is writable. Above all keys that tests use. */
const PROBE_KEY = 0x7fff0000

/** What `read` found. Damage is a result of its own: it must never be taken for absence. */
export type Found = ReadNeedle | 'damaged' | undefined

export async function readKey(volume: Volume, key: number): Promise<Found> {
  try {
    const needle = await volume.read(fidOf(key, volume.id))
    return needle === undefined ? undefined : await collect(needle)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt') return 'damaged'
    throw error
  }
}

export function describeFound(found: Found): string {
  return found === 'damaged' ? 'damaged' : describe(found)
}

/** True when the state is what was found. */
export function matches(found: Found, state: KeyState): boolean {
  if (found === 'damaged') return false
  if (found === undefined || state === undefined) return found === state
  return isSame(found, state)
}

/** One volume with a history. Every operation is acknowledged when its sync resolved. */
export class SimStore {
  readonly disk: SimDisk
  readonly history: History
  engine!: Engine

  private constructor(disk: SimDisk, history: History) {
    this.disk = disk
    this.history = history
  }

  static async open(
    disk: SimDisk,
    options: { history?: History; views?: number } & Partial<EngineOptions> = {},
  ): Promise<SimStore> {
    const store = new SimStore(disk, options.history ?? new History())
    store.engine = await openEngine(disk, { directories: [DIRECTORY], views: 1, ...options })
    return store
  }

  /** The volume as one of the threads sees it. */
  volume(view = 0, id = VOLUME): Volume {
    const volume = this.engine.views[view]!.get(id)
    assert.ok(volume, `volume ${id} is there`)
    return volume
  }

  create(id = VOLUME): Promise<void> {
    return this.engine.admin.createVolume({ id, collection: '', replicaPlacement: 0, ttl: 0 })
  }

  /** Writes and syncs. Resolves to the error's code when it fails, to `ok` when it is acknowledged. */
  async write(
    key: number,
    version: number,
    lengthBytes: number,
    options: { view?: number } = {},
  ): Promise<string> {
    const needle = needleOf(key, version, lengthBytes)
    const operation = this.history.begin(key, needle)
    try {
      const volume = this.volume(options.view)
      await volume.write(needle)
      await volume.durable()
      this.history.acknowledge(operation)
      return 'ok'
    } catch (error) {
      this.history.fail(operation)
      return codeOf(error)
    }
  }

  /** Writes small files of [key, version, bytes] by one write, and syncs. Gives a code as `write`. */
  async writeMany(
    files: readonly (readonly [number, number, number])[],
    options: { view?: number } = {},
  ): Promise<string> {
    const needles = files.map(([key, version, lengthBytes]) => needleOf(key, version, lengthBytes))
    const operations = needles.map((needle) => this.history.begin(needle.keyLow, needle))
    try {
      const volume = this.volume(options.view)
      assert.equal(volume.writeMany(needles), needles.length)
      await volume.durable()
      for (const operation of operations) this.history.acknowledge(operation)
      return 'ok'
    } catch (error) {
      for (const operation of operations) this.history.fail(operation)
      return codeOf(error)
    }
  }

  /** Writes and leaves it unacknowledged. */
  async writeUnsynced(key: number, version: number, lengthBytes: number): Promise<void> {
    const needle = needleOf(key, version, lengthBytes)
    const operation = this.history.begin(key, needle)
    await this.volume().write(needle)
    this.history.fail(operation)
  }

  async remove(key: number, options: { view?: number } = {}): Promise<string> {
    const operation = this.history.begin(key, undefined)
    try {
      const volume = this.volume(options.view)
      const removed = volume.remove(fidOf(key))
      await volume.durable()
      this.history.acknowledge(operation)
      return removed === undefined ? 'nothing' : 'ok'
    } catch (error) {
      this.history.fail(operation)
      return codeOf(error)
    }
  }

  async compact(): Promise<string> {
    try {
      const { compacted } = await this.engine.admin.compactVolume(VOLUME, 0)
      return compacted ? 'ok' : 'nothing'
    } catch (error) {
      return codeOf(error)
    }
  }

  async checkpoint(): Promise<string> {
    try {
      await this.engine.checkpoint()
      return 'ok'
    } catch (error) {
      return codeOf(error)
    }
  }

  /** Reads every key of the history through every view, and compares. */
  async checkReads(what: string): Promise<void> {
    for (const view of this.engine.views) {
      const volume = view.get(VOLUME)
      assert.ok(volume, `${what}: the volume is there`)
      for (const key of this.history.keys) {
        const found = await readKey(volume, key)
        assertAllowed(this.history, key, found, what)
      }
    }
  }

  /** Of operations that ran at the same time either may have won: what is there now is what must stay. */
  async settle(what: string): Promise<void> {
    for (const key of this.history.keys) {
      const found = await readKey(this.volume(), key)
      assertAllowed(this.history, key, found, what)
      const state = this.history.allowed(key).find((each) => matches(found, each))
      this.history.settle(key, state)
    }
  }

  async stop(): Promise<void> {
    await this.engine.stop()
    // What readers still held when a compaction ended is closed a little later.
    this.engine.clock.advance(1000)
    assert.deepEqual(this.disk.misuses, [])
    assert.deepEqual(this.disk.openHandles, [], 'all files are closed')
  }
}

/** Known failures only; a bug's own error passes on. */
export function codeOf(error: unknown): string {
  if (error instanceof StoreError && error.code !== 'internal') return error.code
  throw error
}

export function assertAllowed(history: History, key: number, found: Found, what: string): void {
  const allowed = history.allowed(key)
  if (allowed.some((state) => matches(found, state))) return
  const expected = allowed.map((state) => describe(state)).join(' or ')
  assert.fail(`${what}: key ${key} is ${describeFound(found)}, expected ${expected}`)
}

export interface VerifyOptions {
  /** Volume creation was not acknowledged: it may be missing. */
  mayBeMissing?: boolean
  /** A failure before it may have left the volume read-only. */
  mayBeReadOnly?: boolean
  /** Keys whose records the test damaged: reads may say so. They are then written anew, with other keys. */
  damaged?: number[]
  /** Opens the files once more at the end. Default true. */
  restart?: boolean
}

/**
 * Opens what a crash left, and checks all that was promised: every key in an allowed state, the volume writable, the files
 * to SeaweedFS's taste, and the same again after one more restart.
 */
export async function verifyDisk(
  disk: SimDisk,
  history: History,
  what: string,
  options: VerifyOptions = {},
): Promise<void> {
  const store = await SimStore.open(disk, { history: history.snapshot() })
  const volume = store.engine.views[0]!.get(VOLUME)
  if (volume === undefined) {
    assert.ok(options.mayBeMissing, `${what}: the volume is gone`)
    await store.stop()
    return
  }
  for (const key of history.keys) {
    const found = await readKey(volume, key)
    if (found === 'damaged' && options.damaged?.includes(key)) return finishDamaged(store, what)
    assertAllowed(store.history, key, found, what)
    store.history.settle(
      key,
      store.history.allowed(key).find((state) => matches(found, state)),
    )
  }
  const info = (await store.engine.admin.status()).volumes.find((volume) => volume.id === VOLUME)
  const fillerFid = { volumeId: VOLUME, keyHigh: 0, keyLow: 0, cookie: 0 }
  assert.equal(await volume.read(fillerFid), undefined, `${what}: the bytes under a filler are nobody's`)
  if (!(options.mayBeReadOnly && info?.readOnly)) await checkWritable(store, what)
  await checkStatus(store, what)
  await store.stop()
  checkFiles(disk, store.history, what)
  if (options.restart === false) return
  const again = await SimStore.open(disk, { history: store.history })
  await again.checkReads(`${what}, restarted once more`)
  await again.stop()
}

/** A volume with a damaged record goes on; what SeaweedFS would say of the record is not asked. */
async function finishDamaged(store: SimStore, what: string): Promise<void> {
  assert.equal(await store.write(PROBE_KEY, 1, 5000), 'ok', `${what}: a write beside a damaged record`)
  assert.equal(await store.remove(PROBE_KEY), 'ok', `${what}: a delete beside a damaged record`)
  await store.stop()
}

async function checkWritable(store: SimStore, what: string): Promise<void> {
  assert.equal(await store.write(PROBE_KEY, 1, 5000), 'ok', `${what}: a write`)
  assert.equal(await store.write(PROBE_KEY + 1, 1, MIB + 5000), 'ok', `${what}: a large write`)
  assert.equal(await store.remove(PROBE_KEY), 'ok', `${what}: a delete`)
  await store.checkReads(`${what}, after more writes`)
}

/** The counters say what is there. */
async function checkStatus(store: SimStore, what: string): Promise<void> {
  const info = (await store.engine.admin.status()).volumes.find((volume) => volume.id === VOLUME)
  assert.ok(info, `${what}: status knows the volume`)
  const live = store.history.keys.filter((key) => store.history.allowed(key)[0] !== undefined).length
  assert.equal(info.fileCount - info.deleteCount, live, `${what}: files by status`)
  assert.equal(
    info.sizeBytes,
    store.disk.contents(`${DIRECTORY}/${VOLUME}.dat`).length,
    `${what}: size by status`,
  )
}

/** SeaweedFS's tools and server would find the same files in what is on the disk. */
export function checkFiles(disk: SimDisk, history: History, what: string): SeaweedVolume {
  const dat = disk.contents(`${DIRECTORY}/${VOLUME}.dat`)
  const idx = disk.contents(`${DIRECTORY}/${VOLUME}.idx`)
  const seaweed = checkSeaweedVolume(dat, idx, what)
  const live = new Map([...seaweed.liveByIndex].filter(([key]) => key !== 0n))
  for (const key of history.keys) {
    const [state] = history.allowed(key)
    const record = live.get(BigInt(key))
    live.delete(BigInt(key))
    assert.equal(record === undefined, state === undefined, `${what}: key ${key} by .idx, for SeaweedFS`)
    if (record === undefined || state === undefined) continue
    assert.ok(
      record.data.equals(state.data) && record.cookie === cookieOf(key),
      `${what}: key ${key} for SeaweedFS`,
    )
    const scanned = seaweed.liveByScan.get(BigInt(key))
    if (state.data.length > 0)
      assert.equal(scanned?.offset, record.offset, `${what}: key ${key} by a scan, for SeaweedFS`)
  }
  assert.deepEqual([...live.keys()], [], `${what}: keys that nobody wrote, for SeaweedFS`)
  return seaweed
}
