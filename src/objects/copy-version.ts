/** Copies by reference: a new version of one key with the bytes of another, in one transaction. */
import { StoreError } from '../base/errors.ts'
import { query, type Script, type Steps } from '../meta/meta-store.ts'
import { checkPresent } from './conditions.ts'
import { shareContent } from './content-steps.ts'
import { type FoundVersion, findVersion, type WhichVersion } from './find-steps.ts'
import type { Conditions, ObjectAttributes } from './object-store.ts'
import type { VersionRow } from './parts.ts'
import { type PutOutcome, type PutVersion, putVersion, VERSIONING_ENABLED } from './put-version.ts'
import { attributesOf, attributesText, isMarker, isNullVersion, placeOf } from './rows.ts'

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
  /** For bytes that are shared for the first time: 16 random bytes. */
  contentId: Buffer
}

export interface CopyOutcome {
  put: PutOutcome
  attributes: ObjectAttributes
  row: VersionRow
  isLatest: boolean
}

/** Throws as `findVersion` and `putVersion` do; `conflict` when nothing would change. */
export const copyVersion: Script<CopyVersion, CopyOutcome | 'changed'> = {
  name: 'objects.copy',
  *steps(args) {
    const found = yield* readSource(args.source)
    const { row } = found
    if (args.sourceRank !== undefined && args.sourceRank !== row.rank) return 'changed'
    const attributes = copiedAttributes(args, attributesOf(row))
    const tags = args.tags === undefined ? row.tags : args.tags
    if (isOntoItself(args) && !isChange(args, row)) throw ontoItself()
    const keepsReplaced = isOntoItself(args) && (yield* replaces(args, found))
    const place = keepsReplaced
      ? placeOf(row)
      : yield* shareContent({ row: sharedRow(row), contentId: args.contentId })
    const put = yield* putVersion({
      ...args,
      content: { kind: 'taken', ...place },
      keepsReplaced,
      sizeBytes: row.size,
      etag: row.etag,
      attributes: attributesText(attributes),
      tags,
    })
    return { put, attributes, row, isLatest: found.isLatest }
  },
}

export const ontoItself = () =>
  new StoreError('conflict', 'an object is copied to itself only with other attributes')

/** Throws `not_found`, `version_not_found`, `precondition_failed`, `method_not_allowed` (a delete marker that was named). */
export function* readSource(source: CopySource): Steps<FoundVersion> {
  const found = yield* findVersion.steps(source)
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
  return { ...(args.attributes ?? source), ...attributesOfBytes(source), ...args.change }
}

export function isOntoItself(args: Pick<CopyVersion, 'bucketId' | 'key' | 'source'>): boolean {
  return args.source.bucketId === args.bucketId && args.source.key.equals(args.key)
}

/** New attributes or tags, another storage class or redirect, or an earlier version that becomes the latest. */
function isChange(args: CopyVersion, row: VersionRow): boolean {
  if (args.attributes !== undefined || args.tags !== undefined || args.source.version !== undefined)
    return true
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
