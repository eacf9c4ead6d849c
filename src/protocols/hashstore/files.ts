/**
 * The files of a server: objects of two buckets. The extended protocol knows a file by its whole path. The old one knows it by
 * what stands behind the last backslash, so that a file replaces one of the same name from another folder; such files have a
 * bucket of their own, beside their path, and replace none that the extended protocol has stored. A path may be in both for
 * a moment, or where it was moved to: what was written last counts.
 */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { HASHSTORE_TIME_MS_MAX, LIST_KEYS_MAX, OBJECT_KEY_BYTES_MAX } from '../../base/limits.ts'
import type {
  Bucket,
  FoundObject,
  LatePut,
  ObjectInfo,
  ObjectStore,
  PutObject,
} from '../../objects/object-store.ts'
import { isChunkPath, isMark } from './manifest.ts'
import { CHANGED, OwnBucket } from './own-bucket.ts'
import { checkedText, isPathText, nameOfPath, textOfPath } from './paths.ts'
import { NEVER_MS, RemovedMarks } from './removed-marks.ts'
import { type FileEntry, isTime, type Page } from './wire.ts'

const PATHS_BUCKET = 'hashstore'
const NAMES_BUCKET = 'hashstore-names'

/** How a file was stored: by the extended protocol, or by the old one. */
type FileKind = 'path' | 'name'

export interface StoredFile {
  entry: FileEntry
  found: FoundObject
  bucket: Bucket
}

/** Where a file is; only that one is meant. */
interface StoredPlace {
  bucket: Bucket
  key: string
  tag: string
  ifModifiedMs?: number
}

/** A put, as it is right at one moment. */
interface PutTurn {
  timeMs: number
  /** What was known by then to have been removed. */
  removedMs: number
  replaced: StoredFile | undefined
  put: LatePut
}

export interface NewFile {
  kind: FileKind
  body: PutObject['body']
  check?: PutObject['check']
  /** When it was written, in milliseconds; absent: when its last byte comes. */
  timeMs?: number | undefined
  /** As a request of the extended protocol says. */
  manifest?: string | undefined
  chunkOf?: string | undefined
  /** Throws `conflict` where there is a file of that time or later, or was when it was removed. */
  unlessNewer?: boolean | undefined
}

export class HashstoreFiles {
  readonly #objects: ObjectStore
  readonly #clock: Clock
  readonly #buckets: Record<FileKind, OwnBucket>
  readonly #removed: RemovedMarks

