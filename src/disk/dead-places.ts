/**
 * Reading a file of which the disk cannot give some places any more: what can be read is read, zeros stand for the rest, and
 * its places are noted. A place is narrowed down within its page, so that what lies beside it is not lost with it.
 */
import { assert } from '../base/assert.ts'
import { toStoreError } from '../base/errors.ts'
import { isUnreadable, PIECE_BYTES } from './dead-sectors.ts'
import type { Disk } from './disk.ts'

const UNIT_BYTES = 8
/** A page that cannot be read is tried so often. */
const TRIES = 3

/** Bytes of a file, from `start` up to `end`. */
export interface Span {
  start: number
  end: number
}

export interface FileRead {
  handle: number
  into: Buffer
  intoOffset: number
  lengthBytes: number
  position: number
}

/** One read, to that place of `into`. */
interface Step {
  at: number
  lengthBytes: number
  position: number
}

/** Those of one file. */
export class DeadPlaces {
  /** In their order. */
  readonly places: Span[] = []
  readonly #disk: Disk
  readonly #placesMax: number
  readonly #onFound: (place: Span, reason: string) => void
  #lastError: unknown

  /** With more than `placesMax` it is not single places that fail, and reads throw. */
  constructor(disk: Disk, placesMax: number, onFound: (place: Span, reason: string) => void) {
    this.#disk = disk
    this.#placesMax = placesMax
    this.#onFound = onFound
  }

  /** As `Disk.readSync`. */
  readSync(read: FileRead): number {
    const steps = this.#steps(read)
    let step = steps.next()
    while (step.done !== true) {
      const { at, lengthBytes, position } = step.value
      let answer: number | Error
      try {
        answer = this.#disk.readSync(read.handle, read.into, at, lengthBytes, position)
      } catch (error) {
        answer = error as Error
      }
      step = steps.next(answer)
    }
    return step.value
  }

  /** As `Disk.read`. */
  async read(read: FileRead): Promise<number> {
    const steps = this.#steps(read)
    let step = steps.next()
    while (step.done !== true) {
      const { at, lengthBytes, position } = step.value
      let answer: number | Error
      try {
        answer = await this.#disk.read(read.handle, read.into, at, lengthBytes, position)
      } catch (error) {
        answer = error as Error
      }
      step = steps.next(answer)
    }
    return step.value
  }

  /** The reads that it takes, one after the other; it is told the count or the error of each, and gives the count in the end. */
  *#steps(read: FileRead): Generator<Step, number, number | Error> {
    let filledEnd = read.position + read.lengthBytes
    const spans = this.#spansToRead({ start: read.position, end: filledEnd })
    for (let next = spans.next(); next.done !== true; ) {
      const { start, end } = next.value
      const at = read.intoOffset + start - read.position
      const answer = yield { at, lengthBytes: end - start, position: start }
      const isRead = typeof answer === 'number'
      if (!isRead) this.#noteFailure(answer)
      else if (start + answer < end) filledEnd = Math.min(filledEnd, start + answer)
      next = spans.next(isRead)
    }
    return this.#blank(read, filledEnd)
  }

  /** Those that have a byte in common with the span. */
  within({ start, end }: Span): Span[] {
    return this.places.filter((place) => place.start < end && place.end > start)
  }

  /** Throws what is no matter of the place. */
  #noteFailure(error: unknown): void {
    if (!isUnreadable(error)) throw error
    this.#lastError = error
  }

  /** What is to be read one after the other; it is told of each span whether it could be. */
  *#spansToRead(wanted: Span): Generator<Span, void, boolean> {
    for (const part of without(wanted, this.within(wanted))) {
      if (yield part) continue
      for (let start = part.start; start < part.end; ) {
        const end = Math.min(part.end, start - (start % PIECE_BYTES) + PIECE_BYTES)
        yield* this.#readPage({ start, end })
        start = end
      }
    }
  }

  *#readPage(page: Span): Generator<Span, void, boolean> {
    for (let attempt = 0; attempt < TRIES; attempt++) if (yield page) return
    const { start, end } = page
    const units = Math.ceil((end - start) / UNIT_BYTES)
    const before = yield* readable(units, (count) => ({ start, end: start + count * UNIT_BYTES }))
    const behind = yield* readable(units - before, (count) => ({ start: end - count * UNIT_BYTES, end }))
    const place = { start: start + before * UNIT_BYTES, end: end - behind * UNIT_BYTES }
    if (!(yield place)) this.#note(place)
  }

  #note(place: Span): void {
    if (this.places.length >= this.#placesMax) throw this.#lastError
    this.places.push(place)
    this.places.sort((a, b) => a.start - b.start)
    this.#onFound(place, toStoreError(this.#lastError).message)
  }

  /** Zeros for what could not be read. Gives the bytes that there are, up to `filledEnd`. */
  #blank({ handle, into, intoOffset, lengthBytes, position }: FileRead, filledEnd: number): number {
    const dead = this.within({ start: position, end: position + lengthBytes })
    if (dead.length === 0) return filledEnd - position
    const end = Math.min(filledEnd, Math.max(position, this.#disk.sizeSync(handle)))
    for (const place of dead) {
      const [from, to] = [Math.max(place.start, position), Math.min(place.end, end)]
      if (from < to) into.fill(0, intoOffset + from - position, intoOffset + to - position)
    }
    return end - position
  }
}

