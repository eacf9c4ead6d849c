/**
 * Carries lifecycle rules out, and removes files whose time to live is over: one pass after another over all buckets that have some. A pass reads versions in the order
 * of their keys, page by page, so it needs no memory for large buckets; it decides on what is there and removes under the
 * condition that it is still the same. Whatever is interrupted is found again by the next pass.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { DELETES_AT_ONCE_MAX, LIST_KEYS_MAX } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { isUploadDue, type LifecycleRule, type PlacedVersion, verdictOf } from './lifecycle-rules.ts'
import type { Bucket, DeleteRequest, ObjectInfo, ObjectStore } from './object-store.ts'

/** What a pass needs. */
export type LifecycleStore = Pick<
  ObjectStore,
  'listBuckets' | 'listVersions' | 'deleteMany' | 'listUploads' | 'abortUpload' | 'expireFiles'
>

export interface LifecycleOptions {
  objects: LifecycleStore
  clock: Clock
  log: Log
  /** How long a day is; shorter ones are for trials. */
  dayMs: number
}

/** Sums since the start. */
export interface LifecycleCounts {
  passes: number
  versionsSeen: number
  expired: number
  removed: number
  uploadsAborted: number
  /** Versions that a lock holds, or that changed meanwhile; the next pass looks again. */
  refused: number
  failedBuckets: number
}

export class Lifecycle {
  readonly #options: LifecycleOptions
  readonly counts: LifecycleCounts = {
    passes: 0,
    versionsSeen: 0,
    expired: 0,
    removed: 0,
    uploadsAborted: 0,
    refused: 0,
    failedBuckets: 0,
  }
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(options: LifecycleOptions) {
    this.#options = options
  }

  /** One pass over all buckets; while one runs, that one. Never rejects: a bucket that fails is logged and tried again. */
  pass(): Promise<void> {
    this.#running ??= this.#pass().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Ends a pass after the page that it is at, and lets no other begin. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #pass(): Promise<void> {
    const { objects, log } = this.#options
    let after: string | undefined
    do {
      if (this.#isStopped) return
      let page: Awaited<ReturnType<ObjectStore['listBuckets']>>
      try {
        page = await objects.listBuckets({ ...(after === undefined ? {} : { after }), limit: LIST_KEYS_MAX })
      } catch (error) {
        log.warn({ error }, 'lifecycle: buckets cannot be listed')
        return
      }
      for (const bucket of page.buckets) await this.#bucket(bucket)
      after = page.next
    } while (after !== undefined)
    this.counts.passes++
  }

  async #bucket(bucket: Bucket): Promise<void> {
    try {
      if (bucket.configs.has('expiring'))
        this.counts.expired += await this.#options.objects.expireFiles(bucket, () => this.#isStopped)
      const lifecycle = bucket.configs.get('lifecycle')
      if (lifecycle === undefined) return
      const rules = JSON.parse(lifecycle) as LifecycleRule[]
      await this.#versions(bucket, rules)
      if (rules.some(({ abortUploadDays }) => abortUploadDays !== undefined))
        await this.#uploads(bucket, rules)
    } catch (error) {
      if (error instanceof StoreError && error.code === 'bucket_not_found') return
      this.counts.failedBuckets++
      this.#options.log.warn({ error, bucket: bucket.name }, 'lifecycle: a bucket failed')
    }
  }

  async #versions(bucket: Bucket, rules: readonly LifecycleRule[]): Promise<void> {
    const { objects, clock, dayMs } = this.#options
    const prefix = commonPrefix(rules)
    const placing = new Placing()
    let at: { key: string; versionId: string | undefined } | undefined
    do {
      if (this.#isStopped) return
      const page = await objects.listVersions({
        bucket,
        prefix,
        limit: LIST_KEYS_MAX,
        ...(at === undefined ? {} : { after: at.key }),
        ...(at?.versionId === undefined ? {} : { afterVersionId: at.versionId }),
      })
      at = page.next
      this.counts.versionsSeen += page.versions.length
      const placed = placing.add(page.versions, at === undefined)
      const times = { nowMs: clock.nowMs(), dayMs }
      const requests: DeleteRequest[] = []
      for (const version of placed) {
        const verdict = verdictOf(rules, version, times)
        if (verdict !== 'keep') requests.push(deleteOf(bucket, version.info, verdict))
      }
      await this.#delete(requests)
    } while (at !== undefined)
  }

