/** Appends: bytes at the end of an object, or a new object. What is encrypted goes on with its key. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { PART_BYTES_MAX } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { appendObject } from './content/append-object.ts'
import { newContentId } from './content-writer.ts'
import { findVersion } from './find-steps.ts'
import type { DataKey, ObjectKeys, StoredEncryption } from './object-keys.ts'
import type { PutObject, PutResult } from './object-store.ts'
import type { ContentWriter } from './parts.ts'
import type { PatientWrites } from './patient-writes.ts'
import { attributesOf, attributesText, isMarker, keyBytes, tagsText } from './rows.ts'
import { lastingPlacement } from './tree-life.ts'
import { writeContext } from './write-context.ts'

export interface AppendsParts {
  meta: MetaStore
  writer: ContentWriter
  keys: ObjectKeys
  clock: Clock
  random: Random
}

export class Appends {
  readonly #parts: AppendsParts
  readonly #writes: PatientWrites

  constructor(parts: AppendsParts, writes: PatientWrites) {
    this.#parts = parts
    this.#writes = writes
  }

  async append(request: PutObject): Promise<PutResult> {
    const { writer, random } = this.#parts
    const { bucket, check } = request
    if (bucket.versioning !== 'off')
      throw new StoreError('conflict', 'nothing is appended where versions are kept')
    const dataKey = await this.#dataKey(request)
    const sizeBytesMax = PART_BYTES_MAX
    // What is there already lives on, and may do so longer than this request says.
    const placement = lastingPlacement(request.placement)
    const { storageClass } = request.attributes
    const how = { bucket, check, placement, storageClass, dataKey, sizeBytesMax }
    const written = await writer.store(request.body, how)
    const { checksum, encryption } = written
    const checked = checksum === undefined ? request.attributes : { ...request.attributes, checksum }
    try {
      const appended = await this.#writes.run(appendObject, {
        ...writeContext(this.#parts, bucket, request.key),
        content: written.content,
        sizeBytes: written.sizeBytes,
        etag: written.etag,
        attributes: attributesText({ ...checked, encryption }),
        encryptionKey: encryption?.key,
        tags: tagsText(request.tags),
        lock: request.lock,
        conditions: request.conditions,
        event: 'ObjectCreated:Put',
        wholeId: newContentId(random),
        presentId: newContentId(random),
        addedId: newContentId(random),
      })
      return { ...appended, checksum: undefined, encryption: encryption?.kind }
    } catch (error) {
      await writer.abandon(written.content, error)
      throw error
    }
  }

  /** That of the object as it is now, or a new one where there is none. */
  async #dataKey({ bucket, key, encryption }: PutObject): Promise<DataKey | undefined> {
    const { keys } = this.#parts
    const present = await this.#encryptionOf(bucket.id, key)
    if (present === undefined) return keys.forNew(bucket, encryption)
    const customerKey = encryption !== undefined && 'customerKey' in encryption && encryption.customerKey
    const dataKey = keys.open(present.encryption, customerKey || undefined)
    if (encryption !== undefined && dataKey === undefined)
      throw new StoreError('conflict', 'nothing is encrypted at the end of an object that is not')
    return dataKey
  }

  /** Undefined: there is no object. */
  async #encryptionOf(
    bucketId: number,
    key: string,
  ): Promise<{ encryption: StoredEncryption | undefined } | undefined> {
    try {
      const at = { bucketId, key: keyBytes(key), version: undefined }
      const { row } = await this.#parts.meta.read(findVersion, at)
      return isMarker(row) ? undefined : { encryption: attributesOf(row).encryption }
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not_found') return undefined
      throw error
    }
  }
}
