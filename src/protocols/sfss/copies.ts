/**
 * The copies of one file on several servers: what a quorum of them says is what was written last. A read asks all of them and
 * goes on with those that answer first; the others, when they come, show what is to be repaired. A write looks at what a quorum
 * has, and is newer than that. Neither ever overwrites something newer, however late or often it arrives: it replaces only what
 * was seen before.
 */

import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { SFSS_REMOVED_S, SFSS_REPAIRS_MAX, SFSS_WRITE_ATTEMPTS_MAX } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { MemcachedClient } from '../../net/memcached-client.ts'
import { compareVersions, decodeFileRecord, encodeFileRecord, type FileRecord } from './file-record.ts'
import type { FileNode } from './node-counters.ts'
import { OwedRemovals } from './owed-removals.ts'
import type { VersionClock } from './version-clock.ts'

export interface Quorums {
  write: number
  read: number
}

/** What one server has. */
interface Copy {
  node: FileNode
  /** Undefined: nothing, or nothing that can be read. */
  record: FileRecord | undefined
  /** To replace it with; undefined: there is nothing to replace. */
  unique: string | undefined
}

export interface CopiesOptions {
  quorums: Quorums
  versions: VersionClock
  clock: Clock
  log: Log
}

/** What is written; its version is chosen when it is known what is there. */
export type NewFile = Omit<FileRecord, 'version'>

/** A record as it is stored. */
interface Stored {
  record: FileRecord
  bytes: Buffer
  expiresS: number
}

/** One write. However often it is tried, it has one version: once that is chosen, it stays. */
class Write {
  readonly key: string
  readonly file: NewFile
  readonly #versions: VersionClock
  #seen = 0
  #chosen: Stored | undefined

  constructor(key: string, file: NewFile, versions: VersionClock) {
    this.key = key
    this.file = file
    this.#versions = versions
  }

  see(record: FileRecord | undefined): void {
    if (record !== undefined) this.#seen = Math.max(this.#seen, record.version)
  }

  /** Newer than all that was seen before the first call. */
  choose(): Stored {
    this.#chosen ??= storedOf({ ...this.file, version: this.#versions.next(this.#seen) })
    return this.#chosen
  }
}

export class Copies {
  readonly #quorums: Quorums
  readonly #versions: VersionClock
  readonly #log: Log
  readonly #owed: OwedRemovals<Stored>
  #repairs = 0

