/**
 * Values by name without SQL: a value lies under a key of 64 bits that is the hash of its name, with the whole name beside it.
 * Two names with one hash share a blob. Changes of one name come one after the other, so that a change may depend on what is
 * there: only one of these may write to a collection. `docs/formats/hashed-store.md` has the bytes.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { HASHED_NAME_BYTES_MAX } from '../base/limits.ts'
import type { BlobKey, KeyedBlobs } from '../blobs/keyed-blobs.ts'
import { type BatchEntry, HashedBatch, type Place, SetRun, type SetsDone } from './hashed-batch.ts'
import { HashedCache, type KeptItem, type KeptPlace } from './hashed-cache.ts'
import {
  clearedVersion,
  decodeClearing,
  encodeClearing,
  isCurrent,
  NOTHING_CLEARED,
} from './hashed-clearing.ts'
import { type Found, foundIn, hashOfName, isDamage, mayStay, ownedCopy } from './hashed-found.ts'
import { decodeHashedItems, encodeHashedItems, HASHED_TOUCHES_MAX, type HashedItem } from './hashed-record.ts'
import { SyncGathering } from './sync-gathering.ts'

/** What a name shall have. */
export interface HashedValue {
  /** Only the expiry is another than before: the version stays, where that can be. */
  isTouch?: boolean
  /** The caller's, 32 bits. */
  flags: number
  /** Milliseconds since 1970 from which on it is gone; 0: never. */
  expiresMs: number
  value: Buffer
}

/** What a name shall have, whatever it has. */
export interface NamedValue extends HashedValue {
  name: Buffer
}

/** Gets what a name has, undefined for nothing, and says what it shall have: `remove` for nothing, undefined for no change. */
export type HashedChange = (present: HashedItem | undefined) => HashedValue | 'remove' | undefined

/** A change, and what takes its place where that which is there is damaged; without it, such a change fails. */
interface Asked {
  change: HashedChange
  ifDamaged?: (() => HashedValue | 'remove') | undefined
}

export interface HashedStoreOptions {
  blobs: KeyedBlobs
  clock: Clock
  /** Of a name; by default the first 64 bits of its SHA-256. */
  hash?: (name: Buffer) => BlobKey
  /** Values that are kept in memory as well. */
  cacheBytesMax: number
}

/** Under the name that nobody can have. */
const CLEARING_NAME = Buffer.alloc(0)

export class HashedStore {
  readonly #blobs: KeyedBlobs
  readonly #clock: Clock
  readonly #hash: (name: Buffer) => BlobKey
  /** The last change that is under way of keys with this lower half: others than one's own are waited for as well. */
  readonly #changes = new Map<number, Promise<unknown>>()
  readonly #cache: HashedCache
  /** What was set and is not written yet: more of it comes until the next sync begins. */
  readonly #batch = new HashedBatch()
  /** What was written of it, to one volume, and is to be covered by that sync as well. */
  #unsynced: Pick<BatchEntry, 'run' | 'at'>[] = []
  #unsyncedIn = 0
  readonly #gathering: SyncGathering
  #lastVersion = 0
  /** That which counts, which may be on its way to the disk, and the last one that is there. */
  #clearing = NOTHING_CLEARED
  #cleared = NOTHING_CLEARED

  private constructor({ blobs, clock, hash: hashWith = hashOfName, cacheBytesMax }: HashedStoreOptions) {
    this.#cache = new HashedCache(cacheBytesMax)
    this.#blobs = blobs
    this.#clock = clock
    this.#hash = hashWith
    this.#gathering = new SyncGathering(clock, () => this.#beginSync())
  }

  /** Throws `corrupt`, `io_error`. */
  static async open(options: HashedStoreOptions): Promise<HashedStore> {
    const store = new HashedStore(options)
    const { items } = await store.#read(store.#hash(CLEARING_NAME))
    const mark = items.find(({ name }) => name.equals(CLEARING_NAME))?.value
    if (mark === undefined) return store
    store.#cleared = store.#clearing = decodeClearing(mark)
    store.#lastVersion = store.#clearing.version
    return store
  }

