/**
 * Versions with numbers, in buckets that have the document `version_numbers`: those of a key are counted 1, 2, 3, delete markers
 * too. A number is nothing but the rank of the version, so it stays the same when older ones are removed.
 */
import { LIST_KEYS_MAX } from '../base/limits.ts'
import { type MetaStore, query, type Script } from '../meta/meta-store.ts'
import type { Bucket, ObjectInfo, ObjectStore } from './object-store.ts'
import { VERSION_COLUMNS, type VersionRow } from './parts.ts'
import { infoOf, keyBytes, numberOfRank, rankOf, rankOfNumber, versionIdOf } from './rows.ts'

/** `number`: a safe integer from 1. A version that is not there is not found by it. */
export const versionIdOfNumber = (number: number) => versionIdOf(rankOfNumber(number))

/** Undefined for `null`, and for what is no version id. */
export function numberOfVersionId(versionId: string): number | undefined {
  const rank = rankOf(versionId)
  return rank === undefined ? undefined : numberOfRank(rank)
}

interface FromNumber {
  bucketId: number
  key: Buffer
  rankMax: number
  limit: number
}

/** From one version on to later ones. */
const laterVersions: Script<FromNumber, VersionRow[]> = {
  name: 'numbers.later',
  *steps({ bucketId, key, rankMax, limit }) {
    const rows = (yield query(
      `select ${VERSION_COLUMNS} from version where bucket_id = ? and key = ? and rank <= ? order by rank desc limit ?`,
      ...[bucketId, key, rankMax, limit],
    )) as VersionRow[]
    if (rows.length === limit) return rows
    const latest = (yield query(
      `select ${VERSION_COLUMNS} from object where bucket_id = ? and key = ? and rank <= ?`,
      ...[bucketId, key, rankMax],
    )) as VersionRow[]
    return [...rows, ...latest]
  },
}

/** Listings from the oldest version of a key to the latest. A listing sees each page at its own moment. */
export class NumberedVersions {
  readonly #meta: MetaStore
  readonly #objects: Pick<ObjectStore, 'listVersions'>
  readonly #pageRows: number

  /** `pageRows`: default LIST_KEYS_MAX. */
  constructor(parts: { meta: MetaStore; objects: Pick<ObjectStore, 'listVersions'>; pageRows?: number }) {
    this.#meta = parts.meta
    this.#objects = parts.objects
    this.#pageRows = parts.pageRows ?? LIST_KEYS_MAX
  }

  /** Pages of the versions of one key. None where the key has none. */
  async *ofKey(bucket: Bucket, key: string): AsyncGenerator<ObjectInfo[]> {
    const limit = this.#pageRows
    let rankMax = rankOfNumber(1)
    for (;;) {
      const args = { bucketId: bucket.id, key: keyBytes(key), rankMax, limit }
      const rows = await this.#meta.read(laterVersions, args)
      const last = rows.at(-1)
      if (last === undefined) return
      yield rows.map((row) => infoOf(row, row === last && rows.length < limit, key))
      if (rows.length < limit) return
      rankMax = last.rank - 1
    }
  }

  /** Pages of all versions of all keys, in the order of keys. */
  async *ofAll(bucket: Bucket): AsyncGenerator<ObjectInfo[]> {
    let after: string | undefined
    for (;;) {
      const request = { bucket, limit: this.#pageRows, ...(after === undefined ? {} : { after }) }
      const { versions, next } = await this.#objects.listVersions(request)
      const last = versions.at(-1)
      if (last === undefined) return
      // The page may end amid the versions of its last key, the oldest of which come first here.
      const cut = next === undefined ? versions.length : versions.findIndex(({ key }) => key === last.key)
      yield oldestFirst(versions.slice(0, cut))
      if (next === undefined) return
      yield* this.ofKey(bucket, last.key)
      after = last.key
    }
  }
}

/** Keys stay in their order; the versions of each are turned round. */
function oldestFirst(versions: readonly ObjectInfo[]): ObjectInfo[] {
  const turned: ObjectInfo[] = []
  for (let start = 0; start < versions.length; ) {
    let end = start + 1
    while (end < versions.length && versions[end]!.key === versions[start]!.key) end++
    turned.push(...versions.slice(start, end).reverse())
    start = end
  }
  return turned
}
