/** One `cairn server` over six directories, with objects in shards, of which everything that was acknowledged is remembered. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { isErasure } from '../../src/base/erasure-id.ts'
import type { Random } from '../../src/base/random.ts'
import type { ClusterOverview } from '../../src/blobs/cluster-overview.ts'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'
import { checkGroups } from './check-groups.ts'

export const DIRECTORIES = 6
const WHOLE_MS_MAX = 60_000
const FLAGS = [
  '--no-journal',
  '--workers',
  '1',
  '--redundancy',
  'rs-4-2',
  '--repair-after',
  '1s',
  '--heartbeat',
  '200ms',
]

export class OneServer {
  readonly #random: Random
  readonly #flags: readonly string[]
  readonly #directory = temporaryDirectory()
  /** SHA-256 by name. */
  readonly acknowledged = new Map<string, string>()
  readonly directories: string[]
  #process: ServerProcess | undefined
  #next = 0

  /** `directories`: of the volumes, where they are elsewhere. */
  constructor(
    random: Random,
    flags: readonly string[] = [],
    directories: readonly (string | undefined)[] = [],
  ) {
    this.#random = random
    this.#flags = flags
    this.directories = Array.from(
      { length: DIRECTORIES },
      (_, index) => directories[index] ?? join(this.#directory.path, `d${index}`),
    )
  }

  get process(): ServerProcess {
    assert.ok(this.#process !== undefined, 'the server runs')
    return this.#process
  }

  async start(): Promise<void> {
    // Names lie beside the volumes, so that no directory of those is special.
    const names = ['--metadata', join(this.#directory.path, 'meta')]
    this.#process = await startServer(this.directories.join(), [...FLAGS, ...names, ...this.#flags])
  }

  async stop(): Promise<void> {
    await this.#process?.stop()
  }

  async kill(): Promise<void> {
    await this.#process?.kill()
  }

  async put(lengthBytes: number): Promise<boolean> {
    const name = `file-${this.#next++}`
    const bytes = this.#random.bytes(lengthBytes)
    const reply = await fetch(this.#url(name), { method: 'PUT', body: bytes }).catch(() => undefined)
    await reply?.arrayBuffer().catch(() => undefined)
    if (reply?.status === 201) this.acknowledged.set(name, sha256(bytes))
    return reply?.status === 201
  }

  async fill(count: number): Promise<void> {
    const sizes = [200, 2_000, 20_000, 200_000]
    for (let i = 0; i < count; i++) assert.ok(await this.put(sizes[this.#random.below(sizes.length)]!))
  }

  async checkAll(): Promise<void> {
    for (const [name, hash] of this.acknowledged) {
      const reply = await fetch(this.#url(name))
      const bytes = Buffer.from(await reply.arrayBuffer())
      assert.equal(reply.status, 200, `${name}: ${bytes.toString().slice(0, 500)}`)
      assert.equal(sha256(bytes), hash, `${name} has its bytes`)
    }
  }

  #url(name: string): string {
    return `http://${this.process.filer}/one/${name}`
  }

  /** All that is in a directory. */
  empty(index: number): void {
    const path = this.directories[index]!
    for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true })
  }

  async overview(): Promise<ClusterOverview> {
    const reply = await fetch(`http://${this.process.master}/`, { headers: { accept: 'application/json' } })
    return (await reply.json()) as ClusterOverview
  }

  async metric(name: string): Promise<number> {
    const page = await (await fetch(`http://${this.process.volume}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1])
  }

  async until(what: string, isDone: () => Promise<boolean>): Promise<void> {
    const endMs = systemClock.monotonicMs() + WHOLE_MS_MAX
    while (!(await isDone())) {
      assert.ok(
        systemClock.monotonicMs() < endMs,
        `waited too long: ${what}\n${this.process.log().slice(-3000)}`,
      )
      await systemClock.sleep(100)
    }
  }

  /** While nobody writes: every group has all volumes, filled, with as many files each. */
  async untilWhole(): Promise<void> {
    await this.until('all shards are there', async () => {
      const { groups, volumes } = await this.overview()
      const isEven = groups.every(({ id }) => {
        const members = volumes.filter((volume) => isErasure(volume.id) && (volume.id & ~0xf) === id)
        return new Set(members.map(({ fileCount }) => fileCount)).size === 1
      })
      const isQuiet = (await this.metric('cairn_repair_shards_waiting')) === 0
      return isQuiet && isEven && groups.every(({ health }) => health === 'healthy')
    })
  }

  /** Stops the server and looks into the volumes. */
  async checkVolumes(options: { rests?: boolean } = {}): Promise<void> {
    await this.stop()
    const stores = this.directories.map((path) => new RealStore(path))
    await checkGroups(
      stores.flatMap((store) => store.volumes.list()),
      options,
    )
    for (const store of stores) await store.close()
  }

  async close(): Promise<void> {
    await this.kill()
    this.#directory.remove()
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
