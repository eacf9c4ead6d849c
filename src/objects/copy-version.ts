/** Copies by reference: a new version of one key with the bytes of another, in one transaction. */
import { StoreError } from '../base/errors.ts'
import { query, type Script, type Steps } from '../meta/meta-store.ts'
import { checkPresent } from './conditions.ts'
import { shareContent } from './content-steps.ts'
import { type FoundVersion, findVersion, nothingAt, type WhichVersion } from './find-steps.ts'
import type { StoredEncryption } from './object-keys.ts'
import type { Conditions, EncryptionKind, ObjectAttributes } from './object-store.ts'
import type { NewContent, VersionRow } from './parts.ts'
import { type PutOutcome, type PutVersion, putVersion, VERSIONING_ENABLED } from './put-version.ts'
import { attributesOf, attributesText, isMarker, isNullVersion, placeOf } from './rows.ts'
import { isExpiredRow, type LivingObject, secondsLeft } from './tree-life.ts'

export interface CopySource {
  bucketId: number
  key: Buffer
  version: WhichVersion
  conditions?: Conditions | undefined
}

type Put = Omit<PutVersion, 'content' | 'sizeBytes' | 'etag' | 'attributes' | 'tags' | 'keepsReplaced'>

export interface CopyVersion extends Put {
  source: CopySource
  /** The version that the source must still be. */
  sourceRank: number | undefined
  /** Undefined: those of the source. What belongs to the bytes always comes from the source. */
  attributes: ObjectAttributes | undefined
  /** Set over either. */
  change: Partial<ObjectAttributes>
  /** Undefined: those of the source. */
  tags: string | null | undefined
  /** How the copy is to be encrypted; undefined: it is plain, or stays under the installation's keys. */
  encryption: EncryptionKind | undefined
  /** The wrapped key under which the source may be shared with the copy: the client has shown the key of both. */
  sharedKey: string | undefined
  /** The bytes, written anew; undefined: they are shared. */
  rewritten: RewrittenBytes | undefined
  /** For bytes that are shared for the first time: 16 random bytes. */
  contentId: Buffer
}

/** Bytes of the source under another key, or none. */
export interface RewrittenBytes {
  content: NewContent
  etag: string
  encryption: StoredEncryption | undefined
}

export interface CopyOutcome {
  put: PutOutcome
  attributes: ObjectAttributes
  row: VersionRow
  etag: string
  isLatest: boolean
}

/**
 * `changed`: the source is another version by now. `other bytes`: it cannot be shared, because the copy is encrypted in another way,
 * or lives longer than the source.
 * Throws as `findVersion` and `putVersion` do; `conflict` when nothing would change.
 */
export const copyVersion: Script<CopyVersion, CopyOutcome | 'changed' | 'other bytes'> = {
  name: 'objects.copy',
  *steps(args) {
    const found = yield* readSource(args.source, args.nowMs)
    const { row } = found
    if (args.sourceRank !== undefined && args.sourceRank !== row.rank) return 'changed'
    const { rewritten } = args
    if (isOntoItself(args) && !isChange(args, row)) throw ontoItself()
    const source = { attributes: attributesOf(row), modifiedMs: row.modified_ms }
    const attributes = copiedAttributes(args, source.attributes)
    const copy = { attributes, modifiedMs: args.nowMs }
    const isShared = isShareable(args, attributes.encryption) && !outlives(copy, source, args.nowMs)
    if (rewritten === undefined && !isShared) return 'other bytes'
    const tags = args.tags === undefined ? row.tags : args.tags
    const keepsReplaced = rewritten === undefined && isOntoItself(args) && (yield* replaces(args, found))
    const etag = rewritten?.etag ?? row.etag
    const put = yield* putVersion({
      ...args,
      content: rewritten?.content ?? (yield* sharedBytes(args, row, keepsReplaced)),
      keepsReplaced,
      sizeBytes: row.size,
      etag,
      attributes: attributesText(attributes),
      tags,
    })
    return { put, attributes, row, etag, isLatest: found.isLatest }
  },
}