  constructor({ objects, clock, owner }: { objects: ObjectStore; clock: Clock; owner: string }) {
    this.#objects = objects
    this.#clock = clock
    this.#buckets = {
      path: new OwnBucket({ objects, name: PATHS_BUCKET, owner }),
      name: new OwnBucket({ objects, name: NAMES_BUCKET, owner }),
    }
    this.#removed = new RemovedMarks({ objects, clock, owner })
  }

  /** The file of exactly this path. */
  async find(path: Buffer): Promise<StoredFile | undefined> {
    const text = checkedText(textOfPath(path))
    return newestFirst(await this.#lookUp(path, text), text)[0]
  }

  /** As the old protocol asks: the file of this path, or what was last written under its name. */
  async findByName(path: Buffer): Promise<StoredFile | undefined> {
    return (await this.find(path)) ?? (await this.#findOne('name', textOfPath(nameOfPath(path))))
  }

  /**
   * Gives what it replaced, too. Throws what `ObjectStore.put` throws, and `conflict`. Nothing is replaced then.
   *
   * A time is taken when the last byte has come, so that what was written last counts, and it is later than what is replaced
   * or was removed, also by a clock that was set back. What else happens at that moment:
   * - Another put under the same key: the conditions are not met, and things are looked at again.
   * - A put of the same path in the other bucket: both look for the other after they are stored, so that one of them at least sees
   *   both, and removes the earlier one, be it its own.
   * - A removal: it sets its mark before it looks for what to remove, and here the mark is looked at after the file is stored.
   *   Either the removal finds the file, or the file finds the mark.
   */
  async put(path: Buffer, file: NewFile): Promise<{ entry: FileEntry; replaced: StoredFile | undefined }> {
    const text = checkedText(textOfPath(path))
    const { kind, body, check, manifest, chunkOf } = file
    const key = kind === 'path' ? text : checkedText(textOfPath(nameOfPath(path)))
    let turn: PutTurn | undefined
    const late = async () => {
      turn = await this.#turnOf(path, text, file)
      return turn.put
    }
    // Before the body is taken, too.
    if (file.unlessNewer) await late()
    const bucket = await this.#buckets[kind].findOrMake()
    const { etag, sizeBytes } = await this.#objects.put({
      ...{ bucket, key, body, hasOpaqueEtag: true, attributes: {}, late },
      ...(check && { check }),
    })
    const { timeMs, removedMs, replaced } = turn!
    await this.#removeEarlier(path, text, kind)
    if (needsMark(file)) {
      const nowRemovedMs = await this.#removed.timeOf(text)
      // A mark of the very time of a new file says that the removal has found it, and takes it away itself.
      const isRemoved = file.unlessNewer ? nowRemovedMs >= timeMs : nowRemovedMs > timeMs
      if (isRemoved && nowRemovedMs > removedMs) {
        // It was stored at the same time as it was removed, and so before.
        await this.#removeOne({ bucket, key, tag: etag })
        if (file.unlessNewer) throw removedSince()
      }
    }
    const entry = { path: text, size: sizeBytes, time: timeMs, tag: etag }
    return { entry: withMarks(entry, { manifest, chunkOf }), replaced }
  }

  /** What a put has to be, as things are at this moment. Throws `conflict`. */
  async #turnOf(path: Buffer, text: string, file: NewFile): Promise<PutTurn> {
    const { kind, unlessNewer, manifest, chunkOf } = file
    const both = await this.#lookUp(path, text)
    const replaced = newestFirst(both, text)[0]
    const removedMs = needsMark(file) ? await this.#removed.timeOf(text) : NEVER_MS
    const nowMs = this.#clock.nowMs()
    const latestMs = replaced?.entry.time ?? NEVER_MS
    let { timeMs } = file
    if (unlessNewer) {
      timeMs ??= nowMs
      if (latestMs >= timeMs) throw new StoreError('conflict', 'there is a file of that time or later')
      if (removedMs >= timeMs) throw removedSince()
    }
    timeMs ??= Math.min(HASHSTORE_TIME_MS_MAX, Math.max(nowMs, latestMs + 1, removedMs + 1))
    const same = both[kind]
    const conditions = same === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: [same.entry.tag] }
    const attributes = { userMetadata: metadataOf({ path: text, timeMs, manifest, chunkOf }) }
    return { timeMs, removedMs, replaced, put: { attributes, conditions } }
  }

  /** After a put: of what both protocols have at this path, the earlier one is removed. */
  async #removeEarlier(path: Buffer, text: string, kind: FileKind): Promise<void> {
    const other = kind === 'path' ? await this.#findByName(path) : await this.#findOne('path', text)
    if (other?.entry.path !== text) return
    const [, ...earlier] = newestFirst(await this.#lookUp(path, text), text)
    for (const each of earlier) await this.#removeOne(placeOf(each))
  }

  /**
   * Removes the file of exactly this path; with a tag, only that one. Gives it. Throws `not_found`, `precondition_failed`.
   * A mark is left of the time of what is removed, and of `timeMs`, the latest that was removed elsewhere; also where there is
   * nothing here. Only a file that is removed by its tag alone leaves none: it was moved, and may come back.
   */
  async remove(
    path: Buffer,
    { tag, timeMs = NEVER_MS }: { tag?: string | undefined; timeMs?: number | undefined } = {},
  ): Promise<StoredFile> {
    const text = checkedText(textOfPath(path))
    const look = async () => {
      const present = newestFirst(await this.#lookUp(path, text), text)
      if (tag !== undefined && present.length > 0 && present[0]!.entry.tag !== tag)
        throw new StoreError('precondition_failed', 'there is another file now')
      return present
    }
    let present = await look()
    const [first] = present
    if (first === undefined && timeMs === NEVER_MS) throw nothingThere()
    let lastMs = Number.POSITIVE_INFINITY
    if (!isChunkPath(text) && (tag === undefined || timeMs > NEVER_MS)) {
      const markMs = tag === undefined ? Math.max(timeMs, first?.entry.time ?? NEVER_MS) : timeMs
      await this.#removed.note(text, markMs)
      if (tag === undefined) lastMs = markMs
      // What was stored before the mark was there is found only now.
      present = await look()
    }
    for (let removed: StoredFile | undefined; ; present = await look()) {
      const [newest] = present
      const isReplaced = newest !== undefined && newest.entry.time > lastMs
      if (newest === undefined || isReplaced) {
        // What was there is not any more: it was removed before it was replaced.
        const gone = removed ?? (isReplaced ? first : undefined)
        if (gone !== undefined) return gone
        throw nothingThere()
      }
      // The newest last: what it hides must not come back.
      let isChanged = false
      for (const each of present.toReversed()) {
        isChanged = !(await this.#removeOne(placeOf(each)))
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
    const entries = (page?.objects ?? []).flatMap((info) => entryOf(info, kind) ?? [])
    if (page?.next !== undefined) return { entries, next: `${kind}/${page.next}` }
    return kind === 'path' ? { entries, next: 'name/' } : { entries }
  }

  /** What is under both keys that a path has; of the name it may be a file of another path. */
  async #lookUp(path: Buffer, text: string): Promise<Partial<Record<FileKind, StoredFile>>> {
    const byPath = await this.#findOne('path', text)
    const byName = await this.#findByName(path)
    return { ...(byPath && { path: byPath }), ...(byName && { name: byName }) }
  }

  async #findByName(path: Buffer): Promise<StoredFile | undefined> {
    const name = textOfPath(nameOfPath(path))
    return name === '' ? undefined : await this.#findOne('name', name)
  }

  async #findOne(kind: FileKind, key: string): Promise<StoredFile | undefined> {
    const there = await this.#buckets[kind].lookUp(key)
    const entry = there && entryOf(there.found.info, kind)
    return entry && { ...there, entry }
  }

  /** False: it has changed, or is gone. */
  async #removeOne({ bucket, key, tag, ifModifiedMs }: StoredPlace): Promise<boolean> {
    try {
      const conditions = { ifMatch: [tag], ...(ifModifiedMs !== undefined && { ifModifiedMs }) }
      return (await this.#objects.delete({ bucket, key, conditions })).versionId !== undefined
    } catch (error) {
      if (error instanceof StoreError && CHANGED.has(error.code)) return false
      throw error
    }
  }
}

