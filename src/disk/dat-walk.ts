/** A walk over the records of a `.dat` that is being opened: what it passed over, and what stands behind the last record. */
import { CHECKPOINT_DAT_BYTES } from '../base/limits.ts'
import type { AppendTime } from './append-time.ts'
import { isUnreadable } from './dead-sectors.ts'
import type { Disk } from './disk.ts'
import { ForeignChain } from './foreign-chain.ts'
import type { IdxEntry } from './idx-entry.ts'
import * as codec from './needle.ts'
import { type Damage, RecordScanner } from './record-scanner.ts'

/** At the end of `.dat`, more than this that is no record is not taken for what a crash cut off: of SeaweedFS's records, … */
const FOREIGN_TAIL_BYTES_MAX = 1024 * 1024
/** … and of ours, where nothing says what was synced. */
const TAIL_BYTES_MAX = CHECKPOINT_DAT_BYTES

export interface PassedOver {
  offsetUnits: number
  lengthBytes: number
  /** Else it stays as it is: there may be more in it than what a crash left. */
  mayBeFilled: boolean
}

export interface WalkOptions {
  file: { handle: number; fileSalt: number; endBytes: number }
  /** Places that the index has already. */
  known: Set<number>
  /** Whether records there may be SeaweedFS's. */
  mayBeForeign: (offsetUnits: number) => boolean
  /** Nothing says what of the file was synced. */
  isFullScan: boolean
}

export class DatWalk {
  readonly scanner: RecordScanner
  readonly chain: ForeignChain
  readonly holes: PassedOver[] = []
  readonly endUnits: number
  readonly known: Set<number>
  readonly #disk: Disk
  readonly #options: WalkOptions

  constructor(disk: Disk, options: WalkOptions) {
    this.#disk = disk
    this.#options = options
    this.known = options.known
    this.endUnits = options.file.endBytes / 8
    this.scanner = new RecordScanner(disk, options.file)
    this.chain = new ForeignChain(this.scanner, this.endUnits)
  }

  /** The next place behind damage at which something may stand; undefined when there is none. */
  behindDamage(at: number, { lengthBytes }: Damage): number | undefined {
    if (lengthBytes !== undefined) return at + lengthBytes / 8
    const ours = this.scanner.search(at + 1)
    if (!this.#options.mayBeForeign(at)) return ours
    return this.chain.search(at + 1, ours ?? this.endUnits) ?? ours
  }

  passOver(at: number, next: number): void {
    const lengthBytes = (next - at) * 8
    const mayBeFilled = !this.#options.mayBeForeign(at) && !this.scanner.hasUnreadable(at * 8, next * 8)
    const previous = this.holes.at(-1)
    const isNext = previous !== undefined && previous.offsetUnits * 8 + previous.lengthBytes === at * 8
    if (isNext && previous.mayBeFilled === mayBeFilled) previous.lengthBytes += lengthBytes
    else this.holes.push({ offsetUnits: at, lengthBytes, mayBeFilled })
  }

  /** Why what stands behind the last record may be more than what a crash cut off; undefined when it is that. */
  doubtOfRest(goodEnd: number): string | undefined {
    const restBytes = (this.endUnits - goodEnd) * 8
    if (restBytes <= 0) return undefined
    const isForeign = this.#options.mayBeForeign(goodEnd)
    const maxBytes = isForeign ? FOREIGN_TAIL_BYTES_MAX : TAIL_BYTES_MAX
    const mayBeMuch = isForeign || this.#options.isFullScan
    const isMuch = mayBeMuch && restBytes > maxBytes && !this.#isZeros(goodEnd * 8)
    const what = this.scanner.hasUnreadable(goodEnd * 8)
      ? 'cannot all be read'
      : isForeign && this.chain.hasRecord(goodEnd)
        ? 'has records behind damage'
        : isMuch && 'is no record that can be understood'
    return what
      ? `what follows the last record, ${restBytes} bytes from ${goodEnd * 8} of .dat, ${what}`
      : undefined
  }

  #isZeros(fromBytes: number): boolean {
    const bytes = Buffer.allocUnsafe(1024 * 1024)
    for (let at = fromBytes; ; at += bytes.length) {
      const count = this.#disk.readSync(this.#options.file.handle, bytes, 0, bytes.length, at)
      if (bytes.subarray(0, count).some((byte) => byte !== 0)) return false
      if (count < bytes.length) return true
    }
  }
}

/** The append time of a record; undefined where it cannot be read. */
export function recordTime(disk: Disk, handle: number, offsetUnits: number): AppendTime | undefined {
  const bytes = Buffer.alloc(codec.HEADER_BYTES)
  try {
    disk.readSync(handle, bytes, 0, codec.HEADER_BYTES, offsetUnits * 8)
    const tailAt = offsetUnits * 8 + codec.HEADER_BYTES + bytes.readUInt32BE(12)
    disk.readSync(handle, bytes, 0, codec.TAIL_BYTES, tailAt)
  } catch (error) {
    if (isUnreadable(error)) return undefined
    throw error
  }
  return { high: bytes.readUInt32BE(4), low: bytes.readUInt32BE(8) }
}

/** The checksum that a record of size 0 has. */
export function checksumOfEmpty(disk: Disk, handle: number, offsetUnits: number): number {
  const bytes = Buffer.alloc(4)
  disk.readSync(handle, bytes, 0, bytes.length, offsetUnits * 8 + codec.HEADER_BYTES)
  return bytes.readUInt32BE(0)
}

/** What `.idx` would say of a record with that header. */
export function entryOf(offsetUnits: number, header: codec.RecordHeader | undefined): IdxEntry | undefined {
  if (header === undefined) return undefined
  const { keyHigh, keyLow, sizeBytes } = header
  return { keyHigh, keyLow, offsetUnits, sizeBytes }
}
