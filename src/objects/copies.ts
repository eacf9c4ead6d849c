/** Copies of objects: by reference, whatever their size. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { type CopySource, type CopyVersion, checkSource, copyVersion } from './copy-version.ts'
import { digestNameOf } from './digests.ts'
import { findVersion } from './find-steps.ts'
import type { Checksum, CopyRequest, ObjectInfo, PutResult } from './object-store.ts'
import type { ContentReader } from './parts.ts'
import type { PatientWrites } from './patient-writes.ts'
import { attributesOf, contentOf, infoOf, keyBytes, tagsText, versionOf } from './rows.ts'
import { writeContext } from './write-context.ts'

const CONTENT_ID_BYTES = 16
/** Times that a source may change while its checksum is computed. */
const CHANGES_MAX = 10

export interface CopiesParts {
  meta: MetaStore
  clock: Clock
  random: Random
  reader: ContentReader
}

/** A checksum that was computed for a copy, and the very version that it is of. */
interface Computed {
  rank: number
  checksum: Checksum
}

export class Copies {
  readonly #parts: CopiesParts
  readonly #writes: PatientWrites

  constructor(parts: CopiesParts, writes: PatientWrites) {
    this.#parts = parts
    this.#writes = writes
  }

  async copy(request: CopyRequest): Promise<PutResult & { source: ObjectInfo }> {
    if (request.encryption !== undefined)
      throw new StoreError('unsupported', 'bytes are not encrypted by this version')
    const source = sourceOf(request.source)
    for (let changes = 0; changes < CHANGES_MAX; changes++) {
      const computed = await this.#checksum(request, source)
      const outcome = await this.#writes.run(copyVersion, this.#args(request, source, computed))
      // Another object took the place of the one whose checksum was computed: once more.
      if (outcome === 'changed') continue
      const { put, attributes, row, isLatest } = outcome
      return {
        ...put,
        etag: row.etag,
        sizeBytes: row.size,
        checksum: attributes.checksum,
        source: infoOf(row, isLatest, request.source.key),
      }
    }
    throw new StoreError('unavailable', 'the source of the copy changes all the time')
  }

  #args(request: CopyRequest, source: CopySource, computed: Computed | undefined): CopyVersion {
    const { attributes, tags, lock, conditions, change } = request
    return {
      ...writeContext(this.#parts, request.bucket, request.key),
      source,
      sourceRank: computed?.rank,
      attributes,
      change: computed === undefined ? { ...change } : { ...change, checksum: computed.checksum },
      tags: tags === undefined ? undefined : tagsText(tags),
      lock,
      conditions,
      contentId: this.#parts.random.bytes(CONTENT_ID_BYTES),
      event: 'ObjectCreated:Copy',
    }
  }

  /** Read from the bytes, where the request wants one that the source does not have. */
  async #checksum(request: CopyRequest, source: CopySource): Promise<Computed | undefined> {
    const { checksumAlgorithm: algorithm } = request
    if (algorithm === undefined) return undefined
    const { meta, reader } = this.#parts
    const { row } = await meta.read(findVersion, source)
    checkSource(source, row)
    const attributes = attributesOf(row)
    if (attributes.checksum?.algorithm === algorithm) return undefined
    const name = digestNameOf(algorithm)
    const content = contentOf(row, attributes)
    const digests = await reader.digests(content, [name], request.source.customerKey)
    const value = digests[name]!.toString('base64')
    return { rank: row.rank, checksum: { algorithm, value, type: 'FULL_OBJECT' } }
  }
}

/** Throws `bad_request`, `key_too_long`. */
export function sourceOf({ bucket, key, versionId, conditions }: CopyRequest['source']): CopySource {
  const version = versionId === undefined ? undefined : versionOf(versionId)
  return { bucketId: bucket.id, key: keyBytes(key), version, conditions }
}
