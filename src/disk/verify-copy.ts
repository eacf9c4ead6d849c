/** Verifies the records of a volume that has come from another server and is not open yet. */
import { StoreError } from '../base/errors.ts'
import type { Disk } from './disk.ts'
import { IdxByPlace } from './idx-by-place.ts'
import { IDX_ENTRY_BYTES } from './idx-entry.ts'
import { revisionSalt } from './needle.ts'
import { RecordScanner } from './record-scanner.ts'
import { decodeSuperBlock, SUPER_BLOCK_BYTES } from './super-block.ts'
import { decodeVolumeInfo } from './volume-info.ts'

export interface Verified {
  records: number
  /** Damaged at the source already: what arrived is what the source read. */
  recordsDamaged: number
}

export interface CopyFiles {
  /** Content of `.cairn`. */
  info: Buffer | undefined
  datHandle: number
  /** -1 when there is none. */
  idxHandle: number
}

/** Records are verified in turns of about this many bytes, with others of the thread in between. */
const TURN_BYTES = 4 * 1024 * 1024

/** Throws `corrupt` when the files are no volume that is held, the disk's errors, and what `pause` throws. */
export async function verifyCopy(
  disk: Disk,
  files: CopyFiles,
  pause: () => Promise<void>,
): Promise<Verified> {
  const info = decodeVolumeInfo(files.info ?? Buffer.alloc(0))
  if (info === undefined || !info.moving) throw new StoreError('corrupt', '.cairn is damaged or not held')
  const handle = files.datHandle
  const head = Buffer.alloc(SUPER_BLOCK_BYTES)
  disk.readSync(handle, head, 0, SUPER_BLOCK_BYTES, 0)
  const { compactionRevision } = decodeSuperBlock(head, 'the copied .dat')
  const endBytes = disk.sizeSync(handle)
  const fileSalt = revisionSalt(info.salt, compactionRevision)
  const scanner = new RecordScanner(disk, { handle, fileSalt, endBytes })
  let entries: IdxByPlace | undefined
  const verified: Verified = { records: 0, recordsDamaged: 0 }
  let turnEnd = TURN_BYTES
  for (let at = SUPER_BLOCK_BYTES / 8; at * 8 < endBytes; ) {
    const scanned = scanner.check(at)
    verified.records++
    if (!scanned.ok) verified.recordsDamaged++
    const lengthBytes = scanned.ok ? scanned.record.lengthBytes : scanned.lengthBytes
    if (lengthBytes !== undefined) at += lengthBytes / 8
    else {
      // SeaweedFS's records have no trailer that a search could find: where they stand, only `.idx` tells.
      if (at < info.foreignUnits) entries ??= entriesOf(disk, files.idxHandle)
      at = placeBehind(entries, at) ?? scanner.search(at + 1) ?? Math.ceil(endBytes / 8)
    }
    if (at * 8 < turnEnd) continue
    turnEnd = at * 8 + TURN_BYTES
    await pause()
  }
  return verified
}

function entriesOf(disk: Disk, handle: number): IdxByPlace {
  const entries = handle === -1 ? 0 : Math.floor(disk.sizeSync(handle) / IDX_ENTRY_BYTES)
  return new IdxByPlace(disk, { handle, entries }, () => undefined)
}

/** The first place behind `at` that an entry speaks of. Places are asked for in their order. */
function placeBehind(entries: IdxByPlace | undefined, at: number): number | undefined {
  for (let entry = entries?.peek(); entry !== undefined; entry = entries?.peek()) {
    if (entry.offsetUnits > at) return entry.offsetUnits
    entries?.take()
  }
  return undefined
}
