/** The volumes of this machine, as one thread sees them, for those who store blobs there. */
import type { Volume } from '../disk/volume.ts'
import { WORD } from '../disk/volume-table.ts'
import type { BlobVolume } from './blob-store.ts'

export interface LocalVolumes {
  /** Undefined: not here. Throws `io_error` when it is here but could not be opened. */
  get(volumeId: number): Volume | undefined
  /** Throws `io_error` unless a volume that `get` does not know is surely not here. */
  assertComplete(): void
  list(): Volume[]
}

/** All of them. Throws `io_error` when some may be missing. */
export function localBlobVolumes(volumes: LocalVolumes): BlobVolume[] {
  volumes.assertComplete()
  return volumes.list().map(({ id, collection, slot }) => ({
    volumeId: id,
    collection,
    entries: slot.get(WORD.idxEntries),
    revision: slot.get(WORD.compactionRevision),
  }))
}

/** Of a process that has none. */
export const NO_VOLUMES: LocalVolumes = {
  get: () => undefined,
  assertComplete() {},
  list: () => [],
}