  /**
   * Where in memory lies what a name has, if it is there and nobody changes it; undefined says nothing. What it gives is the
   * store's: there until the store is asked for anything else.
   */
  cached(name: Buffer): KeptPlace | undefined {
    const place = this.#cache.find(name)
    if (place === undefined || !this.#blobs.has(place.volumeId)) return undefined
    return this.#isChanging(place) || !this.#isCurrent(place) ? undefined : place
  }

  /**
   * What a name has, after all changes of it that were asked for before. At once where nothing has to be waited for.
   * Throws `corrupt`, `io_error`.
   */
  get(name: Buffer): HashedItem | undefined | Promise<HashedItem | undefined> {
    const key = this.#hash(name)
    this.#writeBatchWith(key)
    const change = this.#changes.size === 0 ? undefined : this.#changes.get(key.keyLow)
    // A turn of its own, so that no change that is asked for later is made before.
    if (change !== undefined) return this.#inTurn(key, async () => await this.#get(key, name))
    return this.#get(key, name)
  }

  #get(key: BlobKey, name: Buffer): HashedItem | undefined | Promise<HashedItem | undefined> {
    const found = this.#read(key)
    if (found instanceof Promise) return found.then(({ items }) => this.#liveItem(items, name))
    const item = this.#liveItem(found.items, name)
    // What was set behind the change that this has waited for, and is not written yet, is in memory already.
    const isAlone = found.items.length === 1 && found.blobs.length === 1 && !this.#isChanging(key)
    if (item !== undefined && isAlone) this.#keep(item, key, found.blobs[0]!.volumeId)
    return item
  }

  #kept(name: Buffer): KeptItem | undefined {
    const kept = this.#cache.get(name)
    return kept === undefined || this.#blobs.has(kept.volumeId) ? kept : undefined
  }

