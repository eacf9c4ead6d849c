/** Makes the files of a new volume. The rename of `.dat` is the last step, so that a crash leaves a whole volume or none. */
import type { Random } from '../base/random.ts'
import { type Disk, replaceFileDurably } from './disk.ts'
import { encodeSums } from './index-sums.ts'
import { encodeSuperBlock, SUPER_BLOCK_BYTES } from './super-block.ts'
import { encodeVolumeInfo } from './volume-info.ts'
import { ADOPTION_MARKER, EXTENSION, volumeBaseName } from './volume-paths.ts'

export interface NewVolumeFiles {
  directory: string
  collection: string
  volumeId: number
  replicaPlacement: number
  ttl: number
  filling?: boolean | undefined
}

export function createVolumeFiles(disk: Disk, volume: NewVolumeFiles, random: Random): void {
  const { directory } = volume
  const base = volumeBaseName(volume.collection, volume.volumeId)
  const superBlock = { replicaPlacement: volume.replicaPlacement, ttl: volume.ttl, compactionRevision: 0 }
  const info = {
    salt: random.u32(),
    redundancy: 'copies-1',
    ttl: volume.ttl,
    compactionRevision: 0,
    foreignUnits: 0,
    suspect: false,
    ...(volume.filling ? { filling: true } : {}),
  }
  const tailUnits = SUPER_BLOCK_BYTES / 8
  const sums = {
    compactionRevision: 0,
    appendNsHigh: 0,
    appendNsLow: 0,
    checkpoints: [{ idxEntries: 0, lowWaterUnits: tailUnits, tailUnits }],
    blockChecksums: [],
  }
  removeVolumeFiles(disk, directory, base)
  replaceFileDurably(disk, directory, `${base}${EXTENSION.cairn}`, encodeVolumeInfo(info))
  replaceFileDurably(disk, directory, `${base}${EXTENSION.sums}`, encodeSums(sums))
  replaceFileDurably(disk, directory, `${base}${EXTENSION.idx}`, Buffer.alloc(0))
  replaceFileDurably(disk, directory, `${base}${EXTENSION.dat}`, encodeSuperBlock(superBlock))
}

/** Removes all files of a volume that are there, `.dat` first: what is left of a crash then is no volume. */
export function removeVolumeFiles(disk: Disk, directory: string, base: string): void {
  const extensions = [...Object.values(EXTENSION), '.vif', ADOPTION_MARKER]
  for (const extension of extensions) {
    const path = `${directory}/${base}${extension}`
    if (disk.stat(path) === undefined) continue
    disk.removeSync(path)
    if (extension === EXTENSION.dat) disk.syncDirectorySync(directory)
  }
  disk.syncDirectorySync(directory)
}
