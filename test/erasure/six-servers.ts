/**
 * Six volume servers, two servers of `/objects`, a master, PostgreSQL and RabbitMQ as processes of their own, under a load of
 * reads and writes of which everything is remembered. Servers are killed and started again; what was acknowledged must be
 * readable all the time.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { groupVolumeOf, isErasure, layoutOf, shardIndexOf } from '../../src/base/erasure-id.ts'
import type { Random } from '../../src/base/random.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { PostgresServer } from '../support/postgres.ts'
import { RabbitServer } from '../support/rabbitmq.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'
import { checkGroups } from './check-groups.ts'
import { shardFilesStore } from './shard-files-store.ts'

const SERVERS = 6
const DOORS = 2
const HEARTBEAT_MS = 500
const HEARTBEAT = ['--bus-heartbeat', `${HEARTBEAT_MS}ms`]
const WHOLE_MS_MAX = 60_000
const SIZES = [0, 100, 1_000, 5_000, 70_000]
const READS_AT_ONCE = 4
const WRITES_AT_ONCE = 2
/** About 200 requests a second in all. */
const PAUSE_MS = 25

export interface Whole {
  /** Since it was waited for. */
  ms: number
}

export class SixServers {
  readonly #directory: { path: string; remove: () => void }
  readonly #random: Random
  /** Shards are files. */
  readonly #files: boolean
  readonly #ports: number[] = []
  #postgres: PostgresServer | undefined
  #master: RoleProcess | undefined
  #rabbit: RabbitServer | undefined
  #doors: RoleProcess[] = []
  readonly servers: RoleProcess[] = []
  /** SHA-256 by name. */
  readonly acknowledged = new Map<string, string>()
  /** Names of those that had all six shards when `untilWhole` looked: two servers less do not matter to them. */
  #whole: string[] = []
  readonly failedReads: string[] = []
  reads = 0
  failedWrites = 0
  #loading: Promise<void>[] = []
  #isLoading = false
  #next = 0

  private constructor(random: Random, files: boolean) {
    this.#random = random
    this.#files = files
    this.#directory = temporaryDirectory()
  }

  /** `files`: the volume servers keep shards as files. */
  static async start(random: Random, { files = false } = {}): Promise<SixServers> {
    const six = new SixServers(random, files)
    try {
      await six.#startAll()
      return six
    } catch (error) {
      await six.close()
      throw error
    }
  }