  #keep(item: HashedItem, key: BlobKey, volumeId: number): void {
    this.#cache.put(item, { key, volumeId })
  }

  #isChanging({ keyLow }: Pick<BlobKey, 'keyLow'>): boolean {
    return this.#batch.mayHave(keyLow) || (this.#changes.size > 0 && this.#changes.has(keyLow))
  }

  /**
   * Changes what a name has; resolves when that is as durable as is asked for, with what it has now. `ifDamaged` says what it shall
   * have where that which it has cannot be read: for changes to which that does not matter. Throws `too_large`,
   * `no_writable_volume`, `disk_full`, `corrupt`, `io_error`, `unavailable`, and what `change` throws.
   */
  update(
    name: Buffer,
    change: HashedChange,
    ifDamaged?: Asked['ifDamaged'],
  ): Promise<HashedItem | undefined> {
    assert(name.length > 0, 'a name is not empty')
    if (name.length > HASHED_NAME_BYTES_MAX)
      return Promise.reject(new StoreError('too_large', 'the name is too long'))
    const key = this.#kept(name)?.key ?? this.#hash(name)
    this.#writeBatchWith(key)
    const asked = { change, ifDamaged }
    if (this.#isChanging(key)) return this.#updateLater(key, name, asked)
    const kept = this.#kept(name)
    try {
      const found = kept === undefined ? this.#read(key) : { items: [ownedCopy(kept)], blobs: [kept] }
      // It is read again in its turn, and whoever reads it there gets the error.
      if (found instanceof Promise) found.catch(() => {})
      if (found instanceof Promise || found.blobs.length > 1) return this.#updateLater(key, name, asked)
      return this.#updateNow(key, name, { found, change })
    } catch (error) {
      this.#cache.delete(name)
      if (ifDamaged !== undefined && isDamage(error)) return this.#updateLater(key, name, asked)
      return Promise.reject(error)
    }
  }

  /** Where nobody else is at the key, and all that it has is known: nothing is waited for but the sync. */
  #updateNow(
    key: BlobKey,
    name: Buffer,
    { found, change }: { found: Found; change: HashedChange },
  ): Promise<HashedItem | undefined> {
    const { item, items } = this.#changed(name, found, change)
    const presentIn = found.blobs[0]?.volumeId
    let touched = presentIn
    if (items !== undefined) {
      for (const each of found.items) this.#cache.delete(each.name)
      if (items.length === 0 && presentIn !== undefined) this.#blobs.remove(key, presentIn)
      if (items.length > 0) {
        touched = this.#blobs.writeNow(key, encodeHashedItems(items), presentIn)
        if (touched === undefined) return this.#writeLater(key, items, { found, item })
        if (item !== undefined && items.length === 1) this.#keep(item, key, touched)
      }
    }
    // What was seen may not be on disk yet, and the answer says that it is.
    return touched === undefined ? Promise.resolve(item) : this.#blobs.durable(touched).then(() => item)
  }

  async #writeLater(
    key: BlobKey,
    items: HashedItem[],
    { found, item }: { found: Found; item: HashedItem | undefined },
  ): Promise<HashedItem | undefined> {
    const touched = await this.#inTurn(key, () => this.#writeItems(key, items, found))
    for (const volumeId of touched) await this.#blobs.durable(volumeId)
    return item
  }

  async #updateLater(key: BlobKey, name: Buffer, asked: Asked): Promise<HashedItem | undefined> {
    const { item, touched } = await this.#inTurn(key, () => this.#apply(key, name, asked))
    // Outside of the turn: changes of one name share a sync as well.
    for (const volumeId of touched) await this.#blobs.durable(volumeId)
    return item
  }

  // Setting many

  /**
   * As `update` of each name in turn, with as few writes as possible: what is set until the next sync begins is written together.
   * The values, of which there are some, are only looked at before it returns. Calls `done` when all are as durable as is asked
   * for, but not before it returns: with promises, most of what a set took behind a sync was their work.
   */
  setMany(wanted: readonly NamedValue[], done: SetsDone): void {
    const run = new SetRun(wanted.length, done)
    const nowMs = this.#clock.nowMs()
    let isWaiting = false
    let sizeBytes = 0
    for (let at = 0; at < wanted.length; at++) {
      const each = wanted[at]!
      const place = this.#placeInBatch(each)
      if (place === undefined) {
        this.#writeBatch()
        this.#setAlone(run, at, each)
        continue
      }
      isWaiting = true
      sizeBytes += each.value.length
      const { name, flags, expiresMs, value } = each
      const item = {
        name,
        flags,
        version: this.#nextVersion(place.version, nowMs),
        touches: 0,
        expiresMs,
        value,
      }
      this.#batch.add(item, place, run, at)
      // Nobody gets it from there before it is written.
      this.#cache.put(item, place)
    }
    if (!this.#blobs.sharesSyncs) {
      this.#writeBatch()
      this.#endUnsynced()
    } else if (isWaiting) this.#gathering.join(sizeBytes)
  }

  /** Where it goes; undefined where it is not known that the name is alone with its key, in one blob, and that nobody else is at the key. */
  #placeInBatch({ name, value }: NamedValue): (Place & { version: number }) | undefined {
    for (let attempt = 0; attempt < 2; attempt++) {
      const place = this.#placeKept(name) ?? this.#placeOf(name)
      if (place === undefined || (this.#changes.size > 0 && this.#changes.has(place.key.keyLow))) break
      if (this.#batch.fits({ name, value }, place)) return place
      this.#writeBatch()
    }
    return undefined
  }

  #placeKept(name: Buffer): (Place & { version: number }) | undefined {
    const kept = this.#cache.find(name)
    if (kept === undefined || !this.#blobs.has(kept.volumeId)) return undefined
    const { keyHigh, keyLow, volumeId, version } = kept
    return { key: { keyHigh, keyLow }, volumeId, version }
  }

  #placeOf(name: Buffer): (Place & { version: number }) | undefined {
    const key = this.#hash(name)
    if (name.length > HASHED_NAME_BYTES_MAX || this.#batch.mayHave(key.keyLow)) return undefined
    const found = this.#readNow(key)
    if (found === undefined || found.items.length > 1 || found.blobs.length > 1) return undefined
    const [item] = found.items
    if (item !== undefined && !item.name.equals(name)) return undefined
    const volumeId = found.blobs[0]?.volumeId ?? this.#blobs.lastVolumeId
    return { key, volumeId, version: item?.version ?? 0 }
  }

  /** Undefined where that takes time or fails. */
  #readNow(key: BlobKey): Found | undefined {
    try {
      const found = this.#read(key)
      if (!(found instanceof Promise)) return found
      found.catch(() => {})
    } catch {
      // Whoever reads it again gets the error.
    }
    return undefined
  }

  /** Before anybody looks at the key. */
  #writeBatchWith({ keyLow }: BlobKey): void {
    if (this.#batch.mayHave(keyLow)) this.#writeBatch()
  }

  #writeBatch(): void {
    if (this.#batch.isEmpty) return
    const { volumeId } = this.#batch
    const entries = this.#batch.take()
    const count = this.#blobs.writeManyNow(entries, volumeId)
    if (volumeId !== this.#unsyncedIn) this.#endUnsynced()
    this.#unsyncedIn = volumeId
    for (let at = 0; at < count; at++) this.#unsynced.push(entries[at]!)
    for (let at = count; at < entries.length; at++) {
      const { data, run, at: number } = entries[at]!
      const [item] = decodeHashedItems(data)
      this.#cache.delete(item!.name)
      this.#setAlone(run, number, item!)
    }
  }

  #beginSync(): void {
    const volumeId = this.#batch.isEmpty ? this.#unsyncedIn : this.#batch.volumeId
    const sync = () => {
      const covered = this.#gathering.begun()
      this.#writeBatch()
      this.#endUnsynced(() => this.#gathering.ended(covered))
    }
    if (!this.#blobs.beforeSync(volumeId, sync)) sync()
  }

  /** Ends what was written when that is durable, or has it fail; calls `before` then. */
  #endUnsynced(before = () => {}): void {
    const sets = this.#unsynced
    if (sets.length === 0) return before()
    this.#unsynced = []
    this.#blobs.durable(this.#unsyncedIn).then(
      () => {
        before()
        for (const { run } of sets) run.end()
      },
      (error: unknown) => {
        before()
        for (const { run, at } of sets) run.fail(at, error)
      },
    )
  }

  #setAlone(run: SetRun, at: number, { name, flags, expiresMs, value }: NamedValue): void {
    const wanted = { flags, expiresMs, value: Buffer.from(value) }
    const change = () => wanted
    this.update(Buffer.from(name), change, change).then(
      () => run.end(),
      (error: unknown) => run.fail(at, error),
    )
  }

  /** All that is there is gone, now or from a time on. Resolves when that is durable; throws as `update` does, and nothing is gone then. */
  async clear(fromMs: number): Promise<void> {
    const now = this.#clock.nowMs()
    const version = clearedVersion(this.#clearing, now)
    const clearing =
      fromMs <= now
        ? { version: this.#nextVersion(version), laterVersion: 0, laterMs: 0 }
        : { version, laterVersion: fromMs * 1_000 - 1, laterMs: fromMs }
    const value = encodeClearing(clearing)
    this.#clearing = clearing
    try {
      const change = () => ({ flags: 0, expiresMs: 0, value })
      await this.#updateLater(this.#hash(CLEARING_NAME), CLEARING_NAME, { change })
      this.#cleared = clearing
    } catch (error) {
      if (this.#clearing === clearing) this.#clearing = this.#cleared
      throw error
    }
  }

  /**
   * Removes the bytes of what is gone. Gives how many blobs it removed. Keys that cannot be read or changed are left for another
   * time, and `skipped` is called once at the end with how many these were, and why the first one was. Throws `io_error`, `conflict`.
   */
  async sweep(skipped: (keys: number, first: StoreError) => void = () => {}): Promise<number> {
    const failures: { count: number; first: StoreError | undefined } = { count: 0, first: undefined }
    let removed = 0
    for await (const keys of this.#blobs.keys()) {
      for (const key of keys) {
        try {
          if (await this.#sweepKey(key)) removed++
        } catch (error) {
          if (!(error instanceof StoreError)) throw error
          failures.count++
          failures.first ??= error
        }
      }
    }
    if (failures.first !== undefined) skipped(failures.count, failures.first)
    return removed
  }

  async #sweepKey(key: BlobKey): Promise<boolean> {
    const touched = await this.#inTurn(key, async () => {
      const found = await this.#read(key)
      if (found.blobs.length === 0 || found.items.some((item) => this.#isLive(item))) return []
      for (const { name } of found.items) this.#cache.delete(name)
      return await this.#removeBlobs(key, found)
    })
    return touched.length > 0
  }

  /** Blobs that are there, those that are gone but not swept among them, and the bytes of the files that they are in. */
  usage(): { blobs: number; bytes: number } {
    return this.#blobs.usage()
  }

  // One key

  async #apply(
    key: BlobKey,
    name: Buffer,
    asked: Asked,
  ): Promise<{ item: HashedItem | undefined; touched: number[] }> {
    const { found, change } = await this.#readFor(key, asked)
    this.#cache.delete(name)
    for (const each of found.items) this.#cache.delete(each.name)
    const { item, items } = this.#changed(name, found, change)
    // What was seen may not be on disk yet, and the answer says that it is.
    if (items === undefined) return { item, touched: found.blobs.map(({ volumeId }) => volumeId) }
    const touched =
      items.length === 0 ? await this.#removeBlobs(key, found) : await this.#writeItems(key, items, found)
    return { item, touched }
  }

  /** What is there, and what changes it. */
  async #readFor(
    key: BlobKey,
    { change, ifDamaged }: Asked,
  ): Promise<{ found: Found; change: HashedChange }> {
    try {
      return { found: await this.#read(key), change }
    } catch (error) {
      if (ifDamaged === undefined || !isDamage(error)) throw error
      const blobs = this.#blobs.holders(key).map((volumeId) => ({ volumeId }))
      return { found: { items: [], blobs }, change: ifDamaged }
    }
  }

  /** What the name has behind the change, and what its key shall have: undefined for no change. */
  #changed(
    name: Buffer,
    found: Found,
    change: HashedChange,
  ): { item: HashedItem | undefined; items: HashedItem[] | undefined } {
    const present = this.#liveItem(found.items, name)
    const wanted = change(present)
    if (wanted === undefined) return { item: present, items: undefined }
    const items = found.items.filter((each) => !each.name.equals(name) && this.#isLive(each))
    if (wanted === 'remove') return { item: undefined, items }
    const before = found.items.reduce((highest, { version }) => Math.max(highest, version), 0)
    const { flags, expiresMs, value, isTouch } = wanted
    const isSame =
      isTouch === true &&
      found.items.length === 1 &&
      (present?.touches ?? HASHED_TOUCHES_MAX) < HASHED_TOUCHES_MAX
    const version = isSame ? present!.version : this.#nextVersion(before)
    const item = { name, flags, version, touches: isSame ? present!.touches + 1 : 0, expiresMs, value }
    items.push(item)
    return { item, items }
  }

  /** Gives the volumes to be synced. */
  async #writeItems(key: BlobKey, items: HashedItem[], { blobs }: Found): Promise<number[]> {
    const at = await this.#blobs.write(key, encodeHashedItems(items), blobs.at(-1)?.volumeId)
    const older = blobs.filter(({ volumeId }) => volumeId !== at)
    if (older.length === 0) return [at]
    // The new one first, for good; then the old ones.
    await this.#blobs.durable(at)
    return older.map(({ volumeId }) => volumeId).filter((volumeId) => this.#removesOlder(key, volumeId))
  }

  /** False: it stays, as nothing can be removed there; its version is lower. */
  #removesOlder(key: BlobKey, volumeId: number): boolean {
    try {
      return this.#blobs.remove(key, volumeId)
    } catch (error) {
      if (!mayStay(error)) throw error
      return false
    }
  }

  /** The oldest first, so that none of them comes back. Gives the volumes to be synced. */
  async #removeBlobs(key: BlobKey, { blobs }: Found): Promise<number[]> {
    for (const [at, { volumeId }] of blobs.entries()) {
      this.#blobs.remove(key, volumeId)
      if (at < blobs.length - 1) await this.#blobs.durable(volumeId)
    }
    return blobs.slice(-1).map(({ volumeId }) => volumeId)
  }

  #read(key: BlobKey): Found | Promise<Found> {
    const blobs = this.#blobs.find(key)
    return blobs instanceof Promise ? blobs.then(foundIn) : foundIn(blobs)
  }

  #liveItem(items: readonly HashedItem[], name: Buffer): HashedItem | undefined {
    for (const item of items) if (item.name.equals(name)) return this.#isLive(item) ? item : undefined
    return undefined
  }

  #isLive(item: Omit<HashedItem, 'value'>): boolean {
    return item.name.length === 0 || this.#isCurrent(item)
  }

  #isCurrent(item: Pick<HashedItem, 'expiresMs' | 'version'>): boolean {
    return isCurrent(item, this.#clearing, this.#clock)
  }

  /** Rises, over restarts too unless the clock goes back; and always above what the name had. */
  #nextVersion(before: number, nowMs = this.#clock.nowMs()): number {
    this.#lastVersion = Math.max(this.#lastVersion + 1, before + 1, nowMs * 1_000)
    return this.#lastVersion
  }

  /** Runs after all changes of the key that were begun before. */
  async #inTurn<T>(key: BlobKey, run: () => Promise<T>): Promise<T> {
    this.#writeBatchWith(key)
    const { keyLow } = key
    const before = this.#changes.get(keyLow)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#changes.set(keyLow, promise)
    try {
      await before
      return await run()
    } finally {
      if (this.#changes.get(keyLow) === promise) this.#changes.delete(keyLow)
      resolve()
    }
  }
}
