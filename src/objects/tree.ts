/**
 * The object store's directories. What is small happens in one transaction; renames and removals of large directories go in steps,
 * so that nobody else waits for them, and a rename is one moment for its readers all the same.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { LIST_KEYS_MAX, TREE_HELP_MOVE_MS, TREE_WAIT_FOR_MOVE_MS } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore, Script } from '../meta/meta-store.ts'
import type { Bucket, ObjectAttributes, TreeEntry } from './object-store.ts'
import type { Tree } from './parts.ts'
import { attributesText, infoOf, keyBytes, textBytes } from './rows.ts'
import { isExpired } from './tree-life.ts'
import { listDirectory, type NamedRow, type StatResult, statPath } from './tree-read.ts'
import { allMoves, type MoveStepArgs, moveStep, rename } from './tree-rename.ts'
import { findExpired, makeDirectory, removeDirectory, removeExpired, type TreeChange } from './tree-write.ts'
import { USAGE_PARTS_SHARED } from './usage-steps.ts'

export interface TreeParts {
  meta: MetaStore
  clock: Clock
  random: Random
}

/** For the table of scripts. */
export const TREE_SCRIPTS = [
  statPath,
  listDirectory,
  makeDirectory,
  removeDirectory,
  removeExpired,
  findExpired,
  rename,
  moveStep,
  allMoves,
] as const

/** How long a change waits before it looks whether a rename has ended. */
const MOVE_POLL_MS = 20
/** Files whose time is over that one transaction removes. */
const EXPIRED_REMOVED_MAX = 100

export class ObjectTree implements Tree {
  readonly #parts: TreeParts

  constructor(parts: TreeParts) {
    this.#parts = parts
  }

