/** What the object store should do, in memory and as plainly as it can be said. */
import { createHash } from 'node:crypto'
import type { ErrorCode } from '../../src/base/errors.ts'
import type {
  Conditions,
  ListRequest,
  ObjectAttributes,
  ObjectLock,
  Tag,
  Versioning,
} from '../../src/objects/object-store.ts'

export interface ModelVersion {
  key: string
  /** As the store named it; the null version is `null`. */
  versionId: string
  isDeleteMarker: boolean
  bytes: Buffer
  etag: string
  modifiedMs: number
  attributes: ObjectAttributes
  tags: readonly Tag[]
  lock: ObjectLock
}

/** Thrown where the store should refuse. */
export class Refusal extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode) {
    super(code)
    this.code = code
  }
}

export const etagOf = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex')
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const seconds = (ms: number) => Math.floor(ms / 1000)

type NewVersion = Pick<ModelVersion, 'bytes' | 'attributes' | 'tags' | 'modifiedMs'> & {
  lock: ObjectLock
  conditions?: Conditions
}

export class ModelBucket {
  versioning: Versioning = 'off'
  objectLock = false
  quotaBytes = 0
  /** Newest first. */
  readonly keys = new Map<string, ModelVersion[]>()

  versionsOf(key: string): ModelVersion[] {
    return this.keys.get(key) ?? []
  }

  latest(key: string): ModelVersion | undefined {
    return this.versionsOf(key)[0]
  }

  find(key: string, versionId: string | undefined): ModelVersion {
    const versions = this.versionsOf(key)
    const found =
      versionId === undefined ? versions[0] : versions.find((each) => each.versionId === versionId)
    if (found === undefined) throw new Refusal(versionId === undefined ? 'not_found' : 'version_not_found')
    return found
  }

  usage() {
    const held = [...this.keys.values()].flat().filter(({ isDeleteMarker }) => !isDeleteMarker)
    return { objects: held.length, bytes: held.reduce((sum, { bytes }) => sum + bytes.length, 0) }
  }

  /** Says what would be refused; `commit` is called with the id that the store gave. */
  put(key: string, version: NewVersion): (versionId: string, etag?: string) => void {
    const latest = this.latest(key)
    const present = latest?.isDeleteMarker ? undefined : latest
    const { conditions, ...given } = version
    const { lock } = given
    if (conditions !== undefined) {
      if (present === undefined && conditions.ifMatch !== undefined) throw new Refusal('not_found')
      if (present !== undefined) checkConditions(conditions, present)
    }
    if (!this.objectLock && (lock.mode !== undefined || lock.legalHold)) throw new Refusal('bad_request')
    if (lock.untilMs !== undefined && lock.untilMs <= version.modifiedMs) throw new Refusal('bad_request')
    const replaced =
      this.versioning === 'enabled'
        ? undefined
        : this.versionsOf(key).find(({ versionId }) => versionId === 'null')
    const added = version.bytes.length - (replaced?.bytes.length ?? 0)
    if (this.quotaBytes > 0 && added > 0 && this.usage().bytes + added > this.quotaBytes)
      throw new Refusal('quota_exceeded')
    return (versionId, etag = etagOf(version.bytes)) => {
      // Where there are no locks, nobody can have taken one off.
      const kept = this.objectLock ? lock : {}
      const made = { ...given, lock: kept, key, versionId, isDeleteMarker: false, etag }
      this.#add(key, made)
    }
  }

  delete(
    key: string,
    { conditions, nowMs }: { conditions?: Conditions; nowMs: number },
  ): (versionId: string | undefined) => void {
    const latest = this.latest(key)
    if (conditions !== undefined && latest !== undefined) checkConditions(conditions, latest)
    return (versionId) => {
      if (versionId === undefined || this.versioning === 'off') this.keys.delete(key)
      else this.#add(key, markerOf(key, versionId!, nowMs))
    }
  }

  deleteVersion(
    key: string,
    versionId: string,
    how: { conditions?: Conditions; bypass: boolean; nowMs: number },
  ): ModelVersion {
    const found = this.find(key, versionId)
    if (how.conditions !== undefined) checkConditions(how.conditions, found)
    if (!found.isDeleteMarker) {
      const { mode, untilMs = 0, legalHold } = found.lock
      const isRetained = mode !== undefined && untilMs > how.nowMs
      if (legalHold || (isRetained && (mode === 'COMPLIANCE' || !how.bypass)))
        throw new Refusal('object_locked')
    }
    this.#keep(key, (each) => each !== found)
    return found
  }

