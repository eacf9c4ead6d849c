/** An erasure group in one store on real files, with the repair that keeps it, and what ought to be in it. */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/base/clock.ts'
import { groupMembers, groupVolume, layoutNamed } from '../../src/base/erasure-id.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Random } from '../../src/base/random.ts'
import type { ClusterClient } from '../../src/blobs/cluster-client.ts'
import { ShardCodec } from '../../src/blobs/erasure/packed-shard.ts'
import { ShardRepairer } from '../../src/blobs/shard-repairer.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { bytesNeedle } from '../../src/disk/needle.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { Scrubber } from '../../src/disk/scrub.ts'
import type { ScrubDamage } from '../../src/disk/scrub-volume.ts'
import { FAST, HOUR_MS, until } from '../support/planted-flips.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'
import { shardFilesStore } from './shard-files-store.ts'

export const GROUP = groupVolume('rs-4-2', 7)
export const MEMBERS = groupMembers(GROUP)

export interface StoredBlob {
  keyHigh: number
  keyLow: number
  cookie: number
  bytes: Buffer
}

export class ShardGroup {
  readonly #directory = temporaryDirectory()
  readonly codec = new ShardCodec(layoutNamed('rs-4-2'))
  readonly blobs: StoredBlob[] = []
  readonly store: RealStore
  readonly #random: Random
  readonly #files: boolean
  repairer: ShardRepairer

  constructor(random: Random, disk: Disk, { files = false } = {}) {
    this.#random = random
    this.#files = files
    this.store = files ? shardFilesStore(this.path, disk) : new RealStore(this.path, { disk })
    this.repairer = this.#newRepairer()
  }

  get path(): string {
    return this.#directory.path
  }

  /** `files`: shards are files. */
  static async make(random: Random, disk = realDisk, { files = false } = {}): Promise<ShardGroup> {
    const group = new ShardGroup(random, disk, { files })
    for (const id of MEMBERS) await group.store.create(id)
    return group
  }

  #newRepairer(): ShardRepairer {
    return new ShardRepairer({
      volumes: this.store.volumes,
      find: async () => [],
      client: undefined as unknown as ClusterClient,
      nodeId: '',
      keeper: this.store.keeper,
      comparePeriodMs: HOUR_MS,
      keysPerSecondMax: 1e9,
      clock: systemClock,
      log: silentLog,
    })
  }

  /** As if the process began anew: it remembers nothing. */
  async restartRepair(): Promise<void> {
    await this.repairer.stop()
    this.repairer = this.#newRepairer()
    this.repairer.start()
  }

  /** `without`: members that miss the write. */
  async put(lengthBytes: number, without: readonly number[] = []): Promise<StoredBlob> {
    const keyLow = this.blobs.length + 1
    const blob = {
      ...{ keyHigh: 3, keyLow, cookie: this.#random.u32() },
      bytes: this.#random.bytes(lengthBytes),
    }
    const all = this.codec.pack(blob.bytes)
    for (const [shard, packed] of all.entries()) {
      const needle = { ...bytesNeedle(blob, packed), name: this.#files ? all.blobName!() : undefined }
      if (!without.includes(shard)) await this.volume(shard).write(needle)
    }
    this.blobs.push(blob)
    return blob
  }

  volume(shard: number) {
    return this.store.volume(MEMBERS[shard]!)
  }

  /** What a member has of a blob; undefined: nothing, or nothing good. */
  async shardOf(blob: StoredBlob, shard: number): Promise<Buffer | undefined> {
    try {
      const needle = await this.volume(shard).read({ volumeId: MEMBERS[shard]!, ...blob })
      if (needle?.large === undefined) return needle && Buffer.from(needle.data!)
      const pieces: Buffer[] = []
      for await (const piece of needle.large.read(0, needle.dataSizeBytes)) pieces.push(Buffer.from(piece))
      needle.large.close()
      return Buffer.concat(pieces)
    } catch {
      return undefined
    }
  }

  async wrongShards(): Promise<string[]> {
    const wrong: string[] = []
    for (const blob of this.blobs) {
      for (const [shard, packed] of this.codec.pack(blob.bytes).entries()) {
        const found = await this.shardOf(blob, shard)
        if (found === undefined || !found.equals(packed)) wrong.push(`${blob.keyLow}/${shard}`)
      }
    }
    return wrong
  }

  /** One cycle of the scrub, which tells the repair what it finds. */
  async scrub(): Promise<ScrubDamage[]> {
    const damages: ScrubDamage[] = []
    const scrubber = new Scrubber(this.store.context, {
      log: silentLog,
      rateBytesPerSecond: FAST,
      periodMs: 1,
      onDamage: (damage) => {
        damages.push(damage)
        this.repairer.noteDamage(damage)
      },
    })
    scrubber.start()
    await until(() => scrubber.status.cycles > 0, 'a scrub cycle')
    await scrubber.stop()
    return damages
  }

  async untilWhole(): Promise<void> {
    const endMs = systemClock.monotonicMs() + 60_000
    for (;;) {
      const { waiting, filling, comparisons } = this.repairer.status
      if (waiting === 0 && filling === 0 && comparisons > 0) {
        const wrong = await this.wrongShards()
        if (wrong.length === 0) return
        assert.ok(systemClock.monotonicMs() < endMs, `not whole: ${wrong.slice(0, 10).join()}`)
      }
      await systemClock.sleep(20)
    }
  }

  async close(): Promise<void> {
    await this.repairer.stop()
    await this.store.close()
    this.#directory.remove()
  }
}
