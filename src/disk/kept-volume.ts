/** What the keeper knows of one volume, and what it writes beside its records: checkpoints and `.cairn`. */
import { toStoreError } from '../base/errors.ts'
import { ttlSeconds } from '../base/ttl.ts'
import { writeCheckpoint } from './checkpoint.ts'
import { replaceFileDurably } from './disk.ts'
import type { Checkpoint, IndexSums } from './index-sums.ts'
import { NeedleIndex } from './needle-index.ts'
import type { OpenedVolume } from './open-volume.ts'
import type { ThreadContext } from './thread-context.ts'
import type { VolumeInfo } from './volume-admin.ts'
import { encodeVolumeInfo, type VolumeInfoFile } from './volume-info.ts'
import { EXTENSION, volumeBaseName } from './volume-paths.ts'
import { FLAG, STATE, type VolumeSlot, WORD } from './volume-table.ts'

/** An expired TTL volume is removed only this much later, so that no reader meets the edge. */
const EXPIRY_GRACE_PART = 0.1
const EXPIRY_GRACE_S_MAX = 600

export class KeptVolume {
  readonly slot: VolumeSlot
  readonly id: number
  readonly directory: string
  /** Name of its files, without extension. */
  readonly base: string
  sums: IndexSums
  /** What `.cairn` says. */
  info: VolumeInfoFile
  /** It is being compacted. */
  busy = false
  /** Masters were told that it has reached its size limit. Writes that they have sent here go on, up to 32 GiB. */
  toldFull = false
  checkpointedAtMs: number
  /** It is not compacted by itself before that, unless there is need. */
  restsUntilMs = 0
  /** What came to its file, between the last two calls of `noteInflow`. */
  inflowBytesPerSecond = 0
  #seenBytes: number
  #seenAtMs: number
  readonly #context: ThreadContext

  constructor(context: ThreadContext, opened: OpenedVolume) {
    this.#context = context
    this.slot = opened.slot
    this.sums = opened.sums
    this.info = opened.info
    this.id = this.slot.get(WORD.volumeId)
    this.directory = context.directories[this.slot.get(WORD.directory)] as string
    this.base = volumeBaseName(this.slot.collection, this.id)
    this.checkpointedAtMs = context.clock.monotonicMs()
    this.#seenBytes = this.sizeBytes
    this.#seenAtMs = this.checkpointedAtMs
  }

  get failed(): boolean {
    return this.slot.hasFlag(FLAG.failed)
  }

  get isFull(): boolean {
    return this.slot.get(WORD.tailUnits) >= this.slot.get(WORD.sizeLimitUnits)
  }

  get liveBytes(): number {
    return this.slot.get(WORD.liveUnits) * 8
  }

  get sizeBytes(): number {
    return this.slot.get(WORD.tailUnits) * 8
  }

  get garbageBytes(): number {
    return Math.max(0, (this.slot.get(WORD.tailUnits) - 1 - this.slot.get(WORD.liveUnits)) * 8)
  }

