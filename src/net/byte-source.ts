/** Where a reply's bytes come from: memory, a large record, the chunks of a manifest. And ranges of them as a reply. */
import { type ByteRange, byterangesFrame, contentRange } from './ranges.ts'
import type { BodyStream, Outcome } from './reply.ts'

export interface ByteSource {
  sizeBytes: number
  /** All of it, when it is in memory; stays valid. */
  whole: Buffer | undefined
  /** The bytes from `start` up to `end` in pieces; used when `whole` is undefined. */
  read(start: number, end: number): AsyncIterable<Buffer>
  /** Call once, always. */
  close(): void
}

/** A source of bytes in memory. */
export function memorySource(whole: Buffer): ByteSource {
  return {
    sizeBytes: whole.length,
    whole,
    async *read(start, end) {
      yield whole.subarray(start, end)
    },
    close() {},
  }
}

/** 200 with everything. */
export function wholeOutcome(source: ByteSource, headers: string[]): Outcome {
  if (source.whole !== undefined) return { status: 200, headers, body: source.whole }
  const body: BodyStream = {
    sizeBytes: source.sizeBytes,
    pieces: () => source.read(0, source.sizeBytes),
    close: () => source.close(),
  }
  return { status: 200, headers, body }
}

/** 206 with one range. */
export function rangeOutcome(source: ByteSource, headers: string[], range: ByteRange): Outcome {
  headers.push('Content-Range', contentRange(range, source.sizeBytes))
  if (source.whole !== undefined) {
    return { status: 206, headers, body: source.whole.subarray(range.start, range.end) }
  }
  const body: BodyStream = {
    sizeBytes: range.end - range.start,
    pieces: () => source.read(range.start, range.end),
    close: () => source.close(),
  }
  return { status: 206, headers, body }
}

/** 206 multipart/byteranges. `headers` must not hold a Content-Type; that of the file is `contentType`. */
export function rangesOutcome(
  source: ByteSource,
  headers: string[],
  parts: { ranges: readonly ByteRange[]; boundary: string; contentType: string | undefined },
): Outcome {
  const { ranges, boundary, contentType } = parts
  const frame = byterangesFrame(ranges, { boundary, contentType, sizeBytes: source.sizeBytes })
  headers.push('Content-Type', `multipart/byteranges; boundary=${boundary}`)
  const pieces = async function* () {
    for (const [index, range] of ranges.entries()) {
      yield frame.heads[index]!
      if (source.whole !== undefined) yield source.whole.subarray(range.start, range.end)
      else yield* source.read(range.start, range.end)
    }
    yield frame.tail
  }
  return { status: 206, headers, body: { sizeBytes: frame.sizeBytes, pieces, close: () => source.close() } }
}
