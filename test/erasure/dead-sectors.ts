/** Real files on a disk with dead sectors: reads of some bytes of volumes fail. */
import type { Disk } from '../../src/disk/disk.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import type { Volume } from '../../src/disk/volume.ts'

export interface DeadSectors {
  disk: Disk
  /** From now on byte `at` of a key's record cannot be read: of its head where it is below 20. */
  kill(volume: Volume, key: { keyHigh: number; keyLow: number }, at: number): void
  heal(): void
}

export function deadSectors(): DeadSectors {
  const paths = new Map<number, string>()
  const dead: { volumeId: number; byte: number }[] = []
  const check = (handle: number, position: number, length: number) => {
    const path = paths.get(handle) ?? ''
    const isDead = dead.some(
      ({ volumeId, byte }) =>
        path.endsWith(`${volumeId}.dat`) && position <= byte && byte < position + length,
    )
    if (isDead) throw Object.assign(new Error('i/o error'), { code: 'EIO' })
  }
  const disk: Disk = {
    ...realDisk,
    open(path, mode) {
      const handle = realDisk.open(path, mode)
      paths.set(handle, path)
      return handle
    },
    readSync(handle, into, intoOffset, length, position) {
      check(handle, position, length)
      return realDisk.readSync(handle, into, intoOffset, length, position)
    },
    async read(handle, into, intoOffset, length, position) {
      check(handle, position, length)
      return await realDisk.read(handle, into, intoOffset, length, position)
    },
  }
  return {
    disk,
    kill(volume, { keyHigh, keyLow }, at) {
      volume.index.get(keyHigh, keyLow)
      dead.push({ volumeId: volume.id, byte: volume.index.offsetUnits * 8 + at })
    },
    heal() {
      dead.length = 0
    },
  }
}
