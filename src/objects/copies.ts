/** Copies of objects: by reference, whatever their size, unless that changes their encryption, their redundancy or how long they live. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { OBJECT_BYTES_MAX } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { encryptionOf } from './bucket-encryption.ts'
import {
  type CopyOutcome,
  type CopySource,
  type CopyVersion,
  checkSource,
  copyVersion,
  type RewrittenBytes,
} from './copy-version.ts'
import { digestNameOf } from './digests.ts'
import { findVersion } from './find-steps.ts'
import type { ObjectKeys } from './object-keys.ts'
import type {
  Checksum,
  ChecksumAlgorithm,
  CopyRequest,
  Digests,
  ObjectAttributes,
  ObjectInfo,
  PutObject,
  PutResult,
} from './object-store.ts'
import type { ContentReader, ContentWriter, VersionRow } from './parts.ts'
import type { PatientWrites } from './patient-writes.ts'
import { NO_REDUNDANCY, type RedundancyRules, redundancyFor } from './redundancy-rules.ts'
import { attributesOf, contentOf, infoOf, keyBytes, tagsText, versionOf } from './rows.ts'
import { bodyOfRange } from './stored-body.ts'
import { writeContext } from './write-context.ts'

const CONTENT_ID_BYTES = 16
/** Times that a source may change while its bytes are read. */
const CHANGES_MAX = 10

export interface CopiesParts {
  meta: MetaStore
  clock: Clock
  random: Random
  reader: ContentReader
  writer: ContentWriter
  keys: ObjectKeys
  /** Default NO_REDUNDANCY. */
  redundancy?: RedundancyRules
}

/** What was found by reading the source, and the very version that it is of. */
interface Prepared {
  rank: number
  checksum?: Checksum
  sharedKey?: string
  rewritten?: RewrittenBytes
}

export class Copies {
  readonly #parts: CopiesParts
  readonly #writes: PatientWrites

  constructor(parts: CopiesParts, writes: PatientWrites) {
    this.#parts = parts
    this.#writes = writes
  }

