/**
 * All servers of a hash store, as its clients see them: which server has a path, files in chunks, and where to look while
 * files are being moved. `rebalance.ts` moves them.
 */
import { createHash } from 'node:crypto'
import { ByteBudget } from '../../base/byte-budget.ts'
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { HASHSTORE_CHUNKS_SENT_BYTES_MAX, HASHSTORE_UPLOAD_MS_MAX } from '../../base/limits.ts'
import type { LentPiece } from '../../base/piece-buffers.ts'
import type { Random } from '../../base/random.ts'
import { type Changed, type Fetched, HashstoreClient, ifThere, type Source } from './client.ts'
import {
  chunkBytes,
  chunkPath,
  decodeManifest,
  encodeManifest,
  fileSize,
  type Manifest,
  markOf,
} from './manifest.ts'
import { textOfPath } from './paths.ts'
import { type Machine, nameOfMachine, type Place, type Placement, placeWith } from './placement.ts'
import type { FileEntry } from './wire.ts'

export interface ClusterOptions {
  /** In the order of their lines; one that has several lines gets so many shares of the files. */
  machines: readonly Machine[]
  /** Servers that are being emptied: nothing is stored there any more, but files may still be there. */
  leaving: readonly Machine[]
  placement: Placement
  /** Longer files go in chunks; 0: none do. */
  chunkSizeBytes: number
  nameserver: Machine | undefined
  timeoutMs: number
  clock: Clock
  random: Random
}

/** A file to be stored, from any place in it, several times if need be. */
export interface LocalFile {
  sizeBytes: number
  read(start: number, end: number): AsyncIterable<LentPiece>
}

export interface RemoteFile {
  sizeBytes: number
  /**
   * All bytes, verified. To be asked for once, or `close` called. Lent pieces should be given back. Throws `conflict` in the
   * middle of a file in chunks that is replaced or removed meanwhile.
   */
  pieces(): AsyncIterable<LentPiece>
  close(): void
}

const UPLOAD_ID_BYTES = 16
/** Chunks of one file on their way at a time; each is in memory once. */
const CHUNKS_AT_ONCE = 2

export class HashstoreCluster {
  /** Those that files belong to, and then those that are being emptied. */
  readonly servers: readonly HashstoreClient[]
  readonly nameserver: HashstoreClient | undefined
  /** Why the name server does not know all that was done, if so. */
  nameserverFailure: StoreError | undefined
  readonly #options: ClusterOptions
  readonly #place: Place
  /** By their lines. */
  readonly #placed: readonly HashstoreClient[]
  readonly #leaving: readonly HashstoreClient[]
  /** For all files that are on their way. */
  readonly #chunkMemory = new ByteBudget(HASHSTORE_CHUNKS_SENT_BYTES_MAX)

  constructor(options: ClusterOptions) {
    const { machines, leaving, placement, nameserver } = options
    this.#options = options
    this.#place = placeWith(placement, machines)
    const clients = new Map<string, HashstoreClient>()
    const clientOf = (machine: Machine) => {
      const name = nameOfMachine(machine)
      const client = clients.get(name) ?? new HashstoreClient(machine, options)
      clients.set(name, client)
      return client
    }
    this.#placed = machines.map(clientOf)
    this.#leaving = leaving.map(clientOf).filter((client) => !this.#placed.includes(client))
    this.servers = [...clients.values()]
    this.nameserver = nameserver && new HashstoreClient(nameserver, options)
  }

  /** The server that a file belongs to. */
  serverOf(path: Buffer): HashstoreClient {
    return this.#placed[this.#place(path)]!
  }

  /** Stores or replaces a file. Throws as `HashstoreClient.put` does. */
  async put(path: Buffer, file: LocalFile): Promise<FileEntry> {
    const { chunkSizeBytes } = this.#options
    const isLong = chunkSizeBytes > 0 && file.sizeBytes > chunkSizeBytes
    const { entry, manifest } = isLong
      ? await this.#putChunked(path, file)
      : await this.serverOf(path).put(path, sourceOf(file))
    if (manifest !== undefined) await this.#removeChunks(manifest)
    await this.#tell((names) => names.enter(path, { size: file.sizeBytes, time: entry!.time }))
    return entry!
  }

