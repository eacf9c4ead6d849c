/** Objects by their names: puts, reads, removals, copies and listings. Bytes are the business of `content-*.ts`. */
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { DELETES_AT_ONCE_MAX, OBJECT_BYTES_MAX } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import { checkLimit } from './buckets.ts'
import { setAttributes, setLock, setTags } from './change-version.ts'
import { Copies } from './copies.ts'
import { type DeleteVersion, deleteVersion } from './delete-version.ts'
import { type Found, findVersion, nothingAt } from './find-steps.ts'
import {
  type ListArgs,
  type Listed,
  type ListedVersion,
  type ListVersionsArgs,
  listObjects,
  listVersions,
  type Page,
} from './list-steps.ts'
import { type KnownObject, NameMemory } from './name-memory.ts'
import type { ObjectKeys } from './object-keys.ts'
import type {
  Bucket,
  DeleteRequest,
  DeleteResult,
  FoundObject,
  LatePut,
  ListPage,
  ListRequest,
  ListVersionsPage,
  ListVersionsRequest,
  ObjectAttributes,
  ObjectInfo,
  ObjectLock,
  ObjectStore,
  PutObject,
  PutResult,
  ReadOptions,
  Tag,
  VersionRef,
} from './object-store.ts'
import type { ContentReader, ContentWriter, ShownRow, VersionRow } from './parts.ts'
import { PatientWrites } from './patient-writes.ts'
import { putObject } from './put-version.ts'
import type { RedundancyRules } from './redundancy-rules.ts'
import {
  attributesOf,
  attributesText,
  contentOf,
  infoOf,
  keyBytes,
  tagsText,
  textBytes,
  versionIdOf,
  versionOf,
} from './rows.ts'
import { isExpired } from './tree-life.ts'
import { writeContext } from './write-context.ts'

export interface NamesParts {
  meta: MetaStore
  clock: Clock
  random: Random
  writer: ContentWriter
  reader: ContentReader
  keys: ObjectKeys
  /** Default NO_REDUNDANCY. */
  redundancy?: RedundancyRules
}

export class Names {
  readonly #parts: NamesParts
  readonly #writes: PatientWrites
  readonly #copies: Copies
  readonly #memory: NameMemory | undefined

  constructor(parts: NamesParts) {
    this.#parts = parts
    this.#writes = new PatientWrites(parts.meta, parts.clock)
    this.#copies = new Copies(parts, this.#writes)
    const { keyChanges } = parts.meta
    this.#memory = keyChanges && new NameMemory(keyChanges)
  }

  async put(request: PutObject): Promise<PutResult> {
    try {
      return await this.#put(request, { mayBeUnsynced: true })
    } catch (error) {
      // Nothing was done, and the body is still here: another volume takes it.
      const isHere = request.body.whole !== undefined
      if (!isHere || !(error instanceof StoreError) || error.code !== 'not_synced') throw error
      return await this.#put(request, { mayBeUnsynced: false })
    }
  }

  async #put(request: PutObject, { mayBeUnsynced }: { mayBeUnsynced: boolean }): Promise<PutResult> {
    const context = writeContext(this.#parts, request.bucket, request.key)
    const { writer, keys, clock } = this.#parts
    const { bucket, check, placement, hasOpaqueEtag } = request
    const dataKey = keys.forNew(bucket, request.encryption)
    const sizeBytesMax = OBJECT_BYTES_MAX
    const { storageClass } = request.attributes
    const how = {
      bucket,
      check,
      dataKey,
      placement,
      storageClass,
      hasOpaqueEtag,
      sizeBytesMax,
      mayBeUnsynced,
    }
    const written = await writer.store(request.body, how)
    const { sizeBytes } = written
    // As that of an object in parts, which is no MD5 either.
    const etag = `${written.etag}${hasOpaqueEtag ? '-1' : ''}`
    const commit = async ({ attributes, conditions }: LatePut) => {
      const checksum = written.checksum ?? attributes.checksum
      const args = {
        ...context,
        // Until now readers found what it replaces, and the bytes of that are kept from now on.
        nowMs: clock.nowMs(),
        content: written.content,
        sizeBytes,
        etag,
        attributes: attributesText({ ...attributes, checksum, encryption: written.encryption }),
        tags: tagsText(request.tags),
        lock: request.lock,
        conditions,
        fileOnly: request.fileOnly,
        event: 'ObjectCreated:Put',
      }
      const put = await this.#writes.run(putObject, args, written.unsynced)
      return { ...put, etag, sizeBytes, checksum, encryption: written.encryption?.kind }
    }
    try {
      return await (request.late === undefined ? commit(request) : untilMet(request.late, commit))
    } catch (error) {
      await writer.abandon(written.content, error)
      throw error
    }
  }