  /** The keeper thread's own view of the needle index. */
  index(): NeedleIndex {
    return new NeedleIndex(this.#context.arena, this.slot.indexWords)
  }

  /** A volume of a TTL goes as a whole when its youngest file has expired. */
  isExpired(): boolean {
    const ttlS = ttlSeconds(this.slot.get(WORD.ttl))
    if (ttlS === 0 || this.slot.get(WORD.tailUnits) <= 1) return false
    const graceS = Math.min(ttlS * EXPIRY_GRACE_PART, EXPIRY_GRACE_S_MAX)
    return this.#context.clock.nowMs() / 1000 > this.slot.get(WORD.modifiedS) + ttlS + graceS
  }

  noteInflow(): void {
    const [bytes, nowMs] = [this.sizeBytes, this.#context.clock.monotonicMs()]
    const cameBytes = Math.max(0, bytes - this.#seenBytes)
    if (nowMs > this.#seenAtMs) this.inflowBytesPerSecond = (cameBytes * 1_000) / (nowMs - this.#seenAtMs)
    this.#seenBytes = bytes
    this.#seenAtMs = nowMs
  }

  /** Bytes of `.dat` that no checkpoint covers. */
  get uncoveredBytes(): number {
    return this.sizeBytes - (this.sums.checkpoints.at(-1) as Checkpoint).tailUnits * 8
  }

  /** Syncs `.dat` and `.idx`, and notes in the sidecar how far they go. Throws the disk's error. */
  async checkpoint(): Promise<void> {
    const { slot } = this
    slot.lock()
    const { generation } = slot
    const [datHandle, idxHandle] = [slot.get(WORD.datHandle), slot.get(WORD.idxHandle)]
    const idxEntries = slot.get(WORD.idxEntries)
    const tailUnits = slot.get(WORD.tailUnits)
    const checkpoint = { idxEntries, lowWaterUnits: slot.lowWaterUnits(), tailUnits }
    const state = {
      compactionRevision: slot.get(WORD.compactionRevision),
      appendNsHigh: slot.get(WORD.appendNsHigh),
      appendNsLow: slot.get(WORD.appendNsLow),
      checkpoint,
      previous: this.sums,
    }
    const pin = slot.pin()
    slot.unlock()
    this.checkpointedAtMs = this.#context.clock.monotonicMs()
    try {
      const last = this.sums.checkpoints.at(-1) as Checkpoint
      if (last.idxEntries === idxEntries && last.lowWaterUnits === checkpoint.lowWaterUnits) return
      if (!(await this.#syncFiles([datHandle, idxHandle]))) return
      // A compaction, or the volume's removal, made other files of them meanwhile.
      if (slot.generation !== generation || slot.get(WORD.state) !== STATE.active) return
      const place = { directory: this.directory, base: this.base, idxHandle }
      this.sums = writeCheckpoint(this.#context.disk, place, state)
    } finally {
      slot.unpin(pin)
    }
  }

  /** False when the volume has failed: then nothing may be noted as synced. */
  async #syncFiles(handles: number[]): Promise<boolean> {
    if (this.failed) return false
    try {
      for (const handle of handles) await this.#context.disk.fdatasync(handle)
    } catch (error) {
      this.slot.setFlag(FLAG.failed)
      throw toStoreError(error)
    }
    return !this.failed
  }

  /** Throws the disk's error; then `info` is what it was. */
  writeInfo(change: Partial<VolumeInfoFile>): void {
    const info = { ...this.info, ...change }
    const name = `${this.base}${EXTENSION.cairn}`
    replaceFileDurably(this.#context.disk, this.directory, name, encodeVolumeInfo(info))
    this.info = info
  }

  /** Closes the files at once: no other thread uses them any more. */
  closeFiles(): void {
    this.#context.disk.close(this.slot.get(WORD.datHandle))
    this.#context.disk.close(this.slot.get(WORD.idxHandle))
    this.slot.set(WORD.state, STATE.free)
  }

  /** After its removal: closes the files and frees the slot once nobody reads or writes it. */
  release(): void {
    const { clock } = this.#context
    if (this.slot.get(WORD.pins0) + this.slot.get(WORD.pins1) > 0) {
      clock.after(50, () => this.release())
      return
    }
    this.index().clear()
    this.closeFiles()
  }

  status(): VolumeInfo {
    const { slot, info } = this
    return {
      id: this.id,
      collection: slot.collection,
      directory: this.directory,
      replicaPlacement: slot.get(WORD.replicaPlacement),
      ttl: slot.get(WORD.ttl),
      sizeBytes: this.sizeBytes,
      fileCount: slot.get(WORD.putCount),
      deleteCount: slot.get(WORD.deleteCount),
      deletedBytes: this.garbageBytes,
      readOnly: slot.hasFlag(FLAG.readOnly),
      moving: info.moving === true,
      filling: info.filling === true,
      full: this.isFull,
      failed: this.failed,
      diskFull: slot.hasFlag(FLAG.diskFull),
      compactionRevision: slot.get(WORD.compactionRevision),
      maxKeyHigh: slot.get(WORD.maxKeyHigh),
      maxKeyLow: slot.get(WORD.maxKeyLow),
      modifiedS: slot.get(WORD.modifiedS),
      damageFound: slot.get(WORD.damageFound),
    }
  }
}

/** A volume whose files are there but could not be opened. It counts as failed, so that no master gives its id to others. */
export function unopenedStatus(
  id: number,
  { collection, directory }: { collection: string; directory: string },
): VolumeInfo {
  return {
    id,
    collection,
    directory,
    replicaPlacement: 0,
    ttl: 0,
    sizeBytes: 0,
    fileCount: 0,
    deleteCount: 0,
    deletedBytes: 0,
    readOnly: true,
    full: false,
    failed: true,
    diskFull: false,
    compactionRevision: 0,
    maxKeyHigh: 0,
    maxKeyLow: 0,
    modifiedS: 0,
    damageFound: 0,
  }
}
