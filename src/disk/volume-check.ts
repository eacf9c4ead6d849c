/**
 * Verifies all files of one volume against each other and changes nothing: every record of `.dat`, every entry of `.idx`,
 * the sidecars. Also for volumes that SeaweedFS wrote. Nobody may write to the volume meanwhile.
 */
import { crc32c } from '../base/checksum.ts'
import { toStoreError } from '../base/errors.ts'
import { formatFid } from '../base/fid.ts'
import { INDEX_BLOCK_BYTES } from '../base/limits.ts'
import { isLater } from './append-time.ts'
import { DeadPlaces, readingAround, type Span } from './dead-places.ts'
import type { Disk } from './disk.ts'
import { IdxByPlace } from './idx-by-place.ts'
import { IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import { IndexArena } from './index-arena.ts'
import * as codec from './needle.ts'
import { INDEX_STATE_WORDS, NeedleIndex } from './needle-index.ts'
import { isFillerKey } from './publish.ts'
import { RecordScanner, type ScannedRecord } from './record-scanner.ts'
import { SUPER_BLOCK_BYTES } from './super-block.ts'
import {
  closeFacts,
  idxEntryCount,
  openFacts,
  placePath,
  type SideFile,
  type VolumeFacts,
  type VolumePlace,
} from './volume-facts.ts'
import { EXTENSION } from './volume-paths.ts'

/** Pages of keys that come in any order are half full. */
const INDEX_BYTES_A_KEY = 32
const INDEX_BYTES_MIN = 4 * 1024 * 1024
const RECORDS_BETWEEN_PAUSES = 256
/** In one file; where there are more, the disk reads nothing any more. */
const DEAD_PLACES_MAX = 4096

export interface Finding {
  volumeId: number
  /** Extension of the file that is damaged. */
  file: string
  /** Where in the file; undefined where the whole file is meant. */
  offsetBytes: number | undefined
  /** The file id that is concerned, as far as it is known. */
  fid: string | undefined
  what: string
}

export interface CheckReport {
  volumeId: number
  collection: string
  /** Written by SeaweedFS. */
  foreign: boolean
  datBytes: number
  /** Records of `.dat`, deleted files and delete markers included. */
  records: number
  liveFiles: number
  /** Records that have no trailer because SeaweedFS wrote them. */
  trailerless: number
  findings: number
}

export interface CheckOptions {
  onFinding: (finding: Finding) => void
  /** Called with the bytes of `.dat` that are done, now and then; ends the check when it throws. */
  pause: (doneBytes: number) => Promise<void>
}

/** Never throws for what the files hold: that becomes findings. Throws what `pause` throws. */
export async function checkVolume(
  disk: Disk,
  place: VolumePlace,
  options: CheckOptions,
): Promise<CheckReport> {
  const report: CheckReport = {
    volumeId: place.volumeId,
    collection: place.collection,
    foreign: false,
    datBytes: 0,
    records: 0,
    liveFiles: 0,
    trailerless: 0,
    findings: 0,
  }
  const around = readingAroundDead(disk, (finding) => {
    report.findings++
    options.onFinding({ volumeId: place.volumeId, fid: undefined, ...finding })
  })
  let facts: VolumeFacts | undefined
  try {
    facts = openFacts(around, place)
    await new VolumeCheck(around, facts, report, options).run()
  } catch (error) {
    if (isInterruption(error)) throw error
    report.findings++
    const { message } = toStoreError(error)
    options.onFinding({
      volumeId: place.volumeId,
      file: EXTENSION.dat,
      offsetBytes: undefined,
      fid: undefined,
      what: message,
    })
  } finally {
    if (facts !== undefined) closeFacts(around, facts)
  }
  return report
}

/** What the disk cannot read is found as such, and is zeros for all other checks. */
function readingAroundDead(
  disk: Disk,
  onFinding: (finding: Pick<Finding, 'file' | 'offsetBytes' | 'what'>) => void,
): Disk {
  const placesByPath = new Map<string, DeadPlaces>()
  return readingAround(disk, (path) => {
    const onFound = ({ start, end }: Span, reason: string) => {
      const what = `the disk cannot read ${end - start} bytes: ${reason}`
      onFinding({ file: path.slice(path.lastIndexOf('.')), offsetBytes: start, what })
    }
    const places = placesByPath.get(path) ?? new DeadPlaces(disk, DEAD_PLACES_MAX, onFound)
    placesByPath.set(path, places)
    return places
  })
}

/** What `pause` throws when the user wants to stop. */
function isInterruption(error: unknown): boolean {
  return toStoreError(error).code === 'unavailable'
}

class VolumeCheck {
  readonly #disk: Disk
  readonly #facts: VolumeFacts
  readonly #report: CheckReport
  readonly #options: CheckOptions
  readonly #index: NeedleIndex
  readonly #scanner: RecordScanner
  readonly #endUnits: number

  constructor(disk: Disk, facts: VolumeFacts, report: CheckReport, options: CheckOptions) {
    this.#disk = disk
    this.#facts = facts
    this.#report = report
    this.#options = options
    const bytes = INDEX_BYTES_MIN + idxEntryCount(facts) * INDEX_BYTES_A_KEY
    this.#index = new NeedleIndex(
      IndexArena.create(bytes),
      new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4)),
    )
    this.#endUnits = Math.floor(facts.datBytes / 8)
    const file = { handle: facts.datHandle, fileSalt: facts.fileSalt, endBytes: this.#endUnits * 8 }
    this.#scanner = new RecordScanner(disk, file)
    report.foreign = facts.foreign
    report.datBytes = facts.datBytes
  }

  async run(): Promise<void> {
    this.#checkSideFiles()
    this.#checkSums()
    const entries = this.#loadIndex()
    await this.#walk(entries)
    if (this.#facts.datBytes % 8 !== 0) {
      this.#find(EXTENSION.dat, 'its length is no multiple of 8: a write was cut off', {
        offsetBytes: this.#endUnits * 8,
      })
    }
  }

  #find(file: string, what: string, where: { offsetBytes?: number; fid?: string } = {}): void {
    this.#report.findings++
    const { volumeId } = this.#facts.place
    this.#options.onFinding({ volumeId, file, offsetBytes: where.offsetBytes, fid: where.fid, what })
  }

  /** `key` with its cookie, where a record tells it. */
  #fid(key: { keyHigh: number; keyLow: number; cookie?: number }): string | undefined {
    if (isFillerKey(key)) return undefined
    return formatFid({
      volumeId: this.#facts.place.volumeId,
      keyHigh: key.keyHigh,
      keyLow: key.keyLow,
      cookie: key.cookie ?? 0,
    })
  }

  #checkSideFiles(): void {
    const facts = this.#facts
    for (const extension of [EXTENSION.compactedDat, EXTENSION.compactedIdx, EXTENSION.compactedSums]) {
      const isLeft = this.#disk.stat(placePath(facts.place, extension)) !== undefined
      if (isLeft) this.#find(extension, 'left over from a compaction that was cut off')
    }
    if (facts.superBlockDamaged)
      this.#find(EXTENSION.dat, 'the compaction revision in its super block is damaged', { offsetBytes: 4 })
    if (facts.idxHandle === -1) this.#find(EXTENSION.idx, 'missing')
    if (facts.foreign && facts.info.state === 'missing') return
    this.#checkSide(EXTENSION.cairn, facts.info)
    this.#checkSide(EXTENSION.sums, facts.sums)
    const info = facts.info.value
    if (info === undefined) return
    if (info.ttl !== facts.superBlock.ttl)
      this.#find(EXTENSION.dat, 'the TTL in its super block is not that of .cairn')
    if (info.suspect)
      this.#find(
        EXTENSION.cairn,
        'a write or sync failed, or its opening was in doubt: the volume needs a compaction',
      )
  }

  #checkSide(extension: string, side: SideFile<unknown>): void {
    if (side.state === 'missing') this.#find(extension, 'missing')
    if (side.state === 'damaged') this.#find(extension, 'damaged: it does not match its checksum')
    if (side.state === 'other_revision') this.#find(extension, 'speaks of another .dat, before a compaction')
  }

  /** `.idx` by the checksums of the sidecar. */
  #checkSums(): void {
    const facts = this.#facts
    if (facts.idxBytes % IDX_ENTRY_BYTES !== 0)
      this.#find(EXTENSION.idx, 'its length is no multiple of 16', {
        offsetBytes: idxEntryCount(facts) * IDX_ENTRY_BYTES,
      })
    const last = facts.sums.value?.checkpoints.at(-1)
    if (last === undefined) return
    if (last.lowWaterUnits > this.#endUnits)
      this.#find(EXTENSION.dat, `shorter than the ${last.lowWaterUnits * 8} bytes that were synced`)
    const coveredBytes = last.idxEntries * IDX_ENTRY_BYTES
    const block = Buffer.allocUnsafe(INDEX_BLOCK_BYTES)
    for (const [number, checksum] of (facts.sums.value?.blockChecksums ?? []).entries()) {
      const offsetBytes = number * INDEX_BLOCK_BYTES
      const wanted = Math.min(INDEX_BLOCK_BYTES, coveredBytes - offsetBytes)
      const count =
        facts.idxHandle === -1 ? 0 : this.#disk.readSync(facts.idxHandle, block, 0, wanted, offsetBytes)
      if (count !== wanted || crc32c(block.subarray(0, count)) !== checksum)
        this.#find(EXTENSION.idx, 'a block does not match its checksum', { offsetBytes })
    }
  }

  /** Which record of each key counts, by `.idx`. */
  #loadIndex(): IdxByPlace {
    const idx = { handle: this.#facts.idxHandle, entries: idxEntryCount(this.#facts) }
    return new IdxByPlace(this.#disk, idx, (entry) => {
      if (isFillerKey(entry)) return
      const deletes = entry.sizeBytes === IDX_SIZE_DELETED
      const lengthUnits = codec.recordLength(deletes ? 0 : entry.sizeBytes) / 8
      this.#index.put(entry.keyHigh, entry.keyLow, entry.offsetUnits, lengthUnits, deletes)
    })
  }

  async #walk(entries: IdxByPlace): Promise<void> {
    let at = SUPER_BLOCK_BYTES / 8
    for (let steps = 0; at < this.#endUnits; steps++) {
      if (steps % RECORDS_BETWEEN_PAUSES === 0) await this.#options.pause(at * 8)
      const entry = this.#entryAt(entries, at)
      const scanned = this.#scanner.check(at)
      if (scanned.ok) {
        this.#acceptRecord(scanned.record, entry)
        at += scanned.record.lengthBytes / 8
        continue
      }
      const explained = this.#explainEmpty(at, entry)
      if (explained) {
        this.#report.records++
        at += codec.EMPTY_RECORD_BYTES / 8
        continue
      }
      at = this.#passDamage(entries, { at, entry, ...scanned })
    }
    for (let left = entries.peek(); left !== undefined; left = entries.peek()) {
      this.#find(EXTENSION.idx, `an entry speaks of ${left.offsetUnits * 8}, behind the end of .dat`, {
        fid: this.#fid(left),
      })
      entries.take()
    }
  }

  /** The entry of the record at that place; those of places before it belong to no record. */
  #entryAt(entries: IdxByPlace, at: number): IdxEntry | undefined {
    let found: IdxEntry | undefined
    for (let entry = entries.peek(); entry !== undefined && entry.offsetUnits <= at; entry = entries.peek()) {
      entries.take()
      if (entry.offsetUnits === at && found === undefined) found = entry
      else {
        const what =
          entry.offsetUnits === at
            ? 'two entries speak of one record'
            : 'an entry speaks of a place without record'
        this.#find(EXTENSION.idx, `${what}, ${entry.offsetUnits * 8}`, { fid: this.#fid(entry) })
      }
    }
    return found
  }

  #acceptRecord(record: ScannedRecord, entry: IdxEntry | undefined): void {
    this.#report.records++
    const { header, offsetUnits, kind } = record
    const where = { offsetBytes: offsetUnits * 8, fid: this.#fid(header) }
    if (!record.hasTrailer && kind !== 'filler') {
      this.#report.trailerless++
      if (offsetUnits >= this.#facts.foreignUnits && !this.#isAppended(offsetUnits, entry)) {
        this.#find(EXTENSION.dat, 'damaged record: its trailer is gone', where)
        return
      }
    }
    if (entry === undefined) {
      this.#find(EXTENSION.idx, `the record at ${offsetUnits * 8} of .dat has no entry`, { fid: where.fid })
      return
    }
    const deletes = kind === 'delete' || (kind === 'filler' && header.sizeBytes === 0)
    const sizeBytes = deletes ? IDX_SIZE_DELETED : header.sizeBytes
    const sameSize = kind === 'unknown' ? isEmptySize(entry.sizeBytes) : entry.sizeBytes === sizeBytes
    if (!sameSize || entry.keyHigh !== header.keyHigh || entry.keyLow !== header.keyLow) {
      this.#find(EXTENSION.idx, `the entry of the record at ${offsetUnits * 8} of .dat is another one's`, {
        fid: where.fid,
      })
      return
    }
    if (kind !== 'filler') this.#checkOrder(record, where)
  }

  /** SeaweedFS's server wrote on, behind what Cairn had synced when it stopped. The next opening notes it. */
  #isAppended(offsetUnits: number, entry: IdxEntry | undefined): boolean {
    const tailUnits = this.#facts.sums.value?.checkpoints.at(-1)?.tailUnits
    return entry !== undefined && tailUnits !== undefined && offsetUnits >= tailUnits
  }

  /** Of two records of a key the one with the later append time must be the one that counts. */
  #checkOrder(record: ScannedRecord, where: { offsetBytes: number; fid: string | undefined }): void {
    const { header, offsetUnits } = record
    if (!this.#index.get(header.keyHigh, header.keyLow)) return
    if (this.#index.offsetUnits === offsetUnits) {
      if (!this.#index.deleted) this.#report.liveFiles++
      return
    }
    if (!record.hasTrailer || this.#index.offsetUnits < this.#facts.foreignUnits) return
    const bytes = Buffer.alloc(codec.HEADER_BYTES)
    const headerAt = this.#index.offsetUnits * 8
    this.#disk.readSync(this.#facts.datHandle, bytes, 0, codec.HEADER_BYTES, headerAt)
    const tailAt = headerAt + codec.HEADER_BYTES + bytes.readUInt32BE(12)
    const count = this.#disk.readSync(this.#facts.datHandle, bytes, 0, codec.TAIL_BYTES, tailAt)
    if (count !== codec.TAIL_BYTES) return
    const isNewer = isLater(
      record.appendNsHigh,
      record.appendNsLow,
      bytes.readUInt32BE(4),
      bytes.readUInt32BE(8),
    )
    if (isNewer)
      this.#find(
        EXTENSION.idx,
        `its last entry of a key is not that of the newest record, at ${where.offsetBytes}`,
        {
          fid: where.fid,
        },
      )
  }

  /** SeaweedFS leaves the checksum of the deleted data in its delete markers: `.idx` says that it is one. */
  #explainEmpty(at: number, entry: IdxEntry | undefined): boolean {
    if (entry === undefined || !isEmptySize(entry.sizeBytes) || at >= this.#facts.foreignUnits) return false
    const head = Buffer.alloc(codec.HEADER_BYTES)
    this.#disk.readSync(this.#facts.datHandle, head, 0, head.length, at * 8)
    const header = codec.decodeHeader(head)
    return header.sizeBytes === 0 && header.keyHigh === entry.keyHigh && header.keyLow === entry.keyLow
  }

  /** Reports damage, and says where the next record stands. */
  #passDamage(
    entries: IdxByPlace,
    damage: { at: number; entry: IdxEntry | undefined; reason: string; lengthBytes: number | undefined },
  ): number {
    const { at, entry } = damage
    const next = this.#nextPlace(entries, damage)
    const what =
      next === this.#endUnits && entry === undefined
        ? `${(next - at) * 8} bytes at the end are no record: a write was cut off`
        : damage.reason.startsWith('damaged record')
          ? damage.reason
          : `damaged record, ${damage.reason}`
    this.#find(EXTENSION.dat, what, {
      offsetBytes: at * 8,
      fid: entry === undefined ? undefined : this.#damagedFid(entry),
    })
    return next
  }

  #damagedFid(entry: IdxEntry): string | undefined {
    const head = Buffer.alloc(codec.HEADER_BYTES)
    this.#disk.readSync(this.#facts.datHandle, head, 0, head.length, entry.offsetUnits * 8)
    return this.#fid({ ...entry, cookie: head.readUInt32BE(0) })
  }

  #nextPlace(
    entries: IdxByPlace,
    damage: { at: number; entry: IdxEntry | undefined; lengthBytes: number | undefined },
  ): number {
    const { at, entry } = damage
    const lengthBytes =
      entry === undefined
        ? damage.lengthBytes
        : codec.recordLength(entry.sizeBytes === IDX_SIZE_DELETED ? 0 : entry.sizeBytes)
    if (lengthBytes !== undefined && at + lengthBytes / 8 <= this.#endUnits) return at + lengthBytes / 8
    const byIndex = entries.peek()?.offsetUnits ?? this.#endUnits
    const bySearch = this.#scanner.search(at + 1) ?? this.#endUnits
    return Math.min(byIndex, bySearch, this.#endUnits)
  }
}

function isEmptySize(sizeBytes: number): boolean {
  return sizeBytes === 0 || sizeBytes === IDX_SIZE_DELETED
}
