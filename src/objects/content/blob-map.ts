/**
 * The blobs of a range, in order, looked up while they are read. The look-up runs far ahead of the reading, because the
 * rows go soon after an object is removed, and the blobs later: who began before shall come to the end.
 */
import { StoreError } from '../../base/errors.ts'
import { CONTENT_PAGE_ENTRIES, READ_AHEAD_BLOBS_FIRST, READ_AHEAD_BLOBS_MAX } from '../../base/limits.ts'
import type { MetaStore } from '../../meta/meta-store.ts'
import type { StoredContent } from '../parts.ts'
import { BLOB_ENTRY_BYTES, type BlobEntry, blobAt } from './entries.ts'
import { type BlobRun, type LocatedContent, locateContent, type SegmentCursor } from './scripts.ts'

/** A blob, and which of its bytes are meant. */
export interface BlobPart {
  blob: BlobEntry
  start: number
  end: number
}

/** Walks over a run of blobs. */
class RunWalk {
  readonly #run: BlobRun
  readonly #blobs: Buffer
  #at = 0
  #skip: number
  #left: number

  constructor(run: BlobRun) {
    const { buffer, byteOffset, byteLength } = run.blobs
    this.#run = run
    this.#blobs = Buffer.from(buffer, byteOffset, byteLength)
    this.#skip = run.skipBytes
    this.#left = run.sizeBytes
  }

  next(): BlobPart | undefined {
    if (this.#left === 0 || this.#at * BLOB_ENTRY_BYTES === this.#run.blobs.length) return undefined
    const blob = blobAt(this.#blobs, this.#at++)
    const start = this.#skip
    const end = Math.min(blob.sizeBytes, start + this.#left)
    this.#skip = 0
    this.#left -= end - start
    return { blob, start, end }
  }
}

export class BlobMap {
  readonly #meta: MetaStore
  readonly #contentId: Buffer | undefined
  readonly #end: number
  readonly #runs: BlobRun[] = []
  #walk: RunWalk | undefined
  /** Blobs in `#runs`. */
  #known = 0
  #located: number
  #cursor: SegmentCursor | undefined
  #blobsMax = READ_AHEAD_BLOBS_FIRST

  constructor(meta: MetaStore, stored: StoredContent, range: { start: number; end: number }) {
    this.#meta = meta
    this.#contentId = stored.contentId
    this.#located = range.start
    this.#end = range.end
    if (stored.blobs === undefined) return
    this.#walk = inlineWalk(stored.blobs, range)
    this.#located = range.end
  }

  /** The next blob; undefined at the end. Throws `unavailable` when the content was removed too long ago. */
  next(): BlobPart | undefined | Promise<BlobPart | undefined> {
    if (this.#located < this.#end && this.#known < READ_AHEAD_BLOBS_MAX) {
      const more = this.#locate()
      if (more instanceof Promise) return more.then((found) => this.#add(found))
      return this.#add(more)
    }
    return this.#take()
  }

  #take(): BlobPart | undefined {
    for (;;) {
      const part = this.#walk?.next()
      if (part !== undefined) return part
      const run = this.#runs.shift()
      if (run === undefined) return undefined
      this.#known -= run.blobs.length / BLOB_ENTRY_BYTES
      this.#walk = new RunWalk(run)
    }
  }

  #locate() {
    const blobsMax = this.#blobsMax
    this.#blobsMax = CONTENT_PAGE_ENTRIES
    return this.#meta.read(locateContent, {
      contentId: Buffer.from(this.#contentId!),
      start: this.#located,
      end: this.#end,
      blobsMax,
      cursor: this.#cursor,
    })
  }

  #add(found: LocatedContent | undefined): BlobPart | undefined {
    if (found === undefined) throw new StoreError('unavailable', 'the object was replaced while it was read')
    for (const run of found.runs) {
      this.#runs.push(run)
      this.#known += run.blobs.length / BLOB_ENTRY_BYTES
    }
    this.#located = found.next
    this.#cursor = found.cursor
    return this.#take()
  }
}

function inlineWalk(blobs: Buffer, { start, end }: { start: number; end: number }): RunWalk {
  let [at, offset] = [0, 0]
  while (offset + blobAt(blobs, at).sizeBytes <= start) offset += blobAt(blobs, at++).sizeBytes
  return new RunWalk({
    blobs: blobs.subarray(at * BLOB_ENTRY_BYTES),
    skipBytes: start - offset,
    sizeBytes: end - start,
  })
}
