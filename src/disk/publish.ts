/** What makes a written record count: its entry in `.idx`, its place in the needle index, the volume's counters. */
import type { Disk } from './disk.ts'
import { encodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import { recordLength } from './needle.ts'
import type { NeedleIndex } from './needle-index.ts'
import { type VolumeSlot, WORD } from './volume-table.ts'

/** Fillers have it; it is never assigned. */
export function isFillerKey(key: { keyHigh: number; keyLow: number }): boolean {
  return key.keyHigh === 0 && key.keyLow === 0
}

/** Under the lock: the next entries of `.idx`, each of which counts once it was published. Throws the disk's error. */
export function writeIdxEntries(disk: Disk, slot: VolumeSlot, entries: readonly IdxEntry[]): void {
  const bytes = Buffer.allocUnsafe(entries.length * IDX_ENTRY_BYTES)
  for (let at = 0; at < entries.length; at++) encodeIdxEntry(entries[at]!, bytes, at * IDX_ENTRY_BYTES)
  const position = slot.get(WORD.idxEntries) * IDX_ENTRY_BYTES
  disk.writeSync(slot.get(WORD.idxHandle), bytes, 0, bytes.length, position)
}

/** What `publishEntries` did; `error`: why it stopped, before it had changed anything for the entry behind those. */
export interface Published {
  count: number
  /** Of the records. */
  lengthUnits: number
  error: unknown
}

/**
 * Under the lock: index and counters, entry by entry, until the index takes no more, which is an error `index_full`. A filler only counts
 * as an entry.
 */
export function publishEntries(
  slot: VolumeSlot,
  index: NeedleIndex,
  entries: readonly IdxEntry[],
): Published {
  const done: Published = { count: 0, lengthUnits: 0, error: undefined }
  let [puts, replaced, liveUnits] = [0, 0, 0]
  let [high, low] = [slot.get(WORD.maxKeyHigh), slot.get(WORD.maxKeyLow)]
  try {
    for (const entry of entries) {
      const { keyHigh, keyLow, offsetUnits } = entry
      const deletes = entry.sizeBytes === IDX_SIZE_DELETED
      const lengthUnits = recordLength(deletes ? 0 : entry.sizeBytes) / 8
      if (!isFillerKey(entry)) {
        const replacedUnits = index.put(keyHigh, keyLow, offsetUnits, lengthUnits, deletes)
        if (replacedUnits > 0) replaced++
        if (!deletes) puts++
        liveUnits += (deletes ? 0 : lengthUnits) - replacedUnits
        if (keyHigh > high || (keyHigh === high && keyLow > low)) [high, low] = [keyHigh, keyLow]
      }
      done.count++
      done.lengthUnits += lengthUnits
    }
  } catch (error) {
    done.error = error
  }
  if (replaced > 0) slot.add(WORD.deleteCount, replaced)
  if (puts > 0) slot.add(WORD.putCount, puts)
  slot.add(WORD.liveUnits, liveUnits)
  slot.set(WORD.maxKeyHigh, high)
  slot.set(WORD.maxKeyLow, low)
  slot.add(WORD.idxEntries, done.count)
  return done
}

/** The same of one entry. Throws `index_full`, and then changed nothing. */
export function publishEntry(slot: VolumeSlot, index: NeedleIndex, entry: IdxEntry): void {
  const { error } = publishEntries(slot, index, [entry])
  if (error !== undefined) throw error
}
