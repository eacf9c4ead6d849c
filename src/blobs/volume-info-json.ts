/** A volume's state in the keys that SeaweedFS's status pages use. */
import { replicaPlacement } from '../base/replication.ts'
import { ttlParts } from '../base/ttl.ts'
import type { VolumeInfo } from '../disk/volume-admin.ts'

const VOLUME_FILE_VERSION = 3

/** `diskId`: which of the server's directories, from 0. */
export function volumeInfoJson(info: VolumeInfo, diskId: number): object {
  const { count, unit } = ttlParts(info.ttl)
  const { sameRack, otherRacks, otherDataCenters } = replicaPlacement(info.replicaPlacement)
  return {
    Collection: info.collection,
    DiskType: '',
    RemoteStorageName: '',
    ReplicaPlacement: {
      node: sameRack || undefined,
      rack: otherRacks || undefined,
      dc: otherDataCenters || undefined,
    },
    Ttl: { Count: count, Unit: unit },
    Size: info.sizeBytes,
    DeletedByteCount: info.deletedBytes,
    ModifiedAtSecond: info.modifiedS,
    Id: info.id,
    DiskId: diskId,
    CompactRevision: info.compactionRevision,
    FileCount: info.fileCount,
    DeleteCount: info.deleteCount,
    Version: VOLUME_FILE_VERSION,
    ReadOnly: info.readOnly || info.failed,
  }
}

/** Whether a volume takes files, in one word for people. */
export type VolumeState = 'writable' | 'filling' | 'full' | 'read only' | 'moving' | 'disk full' | 'failed'

export function volumeState(info: VolumeInfo): VolumeState {
  if (info.failed) return 'failed'
  if (info.moving) return 'moving'
  if (info.readOnly) return 'read only'
  if (info.full) return 'full'
  if (info.filling) return 'filling'
  return info.diskFull ? 'disk full' : 'writable'
}
