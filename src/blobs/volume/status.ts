/** The `/status` page: disks and volumes, in SeaweedFS's keys. */
import type { DirectoryInfo, StoreStatus } from '../../disk/volume-admin.ts'
import { volumeInfoJson } from '../volume-info-json.ts'

/** The page's JSON. `version`: of the program. */
export function statusPage(status: StoreStatus, version: string): object {
  const places = new Map(status.directories.map((directory, index) => [directory.path, index]))
  return {
    DiskStatuses: status.directories.map(diskStatus),
    Version: version,
    Volumes: [...status.volumes]
      .sort((a, b) => a.id - b.id)
      .map((volume) => volumeInfoJson(volume, places.get(volume.directory) ?? 0)),
  }
}

function diskStatus(directory: DirectoryInfo): object {
  const { path, totalBytes, freeBytes } = directory
  const usedBytes = totalBytes - freeBytes
  const percent = (bytes: number) => (totalBytes === 0 ? 0 : (bytes / totalBytes) * 100)
  return {
    dir: path,
    all: totalBytes,
    used: usedBytes,
    free: freeBytes,
    percent_free: percent(freeBytes),
    percent_used: percent(usedBytes),
  }
}