  find(bucket: Bucket, key: string, options: ReadOptions = {}): FoundObject | Promise<FoundObject> {
    if (options.versionId === undefined) return this.#findLatest(bucket.id, key, options)
    const version = versionOf(options.versionId)
    const found = this.#parts.meta.read(findVersion, { bucketId: bucket.id, key: keyBytes(key), version })
    if (found instanceof Promise) return found.then((each) => this.#found(knownOf(each, key), options))
    return this.#found(knownOf(found, key), options)
  }

  #findLatest(bucketId: number, key: string, options: ReadOptions): FoundObject | Promise<FoundObject> {
    const memory = this.#memory
    const remembered = memory?.get(bucketId, key)
    if (remembered !== undefined) return this.#found(remembered, options)
    const bytes = keyBytes(key)
    const seen = memory?.see(bucketId, bytes)
    const found = this.#parts.meta.read(findVersion, { bucketId, key: bytes, version: undefined })
    if (found instanceof Promise) return found.then((each) => this.#found(knownOf(each, key), options))
    const known = knownOf(found, key)
    if (seen !== undefined && found.isPlain)
      memory?.put(bucketId, known, { seen, rowBytes: lengthOf(found.row) })
    return this.#found(known, options)
  }

  #found({ info, content, isVersioned }: KnownObject, options: ReadOptions): FoundObject {
    const { reader, clock } = this.#parts
    if (isExpired(info, clock.nowMs()))
      throw nothingAt(options.versionId === undefined ? undefined : versionOf(options.versionId))
    return {
      info,
      isVersioned,
      read: (start, end) => reader.read(content, start, end, options.customerKey),
      assertKey: () => reader.assertKey(content, options.customerKey),
    }
  }

  async delete(request: DeleteRequest): Promise<DeleteResult> {
    return await this.#writes.run(deleteVersion, this.#deleteArgs(request))
  }

  #deleteArgs(request: DeleteRequest): DeleteVersion {
    const { versionId, conditions, bypassGovernance = false } = request
    return {
      ...writeContext(this.#parts, request.bucket, request.key),
      version: versionId === undefined ? undefined : versionOf(versionId),
      conditions,
      bypassGovernance,
    }
  }

  /** Requests for one key are run in their order. */
  async deleteMany(requests: readonly DeleteRequest[]): Promise<(DeleteResult | Error)[]> {
    const results: (DeleteResult | Error)[] = []
    for (let at = 0; at < requests.length; at += DELETES_AT_ONCE_MAX) {
      const lanes = new Map<string, Promise<DeleteResult | Error>>()
      const batch = requests.slice(at, at + DELETES_AT_ONCE_MAX).map((request) => {
        const name = `${request.bucket.id}/${request.key}`
        const before = lanes.get(name) ?? Promise.resolve()
        const lane = before.then(() => this.delete(request)).catch(toStoreError)
        lanes.set(name, lane)
        return lane
      })
      results.push(...(await Promise.all(batch)))
    }
    return results
  }

  readonly copy: ObjectStore['copy'] = (request) => this.#copies.copy(request)

  setTags(at: VersionRef, tags: readonly Tag[]): Promise<{ versionId: string }> {
    return this.#writes.run(setTags, { ...whichVersion(at), tags: tagsText(tags) })
  }

  setAttributes(at: VersionRef, change: Partial<ObjectAttributes>): Promise<{ versionId: string }> {
    return this.#writes.run(setAttributes, { ...whichVersion(at), change })
  }

  setLock(
    at: VersionRef,
    lock: ObjectLock,
    { bypassGovernance }: { bypassGovernance: boolean },
  ): Promise<{ versionId: string }> {
    const nowMs = this.#parts.clock.nowMs()
    return this.#writes.run(setLock, { ...whichVersion(at), lock, bypassGovernance, nowMs })
  }