  /**
   * Opens a file: at its server, and where that has none, at the others, where it may be before it is moved; then once more at
   * its server, to which it may have been moved meanwhile. Throws `not_found`, `unavailable`.
   */
  async get(path: Buffer): Promise<RemoteFile> {
    const { entry, pieces, close } =
      (await this.#getLatest(path)) ?? (await this.#everywhere(path, (server) => server.get(path)))
    if (entry.manifest === undefined) return { sizeBytes: entry.size, pieces, close }
    const bytes: Buffer[] = []
    for await (const piece of pieces()) bytes.push(piece)
    const manifest = decodeManifest(Buffer.concat(bytes))
    return { sizeBytes: manifest.size, pieces: () => this.#chunks(path, manifest), close() {} }
  }

  /**
   * Of several versions, as there may be while servers are emptied: who was written to before the others may have a later one than
   * its present server. Undefined where its server and those have none, or it was moved meanwhile.
   */
  async #getLatest(path: Buffer): Promise<Fetched | undefined> {
    if (this.#leaving.length === 0) return undefined
    const own = this.serverOf(path)
    const [first, ...others] = await Promise.all([
      ifThere(own.stat(path)),
      // One that is gone for good holds up nobody: its share of the files is lost.
      ...this.#leaving.map((server) => ifThere(server.stat(path)).catch(() => undefined)),
    ])
    let [latest, time] = [own, first?.time ?? -1]
    for (const [at, entry] of others.entries())
      if (entry !== undefined && entry.time > time) [latest, time] = [this.#leaving[at]!, entry.time]
    return time < 0 ? undefined : await ifThere(latest.get(path))
  }

  /** What all servers have of a path. Its own server is asked last: what is moved there meanwhile is found. Throws `unavailable`. */
  async statAll(path: Buffer): Promise<FileEntry[]> {
    const entries: FileEntry[] = []
    for (const server of this.#ownLast(path)) {
      const entry = await ifThere(server.stat(path))
      if (entry !== undefined) entries.push(entry)
    }
    return entries
  }

  /** Removes a file wherever it is. Throws `not_found`, `unavailable`. */
  async remove(path: Buffer): Promise<void> {
    const removed = await this.#removeEverywhere(path, { isMarked: true })
    for (const { manifest } of removed) if (manifest !== undefined) await this.#removeChunks(manifest)
    await this.#tell((names) => names.leave(path))
    if (removed.length === 0) throw new StoreError('not_found', `there is no file ${textOfPath(path)}`)
  }

  /** All files of all servers, chunks left out, with their whole length. For stores without a name server. */
  async *list(): AsyncGenerator<FileEntry[]> {
    for (const server of this.servers) {
      for await (const page of server.list()) {
        const files = page.filter(({ chunkOf }) => chunkOf === undefined)
        yield files.map((entry) => ({ ...entry, size: fileSize(entry) }))
      }
    }
  }

  close(): void {
    for (const server of this.#all()) server.close()
  }

  /** Breaks off what is under way, so that no connection keeps the process waiting. */
  abort(): void {
    for (const server of this.#all()) server.abort()
  }

  #all(): HashstoreClient[] {
    return [...this.servers, ...(this.nameserver ? [this.nameserver] : [])]
  }

  /** Files do not depend on the name server: when it does not hear of one, a rebalance tells it. */
  async #tell(what: (names: HashstoreClient) => Promise<void>): Promise<void> {
    if (this.nameserver === undefined) return
    try {
      await what(this.nameserver)
    } catch (error) {
      this.nameserverFailure = toStoreError(error)
    }
  }

  async #everywhere<T>(path: Buffer, ask: (server: HashstoreClient) => Promise<T>): Promise<T> {
    const own = this.serverOf(path)
    const others = this.servers.filter((each) => each !== own)
    let failure: unknown
    for (const server of others.length === 0 ? [own] : [own, ...others, own]) {
      try {
        return await ask(server)
      } catch (error) {
        // Only when all servers say so, there is no such file.
        if (toStoreError(error).code !== 'not_found') {
          if (server === own) throw error
          failure ??= error
        }
      }
    }
    throw failure ?? new StoreError('not_found', `there is no file ${textOfPath(path)}`)
  }

  async #putChunked(path: Buffer, file: LocalFile) {
    const { chunkSizeBytes: chunkSize, clock, random } = this.#options
    const startMs = clock.monotonicMs()
    const count = Math.ceil(file.sizeBytes / chunkSize)
    const upload = random.bytes(UPLOAD_ID_BYTES).toString('hex')
    const manifest: Manifest = { format: 1, size: file.sizeBytes, chunkSize, upload, chunks: [] }
    const chunkOf = textOfPath(path)
    let next = 0
    const putNext = async () => {
      // Those before it were the last ones, or have failed.
      if (next >= count) return
      const index = next++
      const bytes = await readWhole(file, index * chunkSize, chunkBytes(manifest, index))
      manifest.chunks[index] = createHash('sha256').update(bytes).digest('hex')
      const chunk = chunkPath(manifest, index)
      await this.serverOf(chunk).put(chunk, memorySource(bytes), { chunkOf })
    }
    const lane = async () => {
      while (next < count) await this.#chunkMemory.run(chunkSize, putNext)
    }
    const stopAll = (error: unknown) => {
      next = count
      throw error
    }
    const lanes = await Promise.allSettled(
      Array.from({ length: CHUNKS_AT_ONCE }, () => lane().catch(stopAll)),
    )
    const failed = lanes.find((each) => each.status === 'rejected')
    // Its first chunks may be gone.
    const isLate = clock.monotonicMs() - startMs > HASHSTORE_UPLOAD_MS_MAX
    if (failed !== undefined || isLate) {
      await this.#removeChunksOf(manifest).catch(() => undefined)
      throw (
        failed?.reason ??
        new StoreError('timeout', 'the upload took longer than chunks are kept without a file')
      )
    }
    return await this.serverOf(path).put(path, memorySource(encodeManifest(manifest)), {
      manifest: markOf(manifest),
    })
  }

  async *#chunks(file: Buffer, manifest: Manifest): AsyncGenerator<LentPiece> {
    for (const index of manifest.chunks.keys()) {
      const path = chunkPath(manifest, index)
      const { pieces } = await this.#everywhere(path, (server) => server.get(path)).catch(async (error) => {
        await this.#assertStillThere(file, manifest)
        throw error
      })
      const hash = createHash('sha256')
      let sizeBytes = 0
      for await (const piece of pieces()) {
        hash.update(piece)
        sizeBytes += piece.length
        yield piece
      }
      if (sizeBytes !== chunkBytes(manifest, index) || hash.digest('hex') !== manifest.chunks[index])
        throw new StoreError('corrupt', `chunk ${index} of the file is another one`)
    }
  }

  /** Throws `conflict` where a file has other chunks by now. */
  async #assertStillThere(file: Buffer, manifest: Manifest): Promise<void> {
    const present = await this.statAll(file)
    if (!present.some((entry) => entry.manifest === markOf(manifest)))
      throw new StoreError('conflict', 'the file was replaced or removed while it was read')
  }

  async #removeChunks(manifest: Buffer): Promise<void> {
    // What stays behind, a rebalance finds.
    await this.#removeChunksOf(decodeManifest(manifest)).catch(() => undefined)
  }

  async #removeChunksOf(manifest: Manifest): Promise<void> {
    for (const index of manifest.chunks.keys())
      await this.#removeEverywhere(chunkPath(manifest, index), { isMarked: false })
  }

  /**
   * From its own server last: a copy that was on its way there is removed too. With a mark it takes none that comes later,
   * either.
   */
  async #removeEverywhere(path: Buffer, { isMarked }: { isMarked: boolean }): Promise<Changed[]> {
    const own = this.serverOf(path)
    const removed: Changed[] = []
    for (const server of this.#ownLast(path)) {
      const times = removed.flatMap(({ entry }) => entry?.time ?? [])
      const time = isMarked && server === own && times.length > 0 ? Math.max(...times) : undefined
      const changed = await ifThere(server.remove(path, undefined, time))
      if (changed !== undefined) removed.push(changed)
    }
    return removed
  }

  #ownLast(path: Buffer): HashstoreClient[] {
    const own = this.serverOf(path)
    return [...this.servers.filter((each) => each !== own), own]
  }
}

const sourceOf = (file: LocalFile): Source => ({
  sizeBytes: file.sizeBytes,
  pieces: () => file.read(0, file.sizeBytes),
})

const memorySource = (bytes: Buffer): Source => ({
  sizeBytes: bytes.length,
  async *pieces() {
    yield bytes
  },
})

async function readWhole(file: LocalFile, start: number, sizeBytes: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(sizeBytes)
  let filled = 0
  for await (const piece of file.read(start, start + sizeBytes)) {
    filled += piece.copy(whole, filled)
    piece.giveBack?.()
  }
  if (filled !== sizeBytes) throw new StoreError('conflict', 'the file was changed while it was read')
  return whole
}
