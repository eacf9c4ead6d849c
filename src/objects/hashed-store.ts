/**
 * Values by name without SQL: a value lies under a key of 64 bits that is the hash of its name, with the whole name beside it.
 * Two names with one hash share a blob. Changes of one name come one after the other, so that a change may depend on what is
 * there: only one of these may write to a collection. `docs/formats/hashed-store.md` has the bytes.
 */
import { createHash } from 'node:crypto'
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { HASHED_NAME_BYTES_MAX } from '../base/limits.ts'
import type { BlobKey, KeyedBlob, KeyedBlobs } from '../blobs/keyed-blobs.ts'
import { decodeHashedItems, encodeHashedItems, type HashedItem } from './hashed-record.ts'

/** What a name shall have. */
export interface HashedValue {
  /** The caller's, 32 bits. */
  flags: number
  /** Milliseconds since 1970 from which on it is gone; 0: never. */
  expiresMs: number
  value: Buffer
}

/** Gets what a name has, undefined for nothing, and says what it shall have: `remove` for nothing, undefined for no change. */
export type HashedChange = (present: HashedItem | undefined) => HashedValue | 'remove' | undefined

export interface HashedStoreOptions {
  blobs: KeyedBlobs
  clock: Clock
  /** Of a name; by default the first 64 bits of its SHA-256. */
  hash?: (name: Buffer) => BlobKey
}

/** A key's blobs, read. */
interface Found {
  /** Of the latest blob. */
  items: HashedItem[]
  /** Blobs from the oldest to the latest. */
  blobs: KeyedBlob[]
}

/** What was cleared: all items up to a version are gone, and those up to a later one will be from a time on. */
interface Clearing {
  version: number
  laterVersion: number
  /** 0: nothing is to be cleared later. */
  laterMs: number
}

/** Under the name that nobody can have. */
const CLEARING_NAME = Buffer.alloc(0)
const CLEARING_BYTES = 24
const NOTHING: Found = { items: [], blobs: [] }

export class HashedStore {
  readonly #blobs: KeyedBlobs
  readonly #clock: Clock
  readonly #hash: (name: Buffer) => BlobKey
  /** The last change of each key that is under way. */
  readonly #changes = new Map<string, Promise<unknown>>()
  #lastVersion = 0
  #clearing: Clearing = { version: 0, laterVersion: 0, laterMs: 0 }

  private constructor({ blobs, clock, hash = hashOfName }: HashedStoreOptions) {
    this.#blobs = blobs
    this.#clock = clock
    this.#hash = hash
  }

  /** Throws `corrupt`, `io_error`. */
  static async open(options: HashedStoreOptions): Promise<HashedStore> {
    const store = new HashedStore(options)
    const { items } = await store.#read(store.#hash(CLEARING_NAME))
    const mark = items.find(({ name }) => name.equals(CLEARING_NAME))?.value
    if (mark !== undefined) {
      if (mark.length !== CLEARING_BYTES) throw new StoreError('corrupt', 'damaged mark of a cleared store')
      const [version, laterVersion, laterMs] = [0, 8, 16].map((at) => Number(mark.readBigUInt64BE(at)))
      store.#clearing = { version: version!, laterVersion: laterVersion!, laterMs: laterMs! }
      store.#lastVersion = version!
    }
    return store
  }

  /**
   * What a name has, after all changes of it that were asked for before. At once where nothing has to be waited for.
   * Throws `corrupt`, `io_error`.
   */
  get(name: Buffer): HashedItem | undefined | Promise<HashedItem | undefined> {
    const key = this.#hash(name)
    const change = this.#changes.size === 0 ? undefined : this.#changes.get(textOf(key))
    if (change !== undefined) return change.then(() => this.#get(key, name))
    return this.#get(key, name)
  }

  #get(key: BlobKey, name: Buffer): HashedItem | undefined | Promise<HashedItem | undefined> {
    const found = this.#read(key)
    return found instanceof Promise
      ? found.then(({ items }) => this.#liveItem(items, name))
      : this.#liveItem(found.items, name)
  }

  /**
   * Changes what a name has; resolves when that is as durable as is asked for, with what it has now. Throws `too_large`,
   * `no_writable_volume`, `disk_full`, `corrupt`, `io_error`, `unavailable`, and what `change` throws.
   */
  async update(name: Buffer, change: HashedChange): Promise<HashedItem | undefined> {
    assert(name.length > 0, 'a name is not empty')
    if (name.length > HASHED_NAME_BYTES_MAX) throw new StoreError('too_large', 'the name is too long')
    return await this.#updateAny(name, change)
  }

  async #updateAny(name: Buffer, change: HashedChange): Promise<HashedItem | undefined> {
    const key = this.#hash(name)
    const { item, touched } = await this.#inTurn(key, () => this.#apply(key, name, change))
    // Outside of the turn: changes of one name share a sync as well.
    for (const volumeId of touched) await this.#blobs.durable(volumeId)
    return item
  }