  async #delete(requests: readonly DeleteRequest[]): Promise<void> {
    for (let start = 0; start < requests.length; start += DELETES_AT_ONCE_MAX) {
      const some = requests.slice(start, start + DELETES_AT_ONCE_MAX)
      const results = await this.#options.objects.deleteMany(some)
      for (const [i, result] of results.entries()) {
        if (!(result instanceof Error))
          this.counts[some[i]!.versionId === undefined ? 'expired' : 'removed']++
        else if (isRefusal(result)) this.counts.refused++
        else throw result
      }
    }
  }

  async #uploads(bucket: Bucket, rules: readonly LifecycleRule[]): Promise<void> {
    const { objects, clock, dayMs } = this.#options
    let at: { key: string; uploadId: string | undefined } | undefined
    do {
      if (this.#isStopped) return
      const page = await objects.listUploads({
        bucket,
        prefix: commonPrefix(rules),
        limit: LIST_KEYS_MAX,
        ...(at === undefined ? {} : { after: at.key }),
        ...(at?.uploadId === undefined ? {} : { afterUploadId: at.uploadId }),
      })
      at = page.next
      for (const upload of page.uploads) {
        if (!isUploadDue(rules, upload, { nowMs: clock.nowMs(), dayMs })) continue
        try {
          await objects.abortUpload({ bucket, key: upload.key, uploadId: upload.uploadId })
          this.counts.uploadsAborted++
        } catch (error) {
          // It was completed meanwhile.
          if (!(error instanceof StoreError) || error.code !== 'upload_not_found') throw error
        }
      }
    } while (at !== undefined)
  }
}

/**
 * The latest version expires as a client would delete it; others are removed by their id. Both only where it is still what was
 * seen: `null` is the id of whatever was put last.
 */
function deleteOf(bucket: Bucket, info: ObjectInfo, verdict: 'expire' | 'remove'): DeleteRequest {
  const { key, versionId, etag, sizeBytes, modifiedMs } = info
  const conditions = { ifMatch: [etag], ifSizeBytes: sizeBytes, ifModifiedMs: modifiedMs }
  return verdict === 'remove' ? { bucket, key, versionId, conditions } : { bucket, key, conditions }
}

/** Locked, replaced or gone since it was listed. */
function isRefusal(error: Error): boolean {
  if (!(error instanceof StoreError)) return false
  return ['object_locked', 'precondition_failed', 'not_found', 'version_not_found'].includes(error.code)
}

/** What all rules that are on begin with. */
function commonPrefix(rules: readonly LifecycleRule[]): string {
  const prefixes = rules.filter(({ isEnabled }) => isEnabled).map(({ prefix }) => prefix)
  let common = prefixes[0] ?? ''
  for (const prefix of prefixes) while (!prefix.startsWith(common)) common = [...common].slice(0, -1).join('')
  return common
}

/** Puts versions, which come newest first of each key, in their place. The last of a page waits for what follows it. */
class Placing {
  #waiting: PlacedVersion | undefined

  add(versions: readonly ObjectInfo[], isEnd: boolean): PlacedVersion[] {
    const placed: PlacedVersion[] = []
    for (const info of versions) {
      const before = this.#waiting
      const isNext = before !== undefined && before.info.key === info.key
      if (before !== undefined) {
        if (isNext) before.isOnly = false
        placed.push(before)
      }
      this.#waiting = isNext
        ? {
            info,
            replacedMs: before.info.modifiedMs,
            newerNoncurrent: before.newerNoncurrent + (before.replacedMs === undefined ? 0 : 1),
            isOnly: false,
          }
        : { info, replacedMs: undefined, newerNoncurrent: 0, isOnly: true }
    }
    if (isEnd && this.#waiting !== undefined) placed.push(this.#waiting)
    return placed
  }
}
