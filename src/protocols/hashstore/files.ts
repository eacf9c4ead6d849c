/**
 * The files of a server: objects of two buckets. The extended protocol knows a file by its whole path. The old one knows it by
 * what stands behind the last backslash, so that a file replaces one of the same name from another folder; such files have a
 * bucket of their own, beside their path, and replace none that the extended protocol has stored. A path may be in both for
 * a moment, or where it was moved to: what was written last counts.
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { LIST_KEYS_MAX } from '../../base/limits.ts'
import type { Bucket, FoundObject, ObjectInfo, ObjectStore, PutObject } from '../../objects/object-store.ts'
import { OwnBucket } from './own-bucket.ts'
import { checkedText, nameOfPath, textOfPath } from './paths.ts'
import type { FileEntry, Page } from './wire.ts'

const PATHS_BUCKET = 'hashstore'
const NAMES_BUCKET = 'hashstore-names'

/** How a file was stored: by the extended protocol, or by the old one. */
type FileKind = 'path' | 'name'

export interface StoredFile {
  entry: FileEntry
  found: FoundObject
  bucket: Bucket
}

export interface NewFile {
  kind: FileKind
  body: PutObject['body']
  check?: PutObject['check']
  /** When it was written, in milliseconds; absent: now. */
  timeMs?: number | undefined
  /** As a request of the extended protocol says. */
  manifest?: string | undefined
  chunkOf?: string | undefined
  /** Throws `conflict` where there is a file of that time or later. */
  unlessNewer?: boolean | undefined
}

export class HashstoreFiles {
  readonly #objects: ObjectStore
  readonly #clock: Clock
  readonly #buckets: Record<FileKind, OwnBucket>

  constructor({ objects, clock, owner }: { objects: ObjectStore; clock: Clock; owner: string }) {
    this.#objects = objects
    this.#clock = clock
    this.#buckets = {
      path: new OwnBucket({ objects, name: PATHS_BUCKET, owner }),
      name: new OwnBucket({ objects, name: NAMES_BUCKET, owner }),
    }
  }

  /** The file of exactly this path. */
  async find(path: Buffer): Promise<StoredFile | undefined> {
    const text = checkedText(textOfPath(path))
    return (await this.#findBoth(text, path))[0]
  }

  /** As the old protocol asks: the file of this path, or what was last written under its name. */
  async findByName(path: Buffer): Promise<StoredFile | undefined> {
    return (await this.find(path)) ?? (await this.#findOne('name', textOfPath(nameOfPath(path))))
  }

  /** Gives what it replaced, too. Throws what `ObjectStore.put` throws, and `conflict`. Nothing is replaced then. */
  async put(path: Buffer, file: NewFile): Promise<{ entry: FileEntry; replaced: StoredFile | undefined }> {
    const text = checkedText(textOfPath(path))
    const nowMs = this.#clock.nowMs()
    const { kind, body, check, timeMs = nowMs, manifest, chunkOf } = file
    const key = kind === 'path' ? text : checkedText(textOfPath(nameOfPath(path)))
    const present = await this.#findBoth(text, path)
    if (file.unlessNewer && present[0] !== undefined && present[0].entry.time >= timeMs)
      throw new StoreError('conflict', 'there is a file of that time or later')
    const same = present.find(({ bucket }) => bucket.name === bucketNameOf(kind))
    const conditions = same === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: [same.entry.tag] }
    const { etag, sizeBytes } = await this.#objects.put({
      bucket: await this.#buckets[kind].findOrMake(),
      ...{ key, body, hasOpaqueEtag: true },
      attributes: { userMetadata: metadataOf({ path: text, timeMs, manifest, chunkOf }) },
      ...(check && { check }),
      ...(file.unlessNewer && { conditions }),
    })
    // What the other protocol had at this path, unless it has changed meanwhile.
    for (const other of present) if (other !== same) await this.#removeOne(other)
    const entry = { path: text, size: sizeBytes, time: timeMs, tag: etag }
    return { entry: withMarks(entry, { manifest, chunkOf }), replaced: present[0] }
  }

  /** Removes the file of exactly this path; with a tag, only that one. Gives it. Throws `not_found`, `precondition_failed`. */
  async remove(path: Buffer, tag?: string): Promise<StoredFile> {
    const text = checkedText(textOfPath(path))
    for (let removed: StoredFile | undefined; ; ) {
      const present = await this.#findBoth(text, path)
      const [newest] = present
      if (newest === undefined) {
        if (removed !== undefined) return removed
        throw new StoreError('not_found', 'there is no such file')
      }
      if (tag !== undefined && newest.entry.tag !== tag)
        throw new StoreError('precondition_failed', 'there is another file now')
      // The newest last: what it hides must not come back.
      let isChanged = false
      for (const each of present.toReversed()) {
        isChanged = !(await this.#removeOne(each))
        if (isChanged) break
        removed = each
      }
      // Whoever changed it meanwhile has got on: this ends.
      if (!isChanged) return newest
    }
  }

  /** All files, in an order that stays the same, behind a place that an earlier page told. */
  async list(after: string): Promise<Page<FileEntry>> {
    const kind = after.startsWith('name/') ? 'name' : 'path'
    const bucket = await this.#buckets[kind].find()
    const page = bucket && (await this.#objects.list({ bucket, after: after.slice(5), limit: LIST_KEYS_MAX }))
    const entries = (page?.objects ?? []).map(entryOf)
    if (page?.next !== undefined) return { entries, next: `${kind}/${page.next}` }
    return kind === 'path' ? { entries, next: 'name/' } : { entries }
  }

  /** Of one path, the newest first. */
  async #findBoth(text: string, path: Buffer): Promise<StoredFile[]> {
    const byPath = await this.#findOne('path', text)
    const name = textOfPath(nameOfPath(path))
    const byName = name === '' ? undefined : await this.#findOne('name', name)
    const isOfPath = byName?.entry.path === text
    if (byPath === undefined || !isOfPath)
      return [byPath, isOfPath ? byName : undefined].filter((each) => !!each)
    return byPath.entry.time > byName!.entry.time ? [byPath, byName!] : [byName!, byPath]
  }

  async #findOne(kind: FileKind, key: string): Promise<StoredFile | undefined> {
    const bucket = await this.#buckets[kind].find()
    if (bucket === undefined) return undefined
    try {
      const found = await this.#objects.find(bucket, key)
      return found.info.isDeleteMarker ? undefined : { entry: entryOf(found.info), found, bucket }
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not_found') return undefined
      throw error
    }
  }

  /** False: it has changed, or is gone. */
  async #removeOne({ bucket, found, entry }: StoredFile): Promise<boolean> {
    const { key, modifiedMs: ifModifiedMs } = found.info
    try {
      const request = { bucket, key, conditions: { ifMatch: [entry.tag], ifModifiedMs } }
      return (await this.#objects.delete(request)).versionId !== undefined
    } catch (error) {
      if (error instanceof StoreError && CHANGED.has(error.code)) return false
      throw error
    }
  }
}

