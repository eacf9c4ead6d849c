/**
 * Moves files to the servers that they belong to, after servers were added or are to be taken away, while the store is read and
 * written. A file is stored at its new place before it is removed from the old one, and a reader looks at both; whoever replaces
 * or removes it meanwhile wins. What was moved stays moved: to go on after an interruption is to begin again.
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { HASHSTORE_CHUNK_AGE_MS } from '../../base/limits.ts'
import { type Fetched, type HashstoreClient, ifThere } from './client.ts'
import type { HashstoreCluster } from './cluster.ts'
import { fileSize, uploadOfChunk } from './manifest.ts'
import { pathOfText } from './paths.ts'
import { nameOfMachine } from './placement.ts'
import type { FileEntry } from './wire.ts'

export interface RebalanceOptions {
  cluster: HashstoreCluster
  clock: Clock
  signal: AbortSignal
  /** Removes loose chunks. Only where `cluster` has all servers of the store: a file on another one would lose its chunks. */
  removesChunks?: boolean
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
  /** Chunks that were stored long ago, and that no file on these servers names. */
  looseChunks: number
  removedChunks: number
  /** Names that the name server had of files that are gone. */
  forgotten: number
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
    looseChunks: 0,
    removedChunks: 0,
    forgotten: 0,
  }
  readonly #options: RebalanceOptions
  /** Uploads of chunks, and whether their file names them. */
  readonly #uploads = new Map<string, Promise<boolean>>()
  /** The last failure of a single file. */
  lastFailure: StoreError | undefined
  /** Two of the servers are one: nothing may be moved. */
  #isOneServer: StoreError | undefined

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

  /** Moves all that is to be moved. Throws `conflict` when two of the servers are one, and what listing throws. */
  async move(): Promise<void> {
    await this.#eachFile(async (entry, server) => {
      const path = pathOfText(entry.path)
      const target = this.#target(path)
      try {
        const isGone = (await this.#isLoose(entry)) && (await this.#removeLoose(path, server, entry))
        if (target !== server && !isGone) await this.#moveOne(path, server, target)
      } catch (error) {
        if (this.#isOneServer !== undefined) throw this.#isOneServer
        this.lastFailure = toStoreError(error)
        this.counts.left++
      }
      if (target !== server) this.counts.doneBytes += entry.size
    })
  }

  /** Takes names of files that are gone from the name server. Throws what it and the servers throw. */
  async forget(): Promise<void> {
    const { cluster } = this.#options
    const { nameserver } = cluster
    if (nameserver === undefined) return
    for await (const page of nameserver.browse(NO_PREFIX, true)) {
      await this.#inLanes(page, async (name) => {
        if (!('path' in name)) return
        const path = pathOfText(name.path)
        if ((await this.#latest(path)) !== undefined) return
        await nameserver.leave(path)
        // Who stored it meanwhile may have told its name before it was taken away.
        const entry = await this.#latest(path)
        if (entry === undefined) this.counts.forgotten++
        else await this.#tellName(path, entry)
      })
    }
  }

  /** Its own server is asked first: there it nearly always is. */
  async #latest(path: Buffer): Promise<FileEntry | undefined> {
    try {
      return await this.#target(path).stat(path)
    } catch (error) {
      if (toStoreError(error).code !== 'not_found') throw error
    }
    const entries = await this.#options.cluster.statAll(path)
    return entries.sort((a, b) => b.time - a.time)[0]
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
    for (const server of this.#options.cluster.servers)
      for await (const page of server.list()) await this.#inLanes(page, (entry) => work(entry, server))
  }

  /** Throws the first failure, when nothing is under way any more. */
  async #inLanes<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
    const { signal } = this.#options
    let next = 0
    const lane = async () => {
      while (next < all.length && !signal.aborted) {
        try {
          await work(all[next++]!)
        } catch (error) {
          next = all.length
          throw error
        }
      }
    }
    const lanes = await Promise.allSettled(Array.from({ length: FILES_AT_ONCE }, lane))
    const failed = lanes.find((each) => each.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    if (signal.aborted) throw new StoreError('unavailable', 'interrupted: begin again to go on')
  }

  /** What is gone meanwhile, by whomever, is done. What is replaced meanwhile by a client of before is moved again. */
  async #moveOne(path: Buffer, source: HashstoreClient, target: HashstoreClient): Promise<void> {
    for (;;) {
      const found = await ifThere(source.get(path))
      if (found === undefined) return
      const copied = await this.#copy(path, found, { source, target })
      try {
        if ((await ifThere(source.remove(path, found.entry.tag))) === undefined) return
      } catch (error) {
        if (toStoreError(error).code !== 'precondition_failed') throw error
        continue
      }
      this.counts[copied]++
      return
    }
  }

  /** `superseded`: the target has a later one, or knows that it was removed since. */
  async #copy(
    path: Buffer,
    { entry, pieces, close }: Fetched,
    { source, target }: { source: HashstoreClient; target: HashstoreClient },
  ): Promise<'moved' | 'superseded'> {
    const { time, manifest, chunkOf } = entry
    const marks = { ...(manifest !== undefined && { manifest }), ...(chunkOf !== undefined && { chunkOf }) }
    try {
      await target.put(path, { sizeBytes: entry.size, pieces }, { time, unlessNewer: true, ...marks })
      return 'moved'
    } catch (error) {
      close()
      if (toStoreError(error).code !== 'conflict') throw error
      const there = await ifThere(target.stat(path))
      if (there !== undefined && there.time < time) throw error
      // Tags are random: this is the file itself.
      if (there?.tag === entry.tag) {
        const names = [source, target].map(({ machine }) => nameOfMachine(machine)).join(' and ')
        this.#isOneServer = new StoreError(
          'conflict',
          `${names} are one server, or one is a copy of the other`,
        )
        throw this.#isOneServer
      }
      return 'superseded'
    }
  }

  /** A chunk that was stored long ago and that no file names. */
  async #isLoose({ path, chunkOf, time }: FileEntry): Promise<boolean> {
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

  /** Where that is wanted. */
  async #removeLoose(path: Buffer, server: HashstoreClient, { tag }: FileEntry): Promise<boolean> {
    this.counts.looseChunks++
    if (this.#options.removesChunks !== true) return false
    if ((await ifThere(server.remove(path, tag))) !== undefined) this.counts.removedChunks++
    return true
  }
}

const NO_PREFIX = Buffer.alloc(0)