  list(request: ListRequest): ListPage | Promise<ListPage> {
    const args = listArgs(request)
    if (args.limit === 0) return { objects: [], prefixes: [], next: undefined }
    const page = this.#parts.meta.read(listObjects, args)
    const nowMs = this.#parts.clock.nowMs()
    return page instanceof Promise ? page.then((rows) => objectsPage(rows, nowMs)) : objectsPage(page, nowMs)
  }

  listVersions(request: ListVersionsRequest): ListVersionsPage | Promise<ListVersionsPage> {
    const { afterVersionId } = request
    const afterVersion = afterVersionId === undefined ? undefined : versionOf(afterVersionId)
    const args: ListVersionsArgs = { ...listArgs(request), afterVersion }
    if (args.limit === 0) return { versions: [], prefixes: [], next: undefined }
    const page = this.#parts.meta.read(listVersions, args)
    return page instanceof Promise ? page.then(versionsPage) : versionsPage(page)
  }
}

/** Tries with what `late` gives, as long as it is only the conditions that fail. */
async function untilMet<R>(late: () => Promise<LatePut>, commit: (put: LatePut) => Promise<R>): Promise<R> {
  for (;;) {
    const put = await late()
    try {
      return await commit(put)
    } catch (error) {
      if (!(error instanceof StoreError) || !UNMET.has(error.code)) throw error
    }
  }
}

/** `not_found`: nothing is there that a condition could match. */
const UNMET: ReadonlySet<string> = new Set(['precondition_failed', 'not_found'])

function knownOf({ row, isLatest, isVersioned }: Found, key: string): KnownObject {
  const info = infoOf(row, isLatest, key)
  return { info, content: contentOf(row, info.attributes), isVersioned }
}

/** Of what has no bound of its own that is small. */
const lengthOf = ({ key, attributes, tags, blobs }: VersionRow) =>
  key.length + attributes.length + (tags?.length ?? 0) + (blobs?.length ?? 0)

const whichVersion = ({ bucket, key, versionId }: VersionRef) => ({
  bucketId: bucket.id,
  key: keyBytes(key),
  version: versionId === undefined ? undefined : versionOf(versionId),
})

function listArgs(request: ListRequest): ListArgs {
  const { bucket, prefix = '', delimiter = '', after, limit } = request
  checkLimit(limit)
  return {
    bucketId: bucket.id,
    prefix: textBytes(prefix, 'prefix'),
    delimiter: textBytes(delimiter, 'delimiter'),
    after: after === undefined ? undefined : textBytes(after, 'place to go on from'),
    limit,
  }
}

/** A page may be shorter than was asked for: files whose time is over are left out, and long attributes have little room on it. */
function objectsPage(page: Page<ShownRow>, nowMs: number): ListPage {
  const { rows, prefixes } = sorted(page)
  const toAttributes = attributesCache()
  const objects: ObjectInfo[] = []
  for (const row of rows) {
    const info = infoOf(row, true, row.key.toString(), toAttributes(row))
    if (!isExpired(info, nowMs)) objects.push(info)
  }
  const last = page.items.at(-1)
  return { objects, prefixes, next: page.isTruncated ? nameOf(last!) : undefined }
}

function versionsPage(page: Page<ListedVersion>): ListVersionsPage {
  const { rows, prefixes } = sorted(page)
  const toAttributes = attributesCache()
  const versions = rows.map((row) => infoOf(row, row.is_latest === 1, row.key.toString(), toAttributes(row)))
  const last = page.items.at(-1)
  if (!page.isTruncated || last === undefined) return { versions, prefixes, next: undefined }
  const versionId = 'row' in last ? versionIdOf(last.row.rank) : undefined
  return { versions, prefixes, next: { key: nameOf(last), versionId } }
}

function sorted<R>(page: Page<R>): { rows: R[]; prefixes: string[] } {
  const rows: R[] = []
  const prefixes: string[] = []
  for (const item of page.items) {
    if ('row' in item) rows.push(item.row)
    else prefixes.push(item.prefix.toString())
  }
  return { rows, prefixes }
}

const nameOf = (item: Listed<{ key: Buffer }>) => ('row' in item ? item.row.key : item.prefix).toString()

/** Many objects of a page carry the very same attributes: parsed once. */
function attributesCache(): (row: ShownRow) => ObjectAttributes {
  const known = new Map<string, ObjectAttributes>()
  return (row) => {
    let attributes = known.get(row.attributes)
    if (attributes === undefined) {
      attributes = attributesOf(row)
      known.set(row.attributes, attributes)
    }
    return attributes
  }
}