  async copy(request: CopyRequest): Promise<PutResult & { source: ObjectInfo }> {
    const source = sourceOf(request.source)
    const wanted = encryptionOf(request.bucket, request.encryption)
    const kind = wanted && ('customerKey' in wanted ? 'SSE-C' : 'SSE-S3')
    let isRead = await this.#isStoredOtherwise(request, source)
    for (let changes = 0; changes < CHANGES_MAX; changes++) {
      const prepared = isRead
        ? await this.#rewrite(request, source, wanted)
        : await this.#prepare(request, source, wanted)
      const outcome = await this.#run(prepared, {
        ...this.#args(request, source, prepared),
        encryption: kind,
      })
      // Another object took the place of the one that was read: once more.
      if (outcome === 'changed') continue
      if (outcome === 'other bytes') {
        isRead = true
        continue
      }
      const { put, attributes, row, etag, isLatest } = outcome
      return {
        ...put,
        etag,
        sizeBytes: row.size,
        checksum: attributes.checksum,
        encryption: attributes.encryption?.kind,
        source: infoOf(row, isLatest, request.source.key),
      }
    }
    throw new StoreError('unavailable', 'the source of the copy changes all the time')
  }

  async #run(
    prepared: Prepared | undefined,
    args: CopyVersion,
  ): Promise<CopyOutcome | 'changed' | 'other bytes'> {
    const content = prepared?.rewritten?.content
    try {
      const outcome = await this.#writes.run(copyVersion, args)
      if (outcome === 'changed' && content !== undefined) await this.#parts.writer.discard(content)
      return outcome
    } catch (error) {
      if (content !== undefined) await this.#parts.writer.abandon(content, error)
      throw error
    }
  }

  #args(
    request: CopyRequest,
    source: CopySource,
    prepared: Prepared | undefined,
  ): Omit<CopyVersion, 'encryption'> {
    const { attributes, tags, lock, conditions, change } = request
    const { rank, checksum, sharedKey, rewritten } = prepared ?? {}
    return {
      ...writeContext(this.#parts, request.bucket, request.key),
      source,
      sourceRank: rank,
      attributes,
      change: checksum === undefined ? { ...change } : { ...change, checksum },
      tags: tags === undefined ? undefined : tagsText(tags),
      sharedKey,
      rewritten,
      lock,
      conditions,
      contentId: this.#parts.random.bytes(CONTENT_ID_BYTES),
      event: 'ObjectCreated:Copy',
    }
  }

  /** What must be known of the source before its bytes are shared; undefined: nothing. */
  async #prepare(
    request: CopyRequest,
    source: CopySource,
    wanted: PutObject['encryption'],
  ): Promise<Prepared | undefined> {
    const { checksumAlgorithm: algorithm } = request
    const { customerKey } = request.source
    if (algorithm === undefined && customerKey === undefined) return undefined
    const { keys, reader } = this.#parts
    const { row, attributes } = await this.#read(source)
    const content = contentOf(row, attributes)
    const dataKey = keys.open(attributes.encryption, customerKey)
    const prepared: Prepared = { rank: row.rank }
    const isSame = wanted !== undefined && 'customerKey' in wanted && customerKey?.equals(wanted.customerKey)
    if (dataKey !== undefined && isSame) prepared.sharedKey = dataKey.stored.key
    if (algorithm === undefined || attributes.checksum?.algorithm === algorithm) return prepared
    const name = digestNameOf(algorithm)
    const digests = await reader.digests(content, [name], customerKey)
    return { ...prepared, checksum: checksumOf(algorithm, digests) }
  }

  /** The bytes of the source under another key, or none. */
  async #rewrite(
    request: CopyRequest,
    source: CopySource,
    wanted: PutObject['encryption'],
  ): Promise<Prepared> {
    const { keys, reader, writer } = this.#parts
    const { row, attributes } = await this.#read(source)
    // What is under the installation's keys stays so where nothing else is asked for.
    const asked =
      wanted ?? (attributes.encryption?.kind === 'SSE-S3' ? { managed: true as const } : undefined)
    const { checksum: known } = attributes
    const algorithm = request.checksumAlgorithm ?? known?.algorithm
    const isKnown = known?.algorithm === algorithm && known?.type === 'FULL_OBJECT'
    const digests = algorithm === undefined || isKnown ? [] : [digestNameOf(algorithm)]
    const { customerKey } = request.source
    const body = bodyOfRange(reader, contentOf(row, attributes), { start: 0, end: row.size, customerKey })
    const written = await writer.store(body, {
      bucket: request.bucket,
      check: { digests, verify: () => undefined },
      dataKey: asked && keys.make(asked),
      storageClass: classOf(request, attributes),
      sizeBytesMax: OBJECT_BYTES_MAX,
    })
    const { content, etag, encryption } = written
    const rewritten = { content, etag, encryption }
    const checksum = digests.length === 0 ? known : checksumOf(algorithm!, written.digests)
    return { rank: row.rank, rewritten, ...(checksum && { checksum }) }
  }

  /** Whether the copy is to be protected in another way than its source; what is encrypted keeps its bytes. */
  async #isStoredOtherwise(request: CopyRequest, source: CopySource): Promise<boolean> {
    const { redundancy = NO_REDUNDANCY } = this.#parts
    const [from, to] = [request.source.bucket.name, request.bucket.name]
    const differ = (there?: string, here?: string) =>
      redundancyFor(redundancy, from, there) !== redundancyFor(redundancy, to, here)
    if (redundancy.storageClasses.size === 0 && !differ()) return false
    const { attributes } = await this.#read(source)
    return (
      attributes.encryption === undefined && differ(attributes.storageClass, classOf(request, attributes))
    )
  }

  async #read(source: CopySource): Promise<{ row: VersionRow; attributes: ObjectAttributes }> {
    const { row } = await this.#parts.meta.read(findVersion, source)
    checkSource(source, row)
    return { row, attributes: attributesOf(row) }
  }
}

/** Storage class of a copy. */
function classOf({ attributes, change }: CopyRequest, ofSource: ObjectAttributes): string | undefined {
  if (change !== undefined && 'storageClass' in change) return change.storageClass
  return (attributes ?? ofSource).storageClass
}

function checksumOf(algorithm: ChecksumAlgorithm, digests: Digests): Checksum {
  const value = digests[digestNameOf(algorithm)]!.toString('base64')
  return { algorithm, value, type: 'FULL_OBJECT' }
}

/** Throws `bad_request`, `key_too_long`. */
export function sourceOf({ bucket, key, versionId, conditions }: CopyRequest['source']): CopySource {
  const version = versionId === undefined ? undefined : versionOf(versionId)
  return { bucketId: bucket.id, key: keyBytes(key), version, conditions }
}
