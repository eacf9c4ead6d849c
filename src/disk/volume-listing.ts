/** What a volume holds, in the order in which it was appended: through its `.idx`, a few needles at a time. */
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import { appendTimeToMs } from './append-time.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import * as codec from './needle.ts'
import { isFillerKey } from './publish.ts'
import type { Volume } from './volume.ts'
import { STATE, WORD } from './volume-table.ts'

export interface ListedNeedle {
  id: Fid
  /** Of the data. */
  sizeBytes: number
  /** Milliseconds since 1970. */
  appendedMs: number
}

const BATCH_ENTRIES = 256
/** Checksum, then the append time. */
const TIME_OFFSET = 4

/**
 * The live needles whose entries of `.idx` are at `fromEntry` and later, in batches; other work of the thread goes between.
 * Not verified: what has a damaged head is left out. Throws `volume_not_found` and `conflict` when the volume was removed or
 * compacted meanwhile, and `io_error`.
 */
export async function* listVolume(
  volume: Volume,
  fromEntry: number,
): AsyncGenerator<ListedNeedle[], void, undefined> {
  const { slot, context } = volume
  const generation = slot.generation
  for (let at = fromEntry; ; at += BATCH_ENTRIES) {
    const pin = slot.pin()
    let batch: ListedNeedle[]
    try {
      if (slot.get(WORD.state) !== STATE.active)
        throw new StoreError('volume_not_found', `volume ${volume.id} is not here any more`)
      if (slot.generation !== generation)
        throw new StoreError('conflict', `volume ${volume.id} was compacted meanwhile`)
      const count = Math.min(BATCH_ENTRIES, slot.get(WORD.idxEntries) - at)
      if (count <= 0) return
      batch = readBatch(volume, at, count)
    } catch (error) {
      throw toStoreError(error)
    } finally {
      slot.unpin(pin)
    }
    if (batch.length > 0) yield batch
    await context.clock.sleep(0)
  }
}

function readBatch(volume: Volume, fromEntry: number, count: number): ListedNeedle[] {
  const { slot, context, index } = volume
  const block = Buffer.allocUnsafe(count * IDX_ENTRY_BYTES)
  const handle = slot.get(WORD.idxHandle)
  const bytes = context.disk.readSync(handle, block, 0, block.length, fromEntry * IDX_ENTRY_BYTES)
  const found: ListedNeedle[] = []
  for (let at = 0; at + IDX_ENTRY_BYTES <= bytes; at += IDX_ENTRY_BYTES) {
    const entry = decodeIdxEntry(block, at)
    if (entry.sizeBytes === IDX_SIZE_DELETED || isFillerKey(entry)) continue
    const isPresent = index.get(entry.keyHigh, entry.keyLow) && !index.deleted
    if (!isPresent || index.offsetUnits !== entry.offsetUnits) continue
    const needle = readListed(volume, entry)
    if (needle !== undefined) found.push(needle)
  }
  return found
}

/** Head and tail of one record. */
function readListed(volume: Volume, entry: IdxEntry): ListedNeedle | undefined {
  const { disk } = volume.context
  const handle = volume.slot.get(WORD.datHandle)
  const start = entry.offsetUnits * 8
  const head = Buffer.alloc(codec.DATA_OFFSET)
  const tail = Buffer.alloc(codec.TAIL_BYTES)
  const headBytes = disk.readSync(handle, head, 0, head.length, start)
  const tailAt = start + codec.HEADER_BYTES + entry.sizeBytes
  if (headBytes < head.length || disk.readSync(handle, tail, 0, tail.length, tailAt) < tail.length)
    return undefined
  const { keyHigh, keyLow, cookie, sizeBytes } = codec.decodeHeader(head)
  if (keyHigh !== entry.keyHigh || keyLow !== entry.keyLow || sizeBytes !== entry.sizeBytes) return undefined
  return {
    id: { volumeId: volume.id, keyHigh, keyLow, cookie },
    sizeBytes: sizeBytes === 0 ? 0 : head.readUInt32BE(codec.HEADER_BYTES),
    appendedMs: Math.floor(
      appendTimeToMs({
        high: tail.readUInt32BE(TIME_OFFSET),
        low: tail.readUInt32BE(TIME_OFFSET + 4),
      }),
    ),
  }
}
