/** The living files of a volume that nobody serves, verified, one after the other. Nothing of the volume is changed. */
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { type Fid, formatFid } from '../base/fid.ts'
import type { Random } from '../base/random.ts'
import { formatTtl } from '../base/ttl.ts'
import type { Disk } from './disk.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import type { Needle } from './needle.ts'
import * as codec from './needle.ts'
import { OfflineStore } from './offline-store.ts'
import { OverlayDisk } from './overlay-disk.ts'
import { isFillerKey } from './publish.ts'
import { Volume } from './volume.ts'
import type { VolumePlace } from './volume-facts.ts'
import { type VolumeSlot, WORD } from './volume-table.ts'

const ENTRIES_AT_A_TIME = 1024

export interface ExportedFile {
  fid: string
  /** The key in decimal. */
  id: string
  name: string
  mime: string
  gzipped: boolean
  ttl: string
  /** Of the stored bytes. */
  sizeBytes: number
  /** 0 when the file has none. */
  lastModifiedS: number
  /** Where the record stands in `.dat`. */
  startBytes: number
  endBytes: number
  /** The verified bytes, in pieces. May be asked for more than once. */
  data(): AsyncIterable<Buffer>
}

export interface ExportOptions {
  disk: Disk
  clock: Clock
  random: Random
  indexBytesMax: number
  onFile: (file: ExportedFile) => Promise<void>
  /** A file that is not exported because it is damaged. */
  onDamage: (fid: string, reason: string) => void
  /** Called with the place in `.dat`; ends the export when it throws or resolves to false. */
  pause: (doneBytes: number) => Promise<boolean>
}

/** Throws what opening the volume throws, and what the callbacks throw. */
export async function exportVolume(place: VolumePlace, options: ExportOptions): Promise<void> {
  const overlay = new OverlayDisk(options.disk)
  const { clock, random, indexBytesMax } = options
  try {
    const store = new OfflineStore({
      disk: overlay,
      clock,
      random,
      directory: place.directory,
      indexBytesMax,
    })
    await store.use(place, async ({ context, slot }) => {
      const walk = new ExportWalk(overlay, slot, new Volume(context, slot), options)
      await walk.run()
    })
  } finally {
    overlay.release()
  }
}

class ExportWalk {
  readonly #disk: Disk
  readonly #slot: VolumeSlot
  readonly #volume: Volume
  readonly #options: ExportOptions
  readonly #entries = Buffer.allocUnsafe(ENTRIES_AT_A_TIME * IDX_ENTRY_BYTES)

  constructor(disk: Disk, slot: VolumeSlot, volume: Volume, options: ExportOptions) {
    this.#disk = disk
    this.#slot = slot
    this.#volume = volume
    this.#options = options
  }

  async run(): Promise<void> {
    const total = this.#slot.get(WORD.idxEntries) * IDX_ENTRY_BYTES
    for (let start = 0; start < total; start += this.#entries.length) {
      const wanted = Math.min(this.#entries.length, total - start)
      this.#disk.readSync(this.#slot.get(WORD.idxHandle), this.#entries, 0, wanted, start)
      for (let at = 0; at < wanted; at += IDX_ENTRY_BYTES) {
        const entry = decodeIdxEntry(this.#entries, at)
        if (!this.#isLive(entry)) continue
        if (!(await this.#options.pause(entry.offsetUnits * 8))) return
        await this.#export(entry)
      }
    }
  }

  #isLive(entry: IdxEntry): boolean {
    if (entry.sizeBytes === IDX_SIZE_DELETED || isFillerKey(entry)) return false
    const { index } = this.#volume
    return index.get(entry.keyHigh, entry.keyLow) && !index.deleted && index.offsetUnits === entry.offsetUnits
  }

  async #export(entry: IdxEntry): Promise<void> {
    const fid = this.#fidOf(entry)
    let file: ExportedFile | undefined
    try {
      const needle = await this.#volume.read(fid)
      if (needle === undefined) return // Expired.
      file = describe(fid, entry, needle)
      if (needle.large === undefined) {
        const data = Buffer.from(needle.data as Buffer)
        file.data = async function* () {
          yield data
        }
      } else {
        needle.large.close()
        file.data = () => this.#largeData(fid)
        // A part of a damaged file is of no use to anybody: it is read once before, as a whole.
        for await (const _piece of file.data());
      }
    } catch (error) {
      const { code, message } = toStoreError(error)
      if (code !== 'corrupt' && code !== 'io_error') throw error
      return this.#options.onDamage(formatFid(fid), message)
    }
    await this.#options.onFile(file)
  }

  async *#largeData(fid: Fid): AsyncGenerator<Buffer> {
    const needle = await this.#volume.read(fid)
    const large = needle?.large
    if (needle === undefined || large === undefined)
      throw new StoreError('corrupt', 'damaged record: it is not there any more')
    try {
      yield* large.read(0, needle.dataSizeBytes)
    } finally {
      large.close()
    }
  }

  #fidOf({ keyHigh, keyLow, offsetUnits }: IdxEntry): Fid {
    const cookie = Buffer.alloc(4)
    this.#disk.readSync(this.#slot.get(WORD.datHandle), cookie, 0, 4, offsetUnits * 8)
    return { volumeId: this.#volume.id, keyHigh, keyLow, cookie: cookie.readUInt32BE(0) }
  }
}

function describe(fid: Fid, entry: IdxEntry, needle: Needle): ExportedFile {
  const startBytes = entry.offsetUnits * 8
  return {
    fid: formatFid(fid),
    id: ((BigInt(fid.keyHigh) << 32n) | BigInt(fid.keyLow)).toString(),
    name: needle.name?.toString('utf8') ?? '',
    mime: needle.mime?.toString('utf8') ?? '',
    gzipped: needle.gzipped,
    ttl: formatTtl(needle.ttl),
    sizeBytes: needle.dataSizeBytes,
    lastModifiedS: needle.lastModifiedS ?? 0,
    startBytes,
    endBytes: startBytes + codec.recordLength(entry.sizeBytes),
    async *data() {},
  }
}