const CHANGED: ReadonlySet<string> = new Set(['precondition_failed', 'not_found'])

const bucketNameOf = (kind: FileKind) => (kind === 'path' ? PATHS_BUCKET : NAMES_BUCKET)

/** ASCII only: other doors show it in headers. */
function metadataOf(file: {
  path: string
  timeMs: number
  manifest: string | undefined
  chunkOf: string | undefined
}): [string, string][] {
  const pairs: [string, string][] = [
    ['path', encodeURIComponent(file.path)],
    ['time', String(file.timeMs)],
  ]
  if (file.manifest !== undefined) pairs.push(['manifest', encodeURIComponent(file.manifest)])
  if (file.chunkOf !== undefined) pairs.push(['chunk-of', encodeURIComponent(file.chunkOf)])
  return pairs
}

/** Also of objects that came through another door, which say less. */
function entryOf({ key, sizeBytes, etag, modifiedMs, attributes }: ObjectInfo): FileEntry {
  const metadata = new Map(attributes.userMetadata ?? [])
  const textOf = (name: string) => {
    const value = metadata.get(name)
    return value === undefined ? undefined : decodedText(value)
  }
  const path = textOf('path') ?? textOfPath(Buffer.from(key))
  const time = Number(metadata.get('time') ?? modifiedMs)
  const entry = { path, size: sizeBytes, time: Number.isSafeInteger(time) ? time : modifiedMs, tag: etag }
  return withMarks(entry, { manifest: textOf('manifest'), chunkOf: textOf('chunk-of') })
}

function decodedText(value: string): string | undefined {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}

function withMarks(
  entry: FileEntry,
  marks: { manifest: string | undefined; chunkOf: string | undefined },
): FileEntry {
  if (marks.manifest !== undefined) entry.manifest = marks.manifest
  if (marks.chunkOf !== undefined) entry.chunkOf = marks.chunkOf
  return entry
}
