/** What makes a written record count: its entry in `.idx`, its place in the needle index, the volume's counters. */
import type { Disk } from './disk.ts'
import { encodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import type { NeedleIndex } from './needle-index.ts'
import { type VolumeSlot, WORD } from './volume-table.ts'

/** Fillers have it; it is never assigned. */
export function isFillerKey(key: { keyHigh: number; keyLow: number }): boolean {
  return key.keyHigh === 0 && key.keyLow === 0
}

/** Under the lock: the next entries of `.idx`, each of which counts once `publishEntry` was called for it. Throws the disk's error. */
export function writeIdxEntries(disk: Disk, slot: VolumeSlot, entries: readonly IdxEntry[]): void {
  const bytes = Buffer.allocUnsafe(entries.length * IDX_ENTRY_BYTES)
  for (let at = 0; at < entries.length; at++) encodeIdxEntry(entries[at]!, bytes, at * IDX_ENTRY_BYTES)
  const position = slot.get(WORD.idxEntries) * IDX_ENTRY_BYTES
  disk.writeSync(slot.get(WORD.idxHandle), bytes, 0, bytes.length, position)
}

/** Under the lock: index and counters. A filler only counts as an entry. Throws `index_full`, and then changed nothing. */
export function publishEntry(
  slot: VolumeSlot,
  index: NeedleIndex,
  entry: IdxEntry,
  lengthUnits: number,
): void {
  if (!isFillerKey(entry)) {
    const { keyHigh, keyLow } = entry
    const deletes = entry.sizeBytes === IDX_SIZE_DELETED
    const replacedUnits = index.get(keyHigh, keyLow) && !index.deleted ? index.lengthUnits : 0
    index.put(keyHigh, keyLow, entry.offsetUnits, lengthUnits, deletes)
    if (replacedUnits > 0) slot.add(WORD.deleteCount, 1)
    if (!deletes) slot.add(WORD.putCount, 1)
    slot.add(WORD.liveUnits, (deletes ? 0 : lengthUnits) - replacedUnits)
    noteKey(slot, keyHigh, keyLow)
  }
  slot.add(WORD.idxEntries, 1)
}

function noteKey(slot: VolumeSlot, keyHigh: number, keyLow: number): void {
  const [high, low] = [slot.get(WORD.maxKeyHigh), slot.get(WORD.maxKeyLow)]
  if (keyHigh < high || (keyHigh === high && keyLow <= low)) return
  slot.set(WORD.maxKeyHigh, keyHigh)
  slot.set(WORD.maxKeyLow, keyLow)
}