  /** A path that ends with `/` asks for a directory only. */
  stat(bucket: Bucket, path: string): TreeEntry | undefined | Promise<TreeEntry | undefined> {
    if (path === '') return { name: '', isDirectory: true, info: undefined }
    keyBytes(path)
    const found = this.#parts.meta.read(statPath, { bucketId: bucket.id, path })
    if (found instanceof Promise) return found.then((result) => this.#entryOf(bucket, path, result))
    return this.#entryOf(bucket, path, found)
  }

  #entryOf(bucket: Bucket, path: string, found: StatResult | undefined): TreeEntry | undefined {
    if (found === undefined) return undefined
    const trimmed = path.endsWith('/') ? path.slice(0, -1) : path
    const name = trimmed.slice(trimmed.lastIndexOf('/') + 1)
    const entry = entryOf({ ...found, name })
    if (!this.#isOver(entry)) return entry
    this.#removeExpired(bucket, [entry])
    return undefined
  }

  async listDirectory(
    bucket: Bucket,
    path: string,
    options: { after?: string; prefix?: string; limit: number },
  ): Promise<{ entries: TreeEntry[]; next: string | undefined }> {
    const limit = Math.min(options.limit, LIST_KEYS_MAX)
    if (limit < 1) return { entries: [], next: undefined }
    const { after, prefix = '' } = options
    textBytes(`${path}${prefix}${after ?? ''}`, 'name')
    const directory = directoryOf(path)
    const args = { bucketId: bucket.id, directory, after, prefix, limit }
    const { entries, isTruncated } = await this.#parts.meta.read(listDirectory, args)
    const shown = entries.map((row) => withoutParts(entryOf(row)))
    const next = isTruncated ? shown.at(-1)!.name : undefined
    const over = shown.filter((entry) => this.#isOver(entry))
    if (over.length === 0) return { entries: shown, next }
    this.#removeExpired(bucket, over)
    return { entries: shown.filter((entry) => !over.includes(entry)), next }
  }

  #isOver({ info, isDirectory }: TreeEntry): boolean {
    if (isDirectory || info?.attributes.posix === undefined) return false
    return isExpired(info, this.#parts.clock.nowMs())
  }

  /** Nobody waits for it: to readers they are gone already. */
  #removeExpired(bucket: Bucket, entries: readonly TreeEntry[]): void {
    if (bucket.versioning !== 'off') return
    const keys = entries.slice(0, EXPIRED_REMOVED_MAX).map((entry) => entry.info!.key)
    this.#parts.meta.write(removeExpired, { ...this.#change(bucket), keys }).catch(() => {})
  }

  async expireFiles(bucket: Bucket, isStopped: () => boolean): Promise<number> {
    if (bucket.versioning !== 'off') return 0
    const { meta, clock } = this.#parts
    let count = 0
    let after: Buffer | undefined
    do {
      const page = await meta.read(findExpired, { bucketId: bucket.id, after, nowMs: clock.nowMs() })
      for (let at = 0; at < page.keys.length; at += EXPIRED_REMOVED_MAX) {
        const keys = page.keys.slice(at, at + EXPIRED_REMOVED_MAX)
        await meta.write(removeExpired, { ...this.#change(bucket), keys })
        count += keys.length
      }
      after = page.next
    } while (after !== undefined && !isStopped())
    return count
  }

  async makeDirectory(bucket: Bucket, path: string, attributes: ObjectAttributes): Promise<void> {
    if (path === '') throw new StoreError('directory_exists', 'dir / already exists')
    keyBytes(`${path}/`)
    const change = { ...this.#change(bucket), path, attributes: attributesText(attributes) }
    await this.#write(makeDirectory, change)
  }

  async rename(bucket: Bucket, from: string, to: string): Promise<void> {
    keyBytes(from)
    keyBytes(to)
    if (from === to) throw new StoreError('conflict', `/${from} has this name already`)
    const { random } = this.#parts
    const [contentId, secondNonce] = [bytesOf(random), bytesOf(random)]
    const args = { ...this.#change(bucket), from, to, contentId, secondNonce }
    const result = await this.#write(rename, args)
    if (result === 'moving') await this.#endMove({ bucketId: bucket.id, from: Buffer.from(`${from}/`) })
  }

  async #endMove(move: MoveStepArgs): Promise<void> {
    const from = Buffer.alloc(move.from.length)
    from.set(move.from)
    while (!(await this.#parts.meta.write(moveStep, { bucketId: move.bucketId, from })));
  }

  /** Ends the renames that a crash has left half way: call it when the store opens. */
  async resumeRenames(): Promise<void> {
    const moves = await this.#parts.meta.read(allMoves, null)
    for (const move of moves) await this.#endMove(move)
  }

  async removeDirectory(
    bucket: Bucket,
    path: string,
    options: { recursive: boolean; onProgress?: (removed: number) => void },
  ): Promise<void> {
    const directory = directoryOf(path)
    const { recursive, onProgress } = options
    if (path !== '') {
      const there = await this.stat(bucket, directory)
      if (there === undefined) throw new StoreError('not_found', `/${path} is not found`)
    }
    let removed = 0
    for (;;) {
      const step = await this.#write(removeDirectory, { ...this.#change(bucket), directory, recursive })
      removed += step.removed
      onProgress?.(removed)
      if (step.isDone) return
    }
  }

  #change(bucket: Bucket): TreeChange {
    const { meta, clock, random } = this.#parts
    const usagePart = meta.capabilities.sharedBetweenProcesses ? random.below(USAGE_PARTS_SHARED) : 0
    return { bucketId: bucket.id, nowMs: clock.nowMs(), usagePart, nonce: bytesOf(random) }
  }

  /** Waits for the end of a rename that is in the way. Throws `unavailable` when that does not come. */
  async #write<A extends TreeChange, R>(script: Script<A, R>, args: A): Promise<R> {
    const { meta, clock } = this.#parts
    const startMs = clock.monotonicMs()
    let wasFree = false
    for (;;) {
      try {
        return await meta.write(script, args)
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'unavailable') throw error
        const isMoving = await this.#isMoving(args.bucketId)
        const waitedMs = clock.monotonicMs() - startMs
        if (waitedMs > TREE_WAIT_FOR_MOVE_MS || (!isMoving && wasFree)) throw error
        wasFree = !isMoving
        // Perhaps whoever began it is no more.
        if (waitedMs > TREE_HELP_MOVE_MS) await this.resumeRenames()
        else if (isMoving) await clock.sleep(MOVE_POLL_MS)
      }
    }
  }

  async #isMoving(bucketId: number): Promise<boolean> {
    const moves = await this.#parts.meta.read(allMoves, null)
    return moves.some((move) => move.bucketId === bucketId)
  }
}

const NONCE_BYTES = 16

/** In memory of their own: a slice of a pool would be posted with all of it. */
function bytesOf(random: Random): Buffer {
  const bytes = Buffer.alloc(NONCE_BYTES)
  bytes.set(random.bytes(NONCE_BYTES))
  return bytes
}

const directoryOf = (path: string) => (path === '' ? '' : `${path}/`)

function entryOf({ name, isDirectory, row }: NamedRow): TreeEntry {
  return { name, isDirectory, info: row === undefined ? undefined : infoOf(row, true) }
}

/** Nobody looks for lists of parts in a directory, and a reader gathers many pages of it. */
function withoutParts(entry: TreeEntry): TreeEntry {
  const { info } = entry
  if (info?.attributes.partSizes === undefined) return entry
  const { partSizes: _, partChecksums: __, ...attributes } = info.attributes
  return { ...entry, info: { ...info, attributes } }
}
