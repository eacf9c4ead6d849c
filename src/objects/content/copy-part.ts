/** Parts by reference: a range of an object becomes a part of an upload, without its bytes being touched. */
import { assert } from '../../base/assert.ts'
import { query, type Script, type Steps } from '../../meta/meta-store.ts'
import { addReferences, shareContent } from '../content-steps.ts'
import { type CopySource, readSource } from '../copy-version.ts'
import type { NewContent, VersionRow } from '../parts.ts'
import { placeOf } from '../rows.ts'
import { segmentPages, segmentsOf } from './complete-upload.ts'
import type { SegmentEntry } from './entries.ts'
import { KIND_SEGMENTS } from './scripts.ts'
import { type PutPartRow, putPartSteps, uploadAt } from './upload-scripts.ts'

export interface CopyPartRow extends Omit<PutPartRow, 'content'> {
  source: CopySource
  /** Which version the source was when its ETag and checksums were read. */
  rank: number
  start: number
  end: number
  /** For a source whose bytes are shared for the first time, and for the part: 16 random bytes each. */
  sharedId: Buffer
  contentId: Buffer
}

/** False: the source is another one by now. Throws `upload_not_found`, `quota_exceeded`, and as `readSource` does. */
export const copyPart: Script<CopyPartRow, boolean> = {
  name: 'uploads.copyPart',
  *steps(args) {
    yield* uploadAt(args)
    const { row } = yield* readSource(args.source, args.nowMs)
    if (row.rank !== args.rank) return false
    yield* putPartSteps({ ...args, content: yield* contentOfRange(args, row) })
    return true
  },
}

function* contentOfRange(args: CopyPartRow, row: VersionRow): Steps<NewContent> {
  const { start, end, contentId } = args
  const kind = row.content_id === null ? undefined : yield* kindOf(row.content_id)
  if (start === end || (row.blobs === null && row.content_id === null))
    return { kind: 'pages', contentId, entries: 'chunks', pages: [] }
  if (kind === KIND_SEGMENTS) {
    const segments = cutSegments(yield* segmentsOf(row.content_id!), start, end)
    yield* addReferences(segments.map(({ contentId }) => contentId))
    return { kind: 'pages', contentId, entries: 'segments', pages: segmentPages(segments) }
  }
  const shared = yield* shareContent({
    row: { ...placeOf(row), bucketId: row.bucket_id, key: row.key, rank: row.rank, sizeBytes: row.size },
    contentId: args.sharedId,
  })
  assert(shared.contentId !== null, 'shared bytes are a content')
  if (start === 0 && end === row.size) return { kind: 'taken', blobs: null, contentId: shared.contentId }
  const segment = { contentId: Buffer.from(shared.contentId), offset: start, sizeBytes: end - start }
  return { kind: 'pages', contentId, entries: 'segments', pages: segmentPages([segment]) }
}

function* kindOf(contentId: Buffer): Steps<number> {
  const [content] = yield query('select kind from content where content_id = ?', contentId)
  assert(content !== undefined, 'a content is there while it is named')
  return content.kind as number
}

/** The parts of segments that lie in a range of the whole. */
function cutSegments(segments: readonly SegmentEntry[], start: number, end: number): SegmentEntry[] {
  const cut: SegmentEntry[] = []
  let offset = 0
  for (const { contentId, offset: inner, sizeBytes } of segments) {
    const [from, to] = [Math.max(start, offset), Math.min(end, offset + sizeBytes)]
    if (from < to) cut.push({ contentId, offset: inner + from - offset, sizeBytes: to - from })
    offset += sizeBytes
  }
  return cut
}
