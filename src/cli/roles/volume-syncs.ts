/** How the thread that writes metadata brings volumes to disk before it commits what names their bytes. */
import { statSync } from 'node:fs'
import type { VolumeSet } from '../../disk/volume-set.ts'
import { WORD } from '../../disk/volume-table.ts'
import type { VolumeSyncs } from '../../meta/open-meta-store.ts'

/** `directory`: that of the metadata. */
export function volumeSyncs(volumes: VolumeSet, directory: string): VolumeSyncs {
  const device = deviceOf(directory)
  const near = volumes.context.directories.map((path) => device !== undefined && deviceOf(path) === device)
  return {
    isNear(volumeId) {
      const volume = volumes.get(volumeId)
      return volume !== undefined && near[volume.slot.get(WORD.directory)]!
    },
    now: (volumeId) => volumes.getWritten(volumeId).syncForAllNow(),
    later: async (volumeId) => await volumes.getWritten(volumeId).syncForAll(),
  }
}

/** Undefined: the directory cannot be looked at. */
function deviceOf(directory: string): number | undefined {
  try {
    return statSync(directory).dev
  } catch {
    return undefined
  }
}