/** How many of `units`, not all of which can be read at once, can be: `spanOf` says where so many lie. */
function* readable(units: number, spanOf: (units: number) => Span): Generator<Span, number, boolean> {
  let [good, bad] = [0, units]
  while (bad - good > 1) {
    const count = Math.floor((good + bad) / 2)
    if (yield spanOf(count)) good = count
    else bad = count
  }
  return good
}

/** What is left of a span. */
function without({ start, end }: Span, taken: readonly Span[]): Span[] {
  const left: Span[] = []
  let at = start
  for (const place of taken) {
    if (place.start > at) left.push({ start: at, end: place.start })
    at = Math.max(at, place.end)
  }
  if (at < end) left.push({ start: at, end })
  return left
}

/**
 * The disk, for reading only, whose dead places read as zeros. `placesOf` gives those of the file at a path; `opened` has those
 * of files that are open.
 */
export function readingAround(
  disk: Disk,
  placesOf: (path: string) => DeadPlaces,
  opened = new Map<number, DeadPlaces>(),
): Disk {
  const refuse = (): never => {
    throw new Error('only for reading')
  }
  const placesIn = (handle: number): DeadPlaces => {
    const places = opened.get(handle)
    assert(places !== undefined, 'the file was opened here')
    return places
  }
  const close = (handle: number) => {
    opened.delete(handle)
    disk.close(handle)
  }
  return {
    open: (path, mode) => {
      if (mode !== 'r') return refuse()
      const handle = disk.open(path, mode)
      opened.set(handle, placesOf(path))
      return handle
    },
    close,
    closeSoon: close,
    readSync: (handle, into, intoOffset, lengthBytes, position) =>
      placesIn(handle).readSync({ handle, into, intoOffset, lengthBytes, position }),
    read: (handle, into, intoOffset, lengthBytes, position) =>
      placesIn(handle).read({ handle, into, intoOffset, lengthBytes, position }),
    sizeSync: (handle) => disk.sizeSync(handle),
    stat: (path) => disk.stat(path),
    list: (path) => disk.list(path),
    space: (path) => disk.space(path),
    writeSync: refuse,
    write: refuse,
    fdatasync: refuse,
    fdatasyncSync: refuse,
    truncateSync: refuse,
    syncDirectorySync: refuse,
    mkdirSync: refuse,
    renameSync: refuse,
    removeSync: refuse,
  }
}
