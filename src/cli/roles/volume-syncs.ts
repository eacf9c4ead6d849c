/** How the thread that writes metadata brings volumes to disk before it commits what names their bytes. */
import { statSync } from 'node:fs'
import type { CarriedBlob } from '../../base/carried-blob.ts'
import { toStoreError } from '../../base/errors.ts'
import { bytesNeedle } from '../../disk/needle.ts'
import type { Volume } from '../../disk/volume.ts'
import type { VolumeSet } from '../../disk/volume-set.ts'
import { WORD } from '../../disk/volume-table.ts'
import type { VolumeSyncs } from '../../meta/open-meta-store.ts'

/** `directory`: that of the metadata. */
export function volumeSyncs(volumes: VolumeSet, directory: string): VolumeSyncs {
  const device = deviceOf(directory)
  const near = volumes.context.directories.map((path) => device !== undefined && deviceOf(path) === device)
  /** Undefined: it was removed, and its files with it, or has moved, and is on disk where it is now. Throws `io_error` unless that is sure. */
  const stillHere = (volumeId: number): Volume | undefined => {
    const volume = volumes.get(volumeId)
    if (volume === undefined) volumes.assertComplete()
    return volume
  }
  return {
    isNear(volumeId) {
      const volume = volumes.get(volumeId)
      return volume !== undefined && near[volume.slot.get(WORD.directory)]!
    },
    now: (volumeId) => watched(volumes.getWritten(volumeId)).syncForAllNow(),
    later: async (volumeId) => await watched(volumes.getWritten(volumeId)).syncForAll(),
    async syncCarried(volumeId) {
      const volume = stillHere(volumeId)
      if (volume === undefined) return
      volume.sync.noteWrite()
      await volume.durable()
    },
    async restore(blob) {
      const volume = stillHere(blob.volumeId)
      if (volume === undefined || (await hasBlob(volume, blob))) return false
      await volume.write(bytesNeedle(blob, blob.data))
      return true
    },
  }
}

/** From its first sync on, the handle by which it is synced for carried blobs sees every failure too. */
function watched(volume: Volume): Volume {
  volume.sync.prepare()
  return volume
}

/** Or had it, until it was removed. */
async function hasBlob(volume: Volume, { data, ...id }: CarriedBlob): Promise<boolean> {
  const { index } = volume
  if (!index.get(id.keyHigh, id.keyLow)) return false
  if (index.deleted) return true
  try {
    const found = await volume.read(id)
    found?.large?.close()
    return found?.data?.equals(data) === true
  } catch (error) {
    if (toStoreError(error).code !== 'corrupt') throw error
    return false
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
