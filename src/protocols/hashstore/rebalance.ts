/**
 * Moves files to the servers that they belong to, after servers were added or are to be taken away, while the store is read and
 * written. A file is stored at its new place before it is removed from the old one, and a reader looks at both; whoever replaces
 * or removes it meanwhile wins. What was moved stays moved: to go on after an interruption is to begin again.
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { HASHSTORE_CHUNK_AGE_MS } from '../../base/limits.ts'
import type { HashstoreClient } from './client.ts'
import type { HashstoreCluster } from './cluster.ts'
import { fileSize, uploadOfChunk } from './manifest.ts'
import { pathOfText } from './paths.ts'
import type { FileEntry } from './wire.ts'

export interface RebalanceOptions {
  cluster: HashstoreCluster
  clock: Clock
  signal: AbortSignal
}

/** How far it is; counts up while it runs. */
export interface RebalanceCounts {
  files: number
  misplaced: number
  misplacedBytes: number
  moved: number
  /** Of files that were dealt with in one way or another. */
  doneBytes: number
  /** Old versions that were removed, because their place has a later one. */
  superseded: number
  /** Changed while they were to be moved, or failed: for the next time. */
  left: number
  /** Chunks that no file names. */
  removedChunks: number
}

const FILES_AT_ONCE = 4

export class Rebalance {
  readonly counts: RebalanceCounts = {
    files: 0,
    misplaced: 0,
    misplacedBytes: 0,
    moved: 0,
    doneBytes: 0,
    superseded: 0,
    left: 0,
    removedChunks: 0,
  }
  readonly #options: RebalanceOptions
  /** Uploads of chunks, and whether their file names them. */
  readonly #uploads = new Map<string, Promise<boolean>>()
  /** The last failure of a single file. */
  lastFailure: StoreError | undefined

  constructor(options: RebalanceOptions) {
    this.#options = options
  }

  /** Counts what is to be moved, and tells the name server of every file. Throws what listing throws. */
  async count(): Promise<void> {
    await this.#eachFile(async (entry, server) => {
      this.counts.files++
      const path = pathOfText(entry.path)
      if (entry.chunkOf === undefined) await this.#tellName(path, entry)
      if (this.#target(path) === server) return
      this.counts.misplaced++
      this.counts.misplacedBytes += entry.size
    })
  }

  /** Moves all that is to be moved, and removes chunks that no file names. */
  async move(): Promise<void> {
    await this.#eachFile(async (entry, server) => {
      const path = pathOfText(entry.path)
      const target = this.#target(path)
      try {
        if (await this.#isLost(entry)) await this.#removeChunk(path, server, entry)
        else if (target !== server) await this.#moveOne(path, server, target)
      } catch (error) {
        this.lastFailure = toStoreError(error)
        this.counts.left++
      }
      if (target !== server) this.counts.doneBytes += entry.size
    })
  }

  /** A name that is too long for the tree is said, and holds up nothing. Throws everything else. */
  async #tellName(path: Buffer, entry: FileEntry): Promise<void> {
    try {
      await this.#options.cluster.nameserver?.enter(path, { ...entry, size: fileSize(entry) })
    } catch (error) {
      const { code, message } = toStoreError(error)
      if (code !== 'key_too_long') throw error
      this.lastFailure = new StoreError(code, `the name server cannot list ${entry.path}: ${message}`)
    }
  }

  #target(path: Buffer): HashstoreClient {
    return this.#options.cluster.serverOf(path)
  }

  async #eachFile(work: (entry: FileEntry, server: HashstoreClient) => Promise<void>): Promise<void> {
    for (const server of this.#options.cluster.servers) {
      for await (const page of server.list()) {
        let next = 0
        const lane = async () => {
          while (next < page.length && !this.#options.signal.aborted) await work(page[next++]!, server)
        }
        await Promise.all(Array.from({ length: FILES_AT_ONCE }, lane))
        if (this.#options.signal.aborted)
          throw new StoreError('unavailable', 'interrupted: begin again to go on')
      }
    }
  }

  async #moveOne(path: Buffer, source: HashstoreClient, target: HashstoreClient): Promise<void> {
    const { entry, pieces, close } = await source.get(path)
    const { time, manifest, chunkOf } = entry
    const marks = { ...(manifest !== undefined && { manifest }), ...(chunkOf !== undefined && { chunkOf }) }
    let copy: FileEntry | undefined
    try {
      const bytes = { sizeBytes: entry.size, pieces }
      copy = (await target.put(path, bytes, { time, unlessNewer: true, ...marks })).entry
    } catch (error) {
      close()
      if (toStoreError(error).code !== 'conflict') throw error
      if ((await target.stat(path)).time < time) throw error
    }
    try {
      await source.remove(path, entry.tag)
    } catch (error) {
      // Somebody removed it: then the copy must not bring it back.
      if (toStoreError(error).code !== 'not_found') throw error
      if (copy !== undefined) await target.remove(path, copy.tag)
      return
    }
    if (copy === undefined) this.counts.superseded++
    else this.counts.moved++
  }

  /** A chunk that was left over long ago. */
  async #isLost({ path, chunkOf, time }: FileEntry): Promise<boolean> {
    const { clock } = this.#options
    if (chunkOf === undefined || clock.nowMs() - time < HASHSTORE_CHUNK_AGE_MS) return false
    const upload = uploadOfChunk(path)
    const known = this.#uploads.get(upload) ?? this.#isNamed(upload, pathOfText(chunkOf))
    this.#uploads.set(upload, known)
    return !(await known)
  }

  async #isNamed(upload: string, file: Buffer): Promise<boolean> {
    const entries = await this.#options.cluster.statAll(file)
    return entries.some(({ manifest = '' }) => manifest.startsWith(`${upload}.`))
  }

  async #removeChunk(path: Buffer, server: HashstoreClient, { tag }: FileEntry): Promise<void> {
    await server.remove(path, tag)
    this.counts.removedChunks++
  }
}
