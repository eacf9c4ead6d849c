/** Scripts about contents that stand by themselves: where their bytes are, and blobs that are left behind. */
import { assert } from '../../base/assert.ts'
import { CONTENT_PAGE_ENTRIES } from '../../base/limits.ts'
import { query, type Script, type Steps } from '../../meta/meta-store.ts'
import { BLOB_ENTRY_BYTES, SEGMENT_ENTRY_BYTES, unpackSegments } from './entries.ts'

export const KIND_CHUNKS = 1
export const KIND_SEGMENTS = 2

/** Neighbouring blobs of a content, and which of their bytes are meant. */
export interface BlobRun {
  /** Packed entries. */
  blobs: Uint8Array
  /** Bytes to leave out at the beginning of the first one. */
  skipBytes: number
  /** Bytes from there on. */
  sizeBytes: number
}

/** A page of segments, and where in the content it begins: from where a search goes on. */
export interface SegmentCursor {
  page: number
  offset: number
}

export interface LocateContent {
  contentId: Uint8Array
  start: number
  /** Exclusive. */
  end: number
  /** The search ends behind so many blobs. */
  blobsMax: number
  cursor?: SegmentCursor | undefined
}

export interface LocatedContent {
  runs: BlobRun[]
  /** Up to where `runs` go; `end` when that is all. */
  next: number
  cursor: SegmentCursor | undefined
}

/** Where the bytes of a range are. Undefined: the content is gone, by a removal in the meantime. */
export const locateContent: Script<LocateContent, LocatedContent | undefined> = {
  name: 'content.locate',
  *steps(args) {
    const [content] = yield query('select kind, size from content where content_id = ?', args.contentId)
    if (content === undefined) return undefined
    assert(args.end <= (content.size as number), 'a range lies within the content')
    if (content.kind === KIND_SEGMENTS) return yield* locateSegments(args)
    const run = yield* locateChunks(args)
    if (run === undefined) return undefined
    return { runs: [run], next: args.start + run.sizeBytes, cursor: undefined }
  },
}

/** In a content of several pages all chunks but the last have one length, that of the first. */
function* locateChunks(range: Omit<LocateContent, 'cursor'>): Steps<BlobRun | undefined> {
  const { contentId, start, end } = range
  const first = yield* readPage(contentId, 0)
  if (first === undefined) return undefined
  if (first.length < CONTENT_PAGE_ENTRIES * BLOB_ENTRY_BYTES) return runIn(first, { ...range, offset: 0 })
  const chunkBytes = first.readUInt32BE(BLOB_ENTRY_BYTES - 4)
  const pageBytes = chunkBytes * CONTENT_PAGE_ENTRIES
  const pageStart = Math.floor(start / pageBytes)
  const pagesMax = Math.ceil(range.blobsMax / CONTENT_PAGE_ENTRIES)
  const pageEnd = Math.min(Math.ceil(end / pageBytes), pageStart + pagesMax)
  const pages: Buffer[] = []
  for (let page = pageStart; page < pageEnd; page++) {
    const entries = page === 0 ? first : yield* readPage(contentId, page)
    if (entries === undefined) return undefined
    pages.push(entries)
  }
  return runIn(Buffer.concat(pages), { ...range, offset: pageStart * pageBytes })
}

/** The part of neighbouring blobs, which begin at `offset`, that has the range, or its beginning. */
function runIn(
  blobs: Buffer,
  { start, end, offset, blobsMax }: { start: number; end: number; offset: number; blobsMax: number },
): BlobRun {
  let [at, reached] = [0, offset]
  const lengthAt = () => blobs.readUInt32BE(at + BLOB_ENTRY_BYTES - 4)
  while (at < blobs.length && reached + lengthAt() <= start) {
    reached += lengthAt()
    at += BLOB_ENTRY_BYTES
  }
  const [first, skipBytes] = [at, start - reached]
  while (at < blobs.length && reached < end && at - first < blobsMax * BLOB_ENTRY_BYTES) {
    reached += lengthAt()
    at += BLOB_ENTRY_BYTES
  }
  assert(at > first, 'a range lies within the blobs')
  return {
    blobs: Buffer.from(blobs.subarray(first, at)),
    skipBytes,
    sizeBytes: Math.min(end, reached) - start,
  }
}

function* locateSegments(args: LocateContent): Steps<LocatedContent | undefined> {
  const runs: BlobRun[] = []
  let { page, offset } = args.cursor ?? { page: 0, offset: 0 }
  let [next, blobs] = [args.start, 0]
  for (; ; page++) {
    const entries = yield* readPage(args.contentId, page)
    if (entries === undefined) return undefined
    const cursor = { page, offset }
    for (const segment of unpackSegments(entries)) {
      const end = offset + segment.sizeBytes
      while (next < end && next < args.end && blobs < args.blobsMax) {
        const run = yield* locateChunks({
          contentId: segment.contentId,
          start: segment.offset + next - offset,
          end: segment.offset + Math.min(end, args.end) - offset,
          blobsMax: args.blobsMax - blobs,
        })
        if (run === undefined) return undefined
        runs.push(run)
        next += run.sizeBytes
        blobs += run.blobs.length / BLOB_ENTRY_BYTES
      }
      if (next >= args.end || blobs >= args.blobsMax) return { runs, next, cursor }
      offset = end
    }
    assert(entries.length === CONTENT_PAGE_ENTRIES * SEGMENT_ENTRY_BYTES, 'a range lies within the segments')
  }
}

function* readPage(contentId: Uint8Array, page: number): Steps<Buffer | undefined> {
  const [row] = yield query(
    'select entries from content_page where content_id = ? and page = ?',
    contentId,
    page,
  )
  return row?.entries as Buffer | undefined
}
