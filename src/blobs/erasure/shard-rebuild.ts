/** Makes missing and damaged shards of some blobs anew, from k others of each, many blobs at a time. */
import { type StoreError, toStoreError } from '../../base/errors.ts'
import { SHARD_DATA_BYTES_MAX, SHARD_DATA_MAX } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { type BlobKey, type GroupMember, isOwn, type OwnMember } from './group-member.ts'
import type { JoinedBlob, Shard, ShardCodec } from './packed-shard.ts'

export interface Rebuild {
  key: BlobKey
  /** Members of this process that are to get their shard. */
  missing: OwnMember[]
  /** Shards that others have. */
  live: number[]
  /** About how many bytes each has. */
  sizeBytes: number
}

export interface ShardRebuildOptions {
  group: number
  k: number
  codec: ShardCodec
  counts: { rebuilt: number; rebuiltBytes: number; failed: number }
  log: Log
}

type Members = readonly (GroupMember | undefined)[]

/** A blob on its way. */
interface Job {
  rebuild: Rebuild
  shards: (Shard | undefined)[]
  /** Shards that were not asked for yet, the best first. */
  untried: number[]
  /** Somebody did not answer. */
  unanswered: boolean
}

/** `lost`: all have answered, and fewer than k shards are good. `failed`: it may go better another time. */
export type RebuildFailure = 'lost' | 'failed'

export class ShardRebuild {
  readonly #options: ShardRebuildOptions
  /** The last reason that was logged: the same trouble with many blobs is one line. */
  #told = ''

  constructor(options: ShardRebuildOptions) {
    this.#options = options
  }

  /** Durable when it resolves. Gives the keys that could not be rebuilt. */
  async run(members: Members, rebuilds: readonly Rebuild[]): Promise<Map<BlobKey, RebuildFailure>> {
    const failed = new Map<BlobKey, RebuildFailure>()
    for (const batch of batches(rebuilds)) {
      const jobs = batch.map((rebuild) => newJob(rebuild))
      await this.#gather(members, jobs)
      const written = new Map<OwnMember, Rebuild[]>()
      for (const job of jobs) {
        try {
          const joined = await this.#joined(members, job)
          await this.#finish(members, job, joined, written)
        } catch (error) {
          this.#fail(job.rebuild, error)
          const isLost = members.every((member) => member !== undefined) && isHopeless(job, error)
          failed.set(job.rebuild.key, isLost ? 'lost' : 'failed')
        }
      }
      for (const [member, done] of written) {
        try {
          await member.durable()
        } catch (error) {
          for (const rebuild of done) {
            this.#fail(rebuild, error)
            failed.set(rebuild.key, 'failed')
          }
        }
      }
    }
    if (failed.size === 0) this.#told = ''
    return failed
  }

  /** Asks for shards until each blob has so many, or nobody is left to ask. */
  async #gather(members: Members, jobs: Job[], wanted = this.#options.k): Promise<void> {
    for (;;) {
      const asks = new Map<number, Job[]>()
      for (const job of jobs) {
        const lacking = wanted - job.shards.filter((shard) => shard !== undefined).length
        for (const shard of job.untried.splice(0, Math.max(0, lacking))) {
          const asked = asks.get(shard)
          if (asked === undefined) asks.set(shard, [job])
          else asked.push(job)
        }
      }
      if (asks.size === 0) return
      await Promise.all([...asks].map(([shard, asked]) => this.#ask(members[shard], shard, asked)))
    }
  }

  async #ask(member: GroupMember | undefined, shard: number, jobs: Job[]): Promise<void> {
    const keys = jobs.map(({ rebuild }) => rebuild.key)
    const found = await member?.data(keys).catch(() => undefined)
    for (const [i, job] of jobs.entries()) {
      if (found === undefined) job.unanswered = true
      const packed = found?.[i]
      if (packed === undefined) continue
      try {
        job.shards[shard] = this.#options.codec.unpack(packed, shard)
      } catch {
        // Not a shard: as good as damaged.
      }
    }
  }

  /** A shard may be another one, with checksums that are right: then more are asked for, as long as there are any. */
  async #joined(members: Members, job: Job): Promise<JoinedBlob> {
    const { k, codec } = this.#options
    for (let wanted = k; ; wanted++) {
      try {
        return codec.join(job.shards)
      } catch (error) {
        if (toStoreError(error).code !== 'corrupt' || job.untried.length === 0) throw error
        await this.#gather(members, [job], wanted + 1)
      }
    }
  }

  /**
   * Writes what is missing, and what turned out to be wrong here. Throws when a member did not get its shard; the others have
   * theirs all the same.
   */
  async #finish(
    members: Members,
    { rebuild }: Job,
    { blob, wrong }: JoinedBlob,
    written: Map<OwnMember, Rebuild[]>,
  ): Promise<void> {
    const { codec, counts } = this.#options
    const wrongHere = wrong.map((shard) => members[shard]).filter((member) => member !== undefined)
    const lacking = [...rebuild.missing, ...wrongHere.filter(isOwn)]
    const indexes = lacking.map(({ shard }) => shard)
    const packed = codec.pack(blob, indexes)
    const failures: StoreError[] = []
    for (const [i, shard] of packed.entries()) {
      const member = lacking[i]!
      try {
        await member.write(rebuild.key, shard, packed.blobName)
      } catch (error) {
        failures.push(toStoreError(error))
        continue
      }
      if (written.get(member)?.push(rebuild) === undefined) written.set(member, [rebuild])
      counts.rebuilt++
      counts.rebuiltBytes += shard.length
    }
    if (failures[0] !== undefined) throw failures[0]
    packed.giveBack?.()
  }

  #fail({ key }: Rebuild, error: unknown): void {
    const { counts, log, group } = this.#options
    counts.failed++
    const { code, message } = toStoreError(error)
    if (this.#told === code) return
    this.#told = code
    log.warn({ group, keyHigh: key.keyHigh, keyLow: key.keyLow, code }, `a shard is not rebuilt: ${message}`)
  }
}

function newJob(rebuild: Rebuild): Job {
  return { rebuild, shards: [], untried: [...rebuild.live], unanswered: false }
}

/** Too few good shards, though everybody gave what he has. */
function isHopeless(job: Job, error: unknown): boolean {
  const { code } = toStoreError(error)
  return !job.unanswered && (code === 'unavailable' || code === 'corrupt') && job.untried.length === 0
}

/** So many that what one member is asked for fits into one reply. */
function* batches(rebuilds: readonly Rebuild[]): Generator<Rebuild[]> {
  let [batch, bytes]: [Rebuild[], number] = [[], 0]
  for (const rebuild of rebuilds) {
    if (batch.length === SHARD_DATA_MAX || (bytes > 0 && bytes + rebuild.sizeBytes > SHARD_DATA_BYTES_MAX)) {
      yield batch
      ;[batch, bytes] = [[], 0]
    }
    batch.push(rebuild)
    bytes += rebuild.sizeBytes
  }
  if (batch.length > 0) yield batch
}
