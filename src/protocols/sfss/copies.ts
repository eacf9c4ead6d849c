/**
 * The copies of one file on several servers: what a quorum of them says is what was written last. A read asks all of them and
 * goes on with those that answer first; the others, when they come, show what is to be repaired. A repair never overwrites
 * what came in meanwhile.
 */

import { StoreError, toStoreError } from '../../base/errors.ts'
import { SFSS_REMOVED_S, SFSS_REPAIRS_MAX } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { MemcachedClient } from '../../net/memcached-client.ts'
import { compareVersions, decodeFileRecord, encodeFileRecord, type FileRecord } from './file-record.ts'
import type { NodeCounters } from './node-counters.ts'

/** A server, and where this thread counts what it did with it. */
export interface FileNode {
  client: MemcachedClient
  counters: NodeCounters
}

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

export class Copies {
  readonly #quorums: Quorums
  readonly #log: Log
  #repairs = 0

  constructor({ quorums, log }: { quorums: Quorums; log: Log }) {
    this.#quorums = quorums
    this.#log = log
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
        if (newest !== undefined) this.#repair(copies, key, newest)
      }
      for (const node of nodes) {
        node.counters.add('reads')
        this.#readOne(node, key, path).then(
          ({ isDamaged, ...copy }) => {
            copies.push(copy)
            if (!isDamaged) answers++
            const { record } = copy
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
      const record = decodeFileRecord(value, path)
      if (record.data !== undefined) node.counters.add('hits')
      return { node, record, unique, isDamaged: false }
    } catch (error) {
      node.counters.add('damaged')
      this.#log.warn(
        { node: node.client.address, path, reason: toStoreError(error).message },
        'a copy is damaged',
      )
      return { node, record: undefined, unique, isDamaged: true }
    }
  }

  /** Resolves when a quorum has it; the others get it, too. Throws `unavailable`, `too_large`, `disk_full`. */
  async write(nodes: readonly FileNode[], key: string, record: FileRecord): Promise<void> {
    const bytes = encodeFileRecord(record)
    await orAgain(clientsOf(nodes), () => this.#write(nodes, key, { bytes, expiresS: expiryOf(record) }))
  }

  #write(
    nodes: readonly FileNode[],
    key: string,
    { bytes, expiresS }: { bytes: Buffer; expiresS: number },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let done = 0
      const failures: StoreError[] = []
      for (const node of nodes) {
        node.counters.add('writes')
        node.client.set(key, bytes, expiresS).then(
          () => {
            if (++done === this.#quorums.write) resolve()
          },
          (error: unknown) => {
            node.counters.add('failures')
            failures.push(toStoreError(error))
            if (nodes.length - failures.length < this.#quorums.write) reject(tooFew(failures, false))
          },
        )
      }
    })
  }

  #repair(copies: readonly Copy[], key: string, newest: FileRecord): void {
    const wrong = copies.filter(({ record }) => record === undefined || compareVersions(record, newest) < 0)
    if (wrong.length === 0 || this.#repairs + wrong.length > SFSS_REPAIRS_MAX) return
    const bytes = encodeFileRecord(newest)
    for (const copy of wrong) void this.#repairOne(copy, key, { bytes, expiresS: expiryOf(newest) })
  }

  async #repairOne(
    { node, unique }: Copy,
    key: string,
    { bytes, expiresS }: { bytes: Buffer; expiresS: number },
  ): Promise<void> {
    const { client, counters } = node
    this.#repairs++
    try {
      const isDone =
        unique === undefined
          ? await client.add(key, bytes, expiresS)
          : await client.cas(key, bytes, { unique, expiresS })
      if (isDone) counters.add('repaired')
    } catch {
      // The next read finds it, and tries again.
      counters.add('failures')
    } finally {
      this.#repairs--
    }
  }
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

function expiryOf(record: FileRecord): number {
  return record.data === undefined ? SFSS_REMOVED_S : 0
}

function tooFew(failures: readonly StoreError[], isDamaged: boolean): StoreError {
  const reasons = failures.map(({ message }) => message)
  const known = failures.find(({ code }) => code === 'too_large' || code === 'disk_full')
  if (known !== undefined) return known
  if (failures.length === 0 && isDamaged)
    return new StoreError('corrupt', 'all copies of the file are damaged')
  return new StoreError('unavailable', `too few of the file's storages answer: ${reasons.join('; ')}`)
}
