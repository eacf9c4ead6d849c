/** One volume at a time, opened by a program that owns its directory and serves nobody: for repairs and compaction. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { type CompactionResult, compactVolume } from './compaction.ts'
import { type Disk, replaceFileDurably } from './disk.ts'
import { NeedleIndex } from './needle-index.ts'
import { newReport } from './open-report.ts'
import { type OpenedVolume, type OpenReport, openVolume } from './open-volume.ts'
import { encodeSuperBlock, SUPER_BLOCK_BYTES } from './super-block.ts'
import { createSharedVolumes, createThreadContext, type ThreadContext } from './thread-context.ts'
import { placePath, type VolumePlace } from './volume-facts.ts'
import { encodeVolumeInfo } from './volume-info.ts'
import { EXTENSION, volumeBaseName } from './volume-paths.ts'
import { STATE, type VolumeSlot, WORD } from './volume-table.ts'

export interface OfflineStoreOptions {
  disk: Disk
  clock: Clock
  random: Random
  directory: string
  /** For the index of the largest volume. */
  indexBytesMax: number
}

export interface OfflineCompaction extends Omit<CompactionResult, 'sums'> {
  compacted: boolean
}

export class OfflineStore {
  readonly #options: OfflineStoreOptions
  readonly #context: ThreadContext

  constructor(options: OfflineStoreOptions) {
    this.#options = options
    const { directory, indexBytesMax, disk, clock } = options
    const shared = createSharedVolumes({ directories: [directory], indexBytesMax, volumesMax: 1 })
    this.#context = createThreadContext(shared, disk, clock)
  }

  /**
   * Opens the volume as a server does, then once more with nothing but `.dat` to go by, so that `.idx`, `.sums` and `.cairn`
   * are made anew from the records, each of which is verified; but where that one was in doubt. Throws what opening throws.
   */
  fix(place: VolumePlace): { opened: OpenReport; rebuilt: OpenReport } {
    const opened = this.#with(place, ({ report, slot }) => {
      this.#mendSuperBlock(slot)
      return report
    })
    const { disk, directory } = this.#options
    // Then the index knows what the records do not tell.
    if (opened.doubt !== undefined) return { opened, rebuilt: newReport() }
    disk.removeSync(placePath(place, EXTENSION.sums))
    disk.syncDirectorySync(directory)
    const rebuilt = this.#with(place, ({ report }) => report)
    return { opened, rebuilt }
  }

  /** Opening corrects what `.cairn` knows better than the super block, which has no checksum, but in memory only. */
  #mendSuperBlock(slot: VolumeSlot): void {
    const { disk } = this.#options
    const handle = slot.get(WORD.datHandle)
    const present = Buffer.alloc(SUPER_BLOCK_BYTES)
    disk.readSync(handle, present, 0, present.length, 0)
    const wanted = encodeSuperBlock({
      replicaPlacement: slot.get(WORD.replicaPlacement),
      ttl: slot.get(WORD.ttl),
      compactionRevision: slot.get(WORD.compactionRevision),
    })
    if (present.equals(wanted)) return
    disk.writeSync(handle, wanted, 0, wanted.length, 0)
    disk.fdatasyncSync(handle)
  }

  /** Compacts the volume where it has garbage, is suspect, or has records without trailer. */
  async compact(place: VolumePlace, pause: (doneBytes: number) => Promise<void>): Promise<OfflineCompaction> {
    const opened = this.#open(place)
    const { slot, info } = opened
    try {
      const bytesBefore = slot.get(WORD.tailUnits) * 8
      const liveBytes = slot.get(WORD.liveUnits) * 8
      const wanted = bytesBefore > liveBytes + 8 || info.suspect || info.foreignUnits > 1
      const untouched = { bytesBefore, bytesAfter: bytesBefore, damagedCopied: 0, unlistedCopied: 0 }
      if (!wanted) return { compacted: false, ...untouched }
      const { freeBytes } = this.#options.disk.space(place.directory)
      if (freeBytes < liveBytes)
        throw new StoreError('disk_full', `${liveBytes} bytes are needed for the copy, ${freeBytes} are free`)
      const { sums: _, ...figures } = await compactVolume(this.#context, { slot, salt: info.salt }, () =>
        pause(this.#options.disk.stat(placePath(place, EXTENSION.compactedDat))?.sizeBytes ?? 0),
      )
      this.#noteNewFiles(place, opened)
      return { compacted: true, ...figures }
    } finally {
      this.#close(opened)
    }
  }

  /** Opens the volume for as long as `run` takes. */
  async use(
    place: VolumePlace,
    run: (volume: { context: ThreadContext; slot: VolumeSlot }) => Promise<void>,
  ): Promise<void> {
    const opened = this.#open(place)
    try {
      await run({ context: this.#context, slot: opened.slot })
    } finally {
      this.#close(opened)
    }
  }

  /** After a compaction the files are new ones, all of Cairn's own writing. */
  #noteNewFiles(place: VolumePlace, { slot, info }: OpenedVolume): void {
    const compactionRevision = slot.get(WORD.compactionRevision)
    const name = `${volumeBaseName(place.collection, place.volumeId)}${EXTENSION.cairn}`
    const changed = {
      ...info,
      ...{ suspect: false, keepsRest: undefined, compactionRevision, foreignUnits: 0 },
    }
    replaceFileDurably(this.#options.disk, place.directory, name, encodeVolumeInfo(changed))
  }

  #with<T>(place: VolumePlace, use: (opened: OpenedVolume) => T): T {
    const opened = this.#open(place)
    try {
      return use(opened)
    } finally {
      this.#close(opened)
    }
  }

  #open({ collection, volumeId }: VolumePlace): OpenedVolume {
    const { random } = this.#options
    const sizeLimitBytes = Number.MAX_SAFE_INTEGER
    return openVolume(this.#context, { directory: 0, collection, volumeId, sizeLimitBytes, random })
  }

  /** Opening and compacting have synced all that they wrote. */
  #close({ slot }: OpenedVolume): void {
    const { disk, arena } = this.#context
    disk.close(slot.get(WORD.datHandle))
    disk.close(slot.get(WORD.idxHandle))
    new NeedleIndex(arena, slot.indexWords).clear()
    slot.set(WORD.state, STATE.free)
  }
}