  /** All that is there is gone, now or from a time on. Resolves when that is durable. */
  async clear(fromMs: number): Promise<void> {
    const now = this.#clock.nowMs()
    const before = this.#clearing
    const isPast = before.laterMs !== 0 && before.laterMs <= now
    const version = isPast ? Math.max(before.version, before.laterVersion) : before.version
    const clearing =
      fromMs <= now
        ? { version: this.#nextVersion(version), laterVersion: 0, laterMs: 0 }
        : { version, laterVersion: fromMs * 1_000 - 1, laterMs: fromMs }
    const value = Buffer.alloc(CLEARING_BYTES)
    value.writeBigUInt64BE(BigInt(clearing.version), 0)
    value.writeBigUInt64BE(BigInt(clearing.laterVersion), 8)
    value.writeBigUInt64BE(BigInt(clearing.laterMs), 16)
    this.#clearing = clearing
    await this.#updateAny(CLEARING_NAME, () => ({ flags: 0, expiresMs: 0, value }))
  }

  /** Removes the bytes of what is gone. Gives how many blobs it removed. Throws as `update` does, and `conflict`: begin again. */
  async sweep(): Promise<number> {
    let removed = 0
    for await (const keys of this.#blobs.keys()) {
      for (const key of keys) {
        const touched = await this.#inTurn(key, async () => {
          const found = await this.#read(key)
          if (found.blobs.length === 0 || found.items.some((item) => this.#isLive(item))) return []
          return await this.#removeBlobs(key, found)
        })
        if (touched.length > 0) removed++
      }
    }
    return removed
  }

  /** Blobs that are there, those that are gone but not swept among them, and the bytes of the files that they are in. */
  usage(): { blobs: number; bytes: number } {
    return this.#blobs.usage()
  }

  // One key

  async #apply(
    key: BlobKey,
    name: Buffer,
    change: HashedChange,
  ): Promise<{ item: HashedItem | undefined; touched: number[] }> {
    const found = await this.#read(key)
    const present = this.#liveItem(found.items, name)
    const wanted = change(present)
    // What was seen may not be on disk yet, and the answer says that it is.
    if (wanted === undefined) return { item: present, touched: found.blobs.map(({ volumeId }) => volumeId) }
    const items = found.items.filter((each) => !each.name.equals(name) && this.#isLive(each))
    if (wanted === 'remove') {
      if (items.length === 0) return { item: undefined, touched: await this.#removeBlobs(key, found) }
      return { item: undefined, touched: await this.#writeItems(key, items, found) }
    }
    const before = Math.max(0, ...found.items.map(({ version }) => version))
    const item: HashedItem = { name, ...wanted, version: this.#nextVersion(before) }
    items.push(item)
    return { item, touched: await this.#writeItems(key, items, found) }
  }

  /** Gives the volumes to be synced. */
  async #writeItems(key: BlobKey, items: HashedItem[], { blobs }: Found): Promise<number[]> {
    const at = await this.#blobs.write(key, encodeHashedItems(items), blobs.at(-1)?.volumeId)
    const older = blobs.filter(({ volumeId }) => volumeId !== at)
    if (older.length === 0) return [at]
    // The new one first, for good; then the old ones.
    await this.#blobs.durable(at)
    for (const { volumeId } of older) this.#removeOlder(key, volumeId)
    return older.map(({ volumeId }) => volumeId)
  }

  /** It may stay where nothing can be removed: its version is lower. */
  #removeOlder(key: BlobKey, volumeId: number): void {
    try {
      this.#blobs.remove(key, volumeId)
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'read_only') throw error
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

  #isLive({ name, expiresMs, version }: HashedItem): boolean {
    if (name.length === 0) return true
    const now = this.#clock.nowMs()
    if (expiresMs !== 0 && now >= expiresMs) return false
    const { version: cleared, laterVersion, laterMs } = this.#clearing
    if (version <= cleared) return false
    return laterMs === 0 || now < laterMs || version > laterVersion
  }

  /** Rises, over restarts too unless the clock goes back; and always above what the name had. */
  #nextVersion(before: number): number {
    this.#lastVersion = Math.max(this.#lastVersion + 1, before + 1, this.#clock.nowMs() * 1_000)
    return this.#lastVersion
  }

  /** Runs after all changes of the key that were begun before. */
  async #inTurn<T>(key: BlobKey, run: () => Promise<T>): Promise<T> {
    const text = textOf(key)
    const before = this.#changes.get(text)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#changes.set(text, promise)
    try {
      await before
      return await run()
    } finally {
      if (this.#changes.get(text) === promise) this.#changes.delete(text)
      resolve()
    }
  }
}

function foundIn(blobs: KeyedBlob[]): Found {
  if (blobs.length === 0) return NOTHING
  const read = blobs.map((blob) => ({ blob, items: decodeHashedItems(blob.data) }))
  const versionOf = (items: HashedItem[]) => Math.max(...items.map(({ version }) => version))
  if (read.length > 1) read.sort((a, b) => versionOf(a.items) - versionOf(b.items))
  return { items: read.at(-1)!.items, blobs: read.map(({ blob }) => blob) }
}

function hashOfName(name: Buffer): BlobKey {
  const digest = createHash('sha256').update(name).digest()
  // Key 0 marks holes of volumes.
  return { keyHigh: digest.readUInt32BE(0), keyLow: digest.readUInt32BE(4) || 1 }
}

function textOf({ keyHigh, keyLow }: BlobKey): string {
  return `${keyHigh}.${keyLow}`
}
