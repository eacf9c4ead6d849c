/** Buckets of the object store. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { LIST_KEYS_MAX } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { BucketMemory } from './bucket-memory.ts'
import { checkBucketName } from './bucket-name.ts'
import {
  type BucketRecord,
  bucketOf,
  bucketUsage,
  changeBucket,
  createBucket,
  deleteBucket,
  findBucket,
  listBuckets,
} from './bucket-steps.ts'
import { abortSomeUploads } from './content/upload-scripts.ts'
import {
  BUCKET_CONFIGS,
  type Bucket,
  type BucketChange,
  type BucketUsage,
  type NewBucket,
  type ObjectStore,
} from './object-store.ts'

const BUCKET_ID_RANDOM = 2 ** 16
/** Above every name, whose characters are ASCII. */
const BEYOND_NAMES = '\x7f'

export class Buckets {
  readonly #meta: MetaStore
  readonly #clock: Clock
  readonly #random: Random
  readonly #memory: BucketMemory | undefined

  /** `changes`: memory that all threads of the process share, BUCKET_CHANGES_BYTES; without it nothing is remembered. */
  constructor(parts: { meta: MetaStore; clock: Clock; random: Random; changes?: SharedArrayBuffer }) {
    const { meta, changes } = parts
    this.#meta = meta
    this.#clock = parts.clock
    this.#random = parts.random
    const isAlone = changes !== undefined && !meta.capabilities.sharedBetweenProcesses
    this.#memory = isAlone ? new BucketMemory(changes) : undefined
  }

  async create(bucket: NewBucket): Promise<Bucket> {
    checkBucketName(bucket.name)
    const configs = bucket.configs ?? {}
    checkConfigs(configs)
    const bucketId = this.#random.below(BUCKET_ID_RANDOM) * 2 ** 32 + this.#random.u32()
    const { name, owner, objectLock = false } = bucket
    const nowMs = this.#clock.nowMs()
    const made = this.#meta.write(createBucket, { bucketId, name, owner, objectLock, configs, nowMs })
    return bucketOf(await this.#changing(made))
  }

  /** Whatever came of a write: what is remembered may be wrong now. */
  async #changing<R>(write: Promise<R>): Promise<R> {
    try {
      return await write
    } finally {
      this.#memory?.noteChange()
    }
  }

  find(name: string): Bucket | undefined | Promise<Bucket | undefined> {
    const memory = this.#memory
    const known = memory?.get(name)
    if (known !== undefined) return known
    const at = memory?.now
    const found = this.#meta.read(findBucket, { name })
    if (found instanceof Promise) return found.then(bucketOrNone)
    const bucket = bucketOrNone(found)
    if (memory !== undefined && bucket !== undefined) memory.put(bucket, at!)
    return bucket
  }

  async list(
    options: Parameters<ObjectStore['listBuckets']>[0],
  ): Promise<{ buckets: Bucket[]; next: string | undefined }> {
    const { owner, prefix = '', after, limit } = options
    checkLimit(limit)
    if (limit === 0) return { buckets: [], next: undefined }
    const isStartListed = after === undefined || after < prefix
    const records = await this.#meta.read(listBuckets, {
      owner,
      start: isStartListed ? prefix : after,
      end: prefix + BEYOND_NAMES,
      isStartListed,
      limit: limit + 1,
    })
    const buckets = records.slice(0, limit).map(bucketOf)
    return { buckets, next: records.length > limit ? buckets.at(-1)?.name : undefined }
  }

  async change(bucket: Bucket, change: BucketChange): Promise<Bucket> {
    checkConfigs(change.configs ?? {})
    const { quotaBytes } = change
    if (quotaBytes !== undefined && !(Number.isSafeInteger(quotaBytes) && quotaBytes >= 0))
      throw new StoreError('bad_request', 'a quota is a number of bytes')
    return bucketOf(await this.#changing(this.#meta.write(changeBucket, { bucketId: bucket.id, change })))
  }

  async delete(bucket: Bucket): Promise<void> {
    const unfinished = { bucketId: bucket.id, nowMs: this.#clock.nowMs(), usagePart: 0 }
    for (let isDone = false; !isDone; ) isDone = (await this.#meta.write(abortSomeUploads, unfinished)).isDone
    await this.#changing(this.#meta.write(deleteBucket, { bucketId: bucket.id }))
  }

  async usage(bucket: Bucket): Promise<BucketUsage> {
    return this.#meta.read(bucketUsage, { bucketId: bucket.id })
  }
}

const bucketOrNone = (record: BucketRecord | undefined) =>
  record === undefined ? undefined : bucketOf(record)

function checkConfigs(configs: object): void {
  for (const kind of Object.keys(configs))
    if (!(BUCKET_CONFIGS as readonly string[]).includes(kind))
      throw new StoreError('bad_request', `a bucket has no document ${kind}`)
}

/** Entries of a page. Throws `bad_request`. */
export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 0 || limit > LIST_KEYS_MAX)
    throw new StoreError('bad_request', `a page has 0 to ${LIST_KEYS_MAX} entries`)
}
