/**
 * A damaged super block. It has no checksum, and its compaction revision is part of every record's seal: with a wrong one no
 * record would be readable. `.cairn` holds the revision as well, and the records tell which of the two is right.
 */
import { type Disk, readFileWhole } from './disk.ts'
import { encodeSuperBlock, SUPER_BLOCK_BYTES, type SuperBlock } from './super-block.ts'
import { decodeVolumeInfo } from './volume-info.ts'
import { saltFromRecords } from './volume-salt.ts'

/** The super block as it must be; written anew where it was damaged. Throws the disk's error. */
export function mendSuperBlock(disk: Disk, dat: number, cairnPath: string, found: SuperBlock): SuperBlock {
  const bytes = readFileWhole(disk, cairnPath)
  const info = bytes === undefined ? undefined : decodeVolumeInfo(bytes)
  if (info === undefined || info.compactionRevision === found.compactionRevision) return found
  // After a compaction, ours or SeaweedFS's, the records no longer fit the revision that `.cairn` had before.
  if (saltFromRecords(disk, dat, info.compactionRevision) !== info.salt) return found
  const mended = { ...found, compactionRevision: info.compactionRevision }
  disk.writeSync(dat, encodeSuperBlock(mended), 0, SUPER_BLOCK_BYTES, 0)
  return mended
}