function* sharedBytes(args: CopyVersion, row: VersionRow, keepsReplaced: boolean): Steps<NewContent> {
  if (keepsReplaced) return { kind: 'taken', ...placeOf(row) }
  const place = yield* shareContent({ row: sharedRow(row), contentId: args.contentId })
  return { kind: 'taken', ...place }
}

/** Whether the copy may have the very bytes of the source. */
function isShareable(args: CopyVersion, source: StoredEncryption | undefined): boolean {
  if (args.encryption === undefined) return source?.kind !== 'SSE-C'
  if (args.encryption === 'SSE-S3') return source?.kind === 'SSE-S3'
  return source !== undefined && source.key === args.sharedKey
}

/** Whether a copy lives longer than its source: the bytes of that lie in volumes that end with it. */
function outlives(copy: LivingObject, source: LivingObject, nowMs: number): boolean {
  const left = secondsLeft(source, nowMs)
  if (left === undefined) return false
  const leftOfCopy = secondsLeft(copy, nowMs)
  return leftOfCopy === undefined || leftOfCopy > left
}

const ontoItself = () =>
  new StoreError('conflict', 'an object is copied to itself only with other attributes')

/** Throws `not_found`, `version_not_found`, `precondition_failed`, `method_not_allowed` (a delete marker that was named). */
export function* readSource(source: CopySource, nowMs: number): Steps<FoundVersion> {
  const found = yield* findVersion.steps(source)
  if (isExpiredRow(found.row, nowMs)) throw nothingAt(source.version)
  checkSource(source, found.row)
  return found
}

export function checkSource(source: Pick<CopySource, 'version' | 'conditions'>, row: VersionRow): void {
  if (isMarker(row)) {
    throw source.version === undefined
      ? new StoreError('not_found', 'there is no such object')
      : new StoreError('method_not_allowed', 'the version is a delete marker')
  }
  if (source.conditions !== undefined) checkPresent(source.conditions, row)
}

const sharedRow = (row: VersionRow) => ({
  ...placeOf(row),
  bucketId: row.bucket_id,
  key: row.key,
  rank: row.rank,
  sizeBytes: row.size,
})

/** What describes the bytes, and goes wherever they go. */
export function attributesOfBytes(attributes: ObjectAttributes): ObjectAttributes {
  const { checksum, partSizes, partChecksums, encryption, md5 } = attributes
  return { checksum, partSizes, partChecksums, encryption, md5 }
}

function copiedAttributes(args: CopyVersion, source: ObjectAttributes): ObjectAttributes {
  const { rewritten } = args
  if (rewritten !== undefined) {
    const { partSizes: _, partChecksums: __, ...plain } = args.attributes ?? source
    const { checksum } = source
    return { ...plain, checksum, ...args.change, encryption: rewritten.encryption }
  }
  return { ...(args.attributes ?? source), ...attributesOfBytes(source), ...args.change }
}

function isOntoItself(args: Pick<CopyVersion, 'bucketId' | 'key' | 'source'>): boolean {
  return args.source.bucketId === args.bucketId && args.source.key.equals(args.key)
}

/** New attributes or tags, another storage class or redirect, or an earlier version that becomes the latest. */
function isChange(args: CopyVersion, row: VersionRow): boolean {
  if (args.attributes !== undefined || args.tags !== undefined || args.source.version !== undefined)
    return true
  if (args.encryption !== undefined) return true
  const { storageClass = 'STANDARD', websiteRedirect } = attributesOf(row)
  const change = args.change
  const isOtherClass = change.storageClass !== undefined && change.storageClass !== storageClass
  return isOtherClass || (change.websiteRedirect ?? websiteRedirect) !== websiteRedirect
}

/** Whether the new version takes the very place of its source. */
function* replaces(args: CopyVersion, found: FoundVersion): Steps<boolean> {
  if (!isNullVersion(found.row)) return false
  const [bucket] = yield query('select versioning from bucket where bucket_id = ?', args.bucketId)
  return bucket?.versioning !== VERSIONING_ENABLED
}