/** Of one path. */
function newestFirst(both: Partial<Record<FileKind, StoredFile>>, text: string): StoredFile[] {
  const byPath = both.path
  const byName = both.name?.entry.path === text ? both.name : undefined
  const isPathFirst = byPath !== undefined && byName !== undefined && byPath.entry.time > byName.entry.time
  return (isPathFirst ? [byPath, byName] : [byName, byPath]).filter((each) => each !== undefined)
}

/** ETags of other doors may come again. */
const placeOf = ({ bucket, found, entry }: StoredFile): StoredPlace => ({
  ...{ bucket, key: found.info.key, tag: entry.tag, ifModifiedMs: found.info.modifiedMs },
})

/** A chunk is never put again once it was removed, and a time that is told is kept as it is. */
const needsMark = ({ chunkOf, timeMs, unlessNewer }: NewFile) =>
  chunkOf === undefined && (timeMs === undefined || unlessNewer === true)

const nothingThere = () => new StoreError('not_found', 'there is no such file')
const removedSince = () => new StoreError('conflict', 'it was removed since')

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

/**
 * Also of objects that came through another door, which say less, or what is not so. Undefined: one that no path leads to, such as
 * a key with a `%` that is not written as paths are.
 */
function entryOf(info: ObjectInfo, kind: FileKind): FileEntry | undefined {
  const { key, sizeBytes: size, etag: tag, modifiedMs, attributes } = info
  const metadata = new Map(attributes.userMetadata ?? [])
  const textOf = (name: string) => {
    const value = metadata.get(name)
    return value === undefined ? undefined : decodedText(value)
  }
  const leadsHere = (path: string | undefined) => path !== undefined && keyOf(path, kind) === key
  const path = [textOf('path'), key].find(leadsHere)
  if (path === undefined) return undefined
  const told = Number(metadata.get('time') ?? modifiedMs)
  const time = isTime(told) ? told : modifiedMs
  const [manifest, chunkOf] = [textOf('manifest'), textOf('chunk-of')]
  return withMarks(
    { path, size, time, tag },
    {
      manifest: manifest !== undefined && isMark(manifest) ? manifest : undefined,
      chunkOf: chunkOf !== undefined && isPathText(chunkOf) ? chunkOf : undefined,
    },
  )
}

/** Where a file of this path is; undefined where no file can have it. */
function keyOf(path: string, kind: FileKind): string | undefined {
  if (!isPathText(path) || Buffer.byteLength(path) > OBJECT_KEY_BYTES_MAX) return undefined
  // A backslash is never escaped, nor part of what is.
  return kind === 'path' ? path : path.slice(path.lastIndexOf('\\') + 1)
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