  async #startAll(): Promise<void> {
    this.#postgres = await PostgresServer.start()
    this.#rabbit = await RabbitServer.start()
    const database = await this.#postgres.createDatabase('six')
    writeFileSync(this.#secretFile, 'a secret that six servers of a test share\n', { mode: 0o600 })
    const master = ['--data', join(this.#directory.path, 'master'), '--repair-after', '2s']
    this.#master = await startRole('master', await freePort(), [...master, ...HEARTBEAT, ...this.#cluster])
    for (let index = 0; index < SERVERS; index++) {
      this.#ports.push(await freePort())
      await this.startServer(index)
    }
    const key = ['--root-access-key', 'test-root', '--root-secret-key', 'test-secret']
    const flags = [...this.#cluster, ...key, '--metadata', database, '--workers', '1']
    for (let door = 0; door < DOORS; door++)
      this.#doors.push(await startRole('objects', await freePort(), flags))
  }

  get #secretFile(): string {
    return join(this.#directory.path, 'cluster.secret')
  }

  get #cluster(): string[] {
    return ['--bus', this.#rabbit!.url, '--cluster-secret-file', this.#secretFile]
  }

  dataOf(index: number): string {
    return join(this.#directory.path, `volume-${index}`)
  }

  async startServer(index: number): Promise<void> {
    const own = ['--dir', this.dataOf(index), '--ballast', '0', '--workers', '1']
    const layout = this.#files ? ['--layout', 'files'] : []
    const flags = [...own, ...HEARTBEAT, ...this.#cluster, ...layout]
    this.servers[index] = await startRole('volume', this.#ports[index]!, flags)
  }

  async kill(indexes: readonly number[]): Promise<void> {
    await Promise.all(indexes.map((index) => this.servers[index]!.kill()))
  }

  async startAgain(indexes: readonly number[]): Promise<void> {
    await Promise.all(indexes.map((index) => this.startServer(index)))
  }

  /** The whole data directory of a server that is down. */
  empty(index: number): void {
    rmSync(this.dataOf(index), { recursive: true })
  }

  // Load

  startLoad(): void {
    this.#isLoading = true
    const loops = (count: number, run: () => Promise<void>) =>
      Array.from({ length: count }, async () => {
        while (this.#isLoading) {
          await run()
          await systemClock.sleep(PAUSE_MS)
        }
      })
    this.#loading = [
      ...loops(READS_AT_ONCE, () => this.#readOne()),
      ...loops(WRITES_AT_ONCE, async () => void (await this.write())),
    ]
  }

  async stopLoad(): Promise<void> {
    this.#isLoading = false
    await Promise.all(this.#loading)
  }

  async write(lengthBytes = SIZES[this.#random.below(SIZES.length)]!): Promise<boolean> {
    const name = `file-${this.#next++}`
    const bytes = this.#random.bytes(lengthBytes)
    const headers = { digest: `SHA-256=${createHash('sha256').update(bytes).digest('base64')}` }
    const reply = await fetch(this.#url(name), { method: 'PUT', headers, body: bytes }).catch(() => undefined)
    await reply?.arrayBuffer().catch(() => undefined)
    if (reply?.status !== 200) {
      this.failedWrites++
      return false
    }
    this.acknowledged.set(name, sha256(bytes))
    return true
  }

  async #readOne(): Promise<void> {
    const name = this.#whole[this.#random.below(Math.max(1, this.#whole.length))]
    if (name !== undefined) await this.#read(name)
  }

  async #read(name: string): Promise<void> {
    this.reads++
    try {
      const reply = await fetch(this.#url(name))
      const bytes = Buffer.from(await reply.arrayBuffer())
      if (reply.status !== 200) this.failedReads.push(`${name}: ${reply.status} ${bytes.toString()}`)
      else if (sha256(bytes) !== this.acknowledged.get(name)) this.failedReads.push(`${name}: other bytes`)
    } catch (error) {
      this.failedReads.push(`${name}: ${String(error)}`)
    }
  }

  async readAll(): Promise<void> {
    for (const name of this.acknowledged.keys()) await this.#read(name)
  }

  #url(name: string): string {
    return `http://${this.#doors[this.#random.below(DOORS)]!.address}/objects/${name}`
  }

  // What became of it

  /** While nobody writes: waits until all six members of each group are there once, have as many shards and none is being filled. */
  async untilWhole(): Promise<Whole> {
    const startMs = systemClock.monotonicMs()
    let seen = ''
    for (;;) {
      const uneven = await this.#unevenGroups()
      const ms = systemClock.monotonicMs() - startMs
      // Twice the same: what the master says is up to a heartbeat old.
      if (uneven.length === 0 && seen === 'even') {
        this.#whole = [...this.acknowledged.keys()]
        return { ms }
      }
      seen = uneven.length === 0 ? 'even' : ''
      assert.ok(ms < WHOLE_MS_MAX, `not whole after ${WHOLE_MS_MAX} ms: ${JSON.stringify(uneven)}`)
      await systemClock.sleep(HEARTBEAT_MS + 100)
    }
  }

  async #unevenGroups(): Promise<object[]> {
    const reply = await fetch(`http://${this.#master!.address}/`, { headers: { accept: 'application/json' } })
    const { volumes } = (await reply.json()) as {
      volumes: { id: number; fileCount: number; state: string }[]
    }
    const groups = Map.groupBy(
      volumes.filter(({ id }) => isErasure(id)),
      ({ id }) => groupVolumeOf(id),
    )
    const uneven = [...groups].filter(([group, members]) => {
      const { k, m } = layoutOf(group)
      // A shard that was made anew and then came back is there twice for a while, and may stand where another one belongs.
      const isOneEach = members.length === k + m && new Set(members.map(({ id }) => id)).size === k + m
      const counts = new Set(members.map(({ fileCount }) => fileCount))
      const isFilling = members.some(({ state }) => state === 'filling')
      return !isOneEach || counts.size !== 1 || isFilling
    })
    return uneven.map(([group, members]) => ({
      group,
      counts: members.map(({ id, fileCount, state }) => `${shardIndexOf(id)}: ${fileCount} ${state}`),
    }))
  }

  /** Stops all, and looks into the volumes: each key is in all six, and its shards make one blob, checked by its hash. */
  async checkVolumes(): Promise<void> {
    await Promise.all(this.#doors.map((door) => door.stop()))
    await Promise.all(this.servers.map((server) => server.stop()))
    const stores = this.servers.map((_, index) =>
      this.#files ? shardFilesStore(this.dataOf(index)) : new RealStore(this.dataOf(index)),
    )
    await checkGroups(stores.flatMap((store) => store.volumes.list()))
    for (const store of stores) await store.close()
  }

  async close(): Promise<void> {
    this.#isLoading = false
    await Promise.all([...this.servers, ...this.#doors, this.#master].map((each) => each?.kill()))
    await Promise.all([this.#postgres?.end(), this.#rabbit?.end()])
    this.#directory.remove()
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
