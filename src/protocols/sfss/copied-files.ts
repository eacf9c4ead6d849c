/**
 * Files as copies on servers of memcached's protocol, which need not know of each other: a ring says which of them keep a
 * path, and a majority of those decides. `docs/sfss.md` says what holds when servers fail.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { HashRing } from '../../base/hash-ring.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { mimeTypeOfName } from '../../net/mime-types.ts'
import { checkDelete, checkWrite } from '../../objects/conditions.ts'
import type { Conditions } from '../../objects/object-store.ts'
import { Copies, orAgain, type Quorums } from './copies.ts'
import type { FileRecord } from './file-record.ts'
import type { FileStore, StorageState, StoredFile } from './file-store.ts'
import type { FileNode } from './node-counters.ts'
import { VersionClock } from './version-clock.ts'

export interface CopiedFilesOptions {
  nodes: readonly FileNode[]
  /** Of each file; at most as many as there are nodes. */
  copies: number
  /** Memory of the VersionClock. */
  versions: SharedArrayBuffer
  clock: Clock
  random: Random
  log: Log
}

const KEY_PREFIX = 'sfss:'

/** A majority writes; so many read that they meet one of those. */
export function quorumsOf(copies: number): Quorums {
  const write = Math.floor(copies / 2) + 1
  return { write, read: copies - write + 1 }
}

export class CopiedFiles implements FileStore {
  readonly #nodes: readonly FileNode[]
  readonly #ring: HashRing
  readonly #copies: Copies
  readonly #clock: Clock
  readonly #writer: number

  constructor({ nodes, copies, versions, clock, random, log }: CopiedFilesOptions) {
    this.#nodes = nodes
    const addresses = nodes.map(({ client }) => client.address)
    this.#ring = new HashRing(addresses, copies)
    this.#copies = new Copies({
      ...{ quorums: quorumsOf(copies), clock, log },
      versions: new VersionClock(versions, clock),
    })
    this.#clock = clock
    this.#writer = random.u32()
  }

  async find(path: string): Promise<StoredFile> {
    const record = await this.#read(path)
    if (record?.data === undefined) throw new StoreError('not_found', `there is no file ${path}`)
    const { data, contentType, modifiedMs } = record
    return {
      ...{ contentType, modifiedMs, etag: etagOf(record), sizeBytes: data.length },
      read: (start, end) => data.subarray(start, end),
    }
  }

  async put(path: string, bytes: Buffer, conditions: Conditions | undefined): Promise<void> {
    if (conditions !== undefined) {
      const present = await this.#read(path)
      checkWrite(conditions, present?.data && { ...facts(present), size: present.data.length })
    }
    await this.#write(path, bytes)
  }

  async remove(path: string, conditions: Conditions | undefined): Promise<void> {
    const { etag, modifiedMs, sizeBytes } = await this.find(path)
    checkDelete(conditions, { etag, modified_ms: modifiedMs, size: sizeBytes })
    await this.#write(path, undefined)
  }

  async states(): Promise<StorageState[]> {
    const states = await Promise.all(this.#nodes.map(({ client }) => stateOf(client)))
    if (states.every(({ failure }) => failure !== undefined))
      throw new StoreError('unavailable', 'no storage answers')
    return states
  }

  /** Nothing more is done that nobody asks for. */
  close(): void {
    this.#copies.close()
  }

  #read(path: string): Promise<FileRecord | undefined> {
    const { key, nodes } = this.#placeOf(path)
    return this.#copies.read(nodes, key, path)
  }

  async #write(path: string, data: Buffer | undefined): Promise<void> {
    const { key, nodes } = this.#placeOf(path)
    await this.#copies.write(nodes, key, {
      ...{ path, data, writer: this.#writer },
      modifiedMs: this.#clock.nowMs(),
      contentType: mimeTypeOfName(path).split(';')[0]!,
    })
  }

  /** Keys are hashes, for paths may be longer than keys, and have spaces. */
  #placeOf(path: string): { key: string; nodes: FileNode[] } {
    const digest = createHash('sha256').update(path).digest()
    const nodes = this.#ring.nodesOf(digest.readUInt32BE(0)).map((at) => this.#nodes[at]!)
    return { key: KEY_PREFIX + digest.toString('hex'), nodes }
  }
}

/** Asks a server what it says of itself, now; also one that was down a moment ago, or was started anew since. */
export async function stateOf(client: FileNode['client']): Promise<StorageState> {
  const { address } = client
  try {
    const stats = await orAgain([client], () => client.stats())
    return { address, failure: undefined, stats }
  } catch (error) {
    return { address, failure: toStoreError(error).message, stats: {} }
  }
}

function etagOf({ version, writer }: FileRecord): string {
  return `${version.toString(16)}-${writer.toString(16).padStart(8, '0')}`
}

function facts(record: FileRecord): { etag: string; modified_ms: number } {
  return { etag: etagOf(record), modified_ms: record.modifiedMs }
}