  constructor({ quorums, versions, clock, log }: CopiesOptions) {
    this.#quorums = quorums
    this.#versions = versions
    this.#log = log
    this.#owed = new OwedRemovals({
      ...{ clock, log },
      redo: (node, key, stored) => this.#redo(node, key, stored),
    })
  }

  /** What servers have missed is not done any more. */
  close(): void {
    this.#owed.close()
  }

  /** What was written last, a removal too; undefined where nobody has anything. Throws `unavailable`, `corrupt`. */
  read(nodes: readonly FileNode[], key: string, path: string): Promise<FileRecord | undefined> {
    return orAgain(clientsOf(nodes), () => this.#read(nodes, key, path))
  }

  #read(nodes: readonly FileNode[], key: string, path: string): Promise<FileRecord | undefined> {
    return new Promise((resolve, reject) => {
      const copies: Copy[] = []
      const failures: StoreError[] = []
      let [answers, newest]: [number, FileRecord | undefined] = [0, undefined]
      const note = () => {
        const isLast = copies.length + failures.length === nodes.length
        // A server that has nothing may have forgotten what it took: then all are heard that can be.
        const found = copies.filter(({ record }) => record !== undefined).length
        if (found >= this.#quorums.read || (isLast && answers >= this.#quorums.read)) resolve(newest)
        if (!isLast) return
        if (answers < this.#quorums.read) reject(tooFew(failures, copies.length > answers))
        // What too few know may be old, and the damaged copies newer.
        else if (newest !== undefined) this.#repair(copies, key, newest)
      }
      for (const node of nodes) {
        node.counters.add('reads')
        this.#readOne(node, key, path).then(
          ({ isDamaged, ...copy }) => {
            copies.push(copy)
            if (!isDamaged) answers++
            const { record } = copy
            if (record?.data !== undefined) node.counters.add('hits')
            if (record !== undefined && (newest === undefined || compareVersions(record, newest) > 0))
              newest = record
            note()
          },
          (error: unknown) => {
            node.counters.add('failures')
            failures.push(toStoreError(error))
            note()
          },
        )
      }
    })
  }

  async #readOne(node: FileNode, key: string, path: string): Promise<Copy & { isDamaged: boolean }> {
    const found = await node.client.gets(key)
    if (found === undefined) return { node, record: undefined, unique: undefined, isDamaged: false }
    const { unique, value } = found
    try {
      return { node, record: decodeFileRecord(value, path), unique, isDamaged: false }
    } catch (error) {
      // Written by a later version of sfss, which is not to be replaced by what this one can read.
      if (toStoreError(error).code === 'unsupported') throw error
      node.counters.add('damaged')
      this.#log.warn(
        { node: node.client.address, path, reason: toStoreError(error).message },
        'a copy is damaged',
      )
      return { node, record: undefined, unique, isDamaged: true }
    }
  }

  /**
   * Resolves when a quorum has it, or what others wrote at the same time and is newer; the other servers get it, too. Throws
   * `unavailable`, `too_large`, `disk_full`.
   */
  write(nodes: readonly FileNode[], key: string, file: NewFile): Promise<void> {
    const write = new Write(key, file, this.#versions)
    return orAgain(clientsOf(nodes), () => this.#write(nodes, write))
  }

  #write(nodes: readonly FileNode[], write: Write): Promise<void> {
    return new Promise((resolve, reject) => {
      const quorum = this.#quorums.write
      const heard: Copy[] = []
      const failures: StoreError[] = []
      const missed: FileNode[] = []
      let [done, isRefused] = [0, false]
      const fail = (node: FileNode, error: unknown) => {
        node.counters.add('failures')
        failures.push(toStoreError(error))
        missed.push(node)
        if (done >= quorum) this.#owe(missed, write)
        if (nodes.length - failures.length < quorum) reject(tooFew(failures, false))
      }
      const replace = (copy: Copy) => {
        this.#replace(copy, write.key, write.choose()).then(
          () => {
            if (++done < quorum) return
            this.#owe(missed, write)
            resolve()
          },
          (error: unknown) => fail(copy.node, error),
        )
      }
      const hear = (copy: Copy) => {
        write.see(copy.record)
        if (heard.push(copy) < quorum || isRefused) return
        if (heard.length > quorum) return replace(copy)
        const refusal = refusalOf(clientsOf(nodes), write)
        isRefused = refusal !== undefined
        if (isRefused) reject(refusal)
        else heard.forEach(replace)
      }
      for (const node of nodes) {
        node.counters.add('writes')
        this.#readOne(node, write.key, write.file.path).then(hear, (error: unknown) => fail(node, error))
      }
    })
  }

  /** Resolves when the server has it, or something newer. */
  async #replace(copy: Copy, key: string, stored: Stored): Promise<void> {
    const { node } = copy
    let present = copy
    for (let attempt = 0; attempt < SFSS_WRITE_ATTEMPTS_MAX; attempt++) {
      if (present.record !== undefined && compareVersions(present.record, stored.record) >= 0) return
      if (await store(present, key, stored)) return
      present = await this.#readOne(node, key, stored.record.path)
    }
    throw new StoreError('unavailable', `${node.client.address}: others write the file all the time`)
  }

  /** Those that missed a removal which is acknowledged get it later. Of other writes, reads bring them what they missed. */
  #owe(missed: FileNode[], write: Write): void {
    const nodes = missed.splice(0)
    if (write.file.data !== undefined) return
    for (const node of nodes) this.#owed.add(node, write.key, write.choose())
  }

  async #redo(node: FileNode, key: string, stored: Stored): Promise<void> {
    await this.#replace(await this.#readOne(node, key, stored.record.path), key, stored)
  }

  #repair(copies: readonly Copy[], key: string, newest: FileRecord): void {
    const wrong = copies.filter(({ record }) => record === undefined || compareVersions(record, newest) < 0)
    if (wrong.length === 0 || this.#repairs + wrong.length > SFSS_REPAIRS_MAX) return
    const stored = storedOf(newest)
    for (const copy of wrong) void this.#repairOne(copy, key, stored)
  }

  async #repairOne(copy: Copy, key: string, stored: Stored): Promise<void> {
    const { counters } = copy.node
    this.#repairs++
    try {
      if (await store(copy, key, stored)) counters.add('repaired')
    } catch {
      // The next read finds it, and tries again.
      counters.add('failures')
    } finally {
      this.#repairs--
    }
  }
}

/**
 * False: the server no longer has what was seen. Throws as the client does; what a server refuses to add or to replace so, unlike
 * what it refuses to set, leaves it what it has.
 */
async function store({ node, unique }: Copy, key: string, { bytes, expiresS }: Stored): Promise<boolean> {
  const { client } = node
  checkSize(client, key, bytes)
  return unique === undefined
    ? await client.add(key, bytes, expiresS)
    : await client.cas(key, bytes, { unique, expiresS })
}

/** Asked when a quorum has answered: servers say what they take when they are connected to. */
function refusalOf(clients: readonly MemcachedClient[], write: Write): StoreError | undefined {
  const { bytes } = write.choose()
  try {
    for (const client of clients) checkSize(client, write.key, bytes)
  } catch (error) {
    return toStoreError(error)
  }
  return undefined
}

function checkSize({ address, itemBytesMax }: MemcachedClient, key: string, bytes: Buffer): void {
  if (itemBytesMax === undefined || key.length + bytes.length <= itemBytesMax) return
  throw new StoreError(
    'too_large',
    `${address} takes no values over ${itemBytesMax} bytes: start it with a larger limit (memcached -I, cairn memcached --max-value)`,
  )
}

/** Where too few answer, those that are down may be back: they are tried at once, and then all of it once more. */
export async function orAgain<T>(clients: readonly MemcachedClient[], run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (toStoreError(error).code !== 'unavailable') throw error
    await Promise.all(clients.map((client) => client.retry()))
    return await run()
  }
}

function clientsOf(nodes: readonly FileNode[]): MemcachedClient[] {
  return nodes.map(({ client }) => client)
}

function storedOf(record: FileRecord): Stored {
  const expiresS = record.data === undefined ? SFSS_REMOVED_S : 0
  return { record, bytes: encodeFileRecord(record), expiresS }
}

function tooFew(failures: readonly StoreError[], isDamaged: boolean): StoreError {
  const reasons = failures.map(({ message }) => message)
  const known = failures.find(({ code }) => code === 'too_large' || code === 'disk_full')
  if (known !== undefined) return known
  if (failures.length === 0 && isDamaged)
    return new StoreError('corrupt', 'too many copies of the file are damaged')
  return new StoreError('unavailable', `too few of the file's storages answer: ${reasons.join('; ')}`)
}