  changeable(key: string, versionId: string | undefined): ModelVersion {
    const found = this.find(key, versionId)
    if (found.isDeleteMarker) throw new Refusal('method_not_allowed')
    return found
  }

  setLock(version: ModelVersion, lock: ObjectLock, how: { bypass: boolean; nowMs: number }): void {
    if (!this.objectLock) throw new Refusal('bad_request')
    if (lock.untilMs !== undefined && lock.untilMs <= how.nowMs) throw new Refusal('bad_request')
    const { legalHold = version.lock.legalHold, mode, untilMs } = lock
    const onlyHold = lock.legalHold !== undefined && mode === undefined
    const before = version.lock
    if (!onlyHold && before.mode !== undefined && before.untilMs! > how.nowMs) {
      const extends_ = mode === before.mode && untilMs! >= before.untilMs!
      if (!extends_ && (before.mode === 'COMPLIANCE' || !how.bypass)) throw new Refusal('object_locked')
    }
    const retention = onlyHold ? { mode: before.mode, untilMs: before.untilMs } : { mode, untilMs }
    version.lock = plainLock({ ...retention, legalHold })
  }

  list(request: Omit<ListRequest, 'bucket'>) {
    const objects = [...this.keys.values()]
      .map((versions) => versions[0]!)
      .filter((each) => !each.isDeleteMarker)
    return page(objects, request)
  }

  /** All of them: pages are compared by going through them. */
  listVersions(prefix: string, delimiter: string) {
    const versions = [...this.keys.values()].flat()
    return page(versions, { prefix, delimiter, limit: Number.POSITIVE_INFINITY })
  }

  #add(key: string, version: ModelVersion): void {
    if (version.versionId === 'null') this.#keep(key, ({ versionId }) => versionId !== 'null')
    this.keys.set(key, [version, ...this.versionsOf(key)])
  }

  #keep(key: string, keeps: (version: ModelVersion) => boolean): void {
    const left = this.versionsOf(key).filter(keeps)
    if (left.length === 0) this.keys.delete(key)
    else this.keys.set(key, left)
  }
}

function markerOf(key: string, versionId: string, modifiedMs: number): ModelVersion {
  const nothing = { bytes: Buffer.alloc(0), etag: '', modifiedMs, attributes: {}, tags: [], lock: {} }
  return { ...nothing, key, versionId, isDeleteMarker: true }
}

export function plainLock({ mode, untilMs, legalHold }: ObjectLock): ObjectLock {
  return {
    ...(mode === undefined ? {} : { mode, untilMs }),
    ...(legalHold === undefined ? {} : { legalHold }),
  }
}

export function checkConditions(conditions: Conditions, present: ModelVersion): void {
  const { ifMatch, ifNoneMatch, ifSizeBytes, ifUnmodifiedSinceMs, ifModifiedSinceMs } = conditions
  const has = (list: readonly string[] | '*') => list === '*' || list.includes(present.etag)
  const fails =
    (ifMatch !== undefined && !has(ifMatch)) ||
    (ifNoneMatch !== undefined && has(ifNoneMatch)) ||
    (ifSizeBytes !== undefined && ifSizeBytes !== present.bytes.length) ||
    (ifMatch === undefined &&
      ifUnmodifiedSinceMs !== undefined &&
      seconds(present.modifiedMs) > seconds(ifUnmodifiedSinceMs)) ||
    (ifNoneMatch === undefined &&
      ifModifiedSinceMs !== undefined &&
      seconds(present.modifiedMs) <= seconds(ifModifiedSinceMs))
  if (fails) throw new Refusal('precondition_failed')
}

/** Keys and common prefixes in order, those behind `after`, up to `limit`. */
function page(versions: readonly ModelVersion[], request: Omit<ListRequest, 'bucket'>) {
  const { prefix = '', delimiter = '', after, limit } = request
  const items = new Map<string, ModelVersion[] | undefined>()
  for (const version of versions.toSorted((a, b) => byBytes(a.key, b.key))) {
    const { key } = version
    if (!key.startsWith(prefix)) continue
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    const name = at < 0 ? key : key.slice(0, at + delimiter.length)
    if (after !== undefined && byBytes(name, after) <= 0) continue
    if (at >= 0) items.set(name, undefined)
    else items.set(name, [...(items.get(name) ?? []), version])
  }
  const all = [...items]
  const shown = all.slice(0, limit)
  return {
    versions: shown.flatMap(([, each]) => each ?? []),
    prefixes: shown.filter(([, each]) => each === undefined).map(([name]) => name),
    next: all.length > limit && limit > 0 ? shown.at(-1)![0] : undefined,
  }
}
