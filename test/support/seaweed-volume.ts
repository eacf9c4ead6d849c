/** Volumes of SeaweedFS's writing on a simulated disk, and what is found of their files. */

import { encodeSuperBlock } from '../../src/disk/super-block.ts'
import { appendAsSeaweed, type SeaweedFile, type VolumeFiles } from '../compat/seaweed-writer.ts'
import type { SimDisk } from '../sim/sim-disk.ts'
import { cookieOf, dataOf } from './needles.ts'
import { DIRECTORY, readKey, type SimStore, VOLUME } from './sim-store.ts'

export const SEAWEED_BYTES = 500
/** Of a file of so many bytes. */
export const SEAWEED_RECORD_BYTES = 536

export function seaweedFile(key: number, version = 1, bytes = SEAWEED_BYTES): SeaweedFile {
  const appendNs = BigInt(1_700_000_000 + key + version) * 10n ** 9n
  return { key: BigInt(key), cookie: cookieOf(key), data: dataOf(key * 7 + version, bytes), appendNs }
}

export function emptySeaweed(): VolumeFiles {
  const dat = encodeSuperBlock({ replicaPlacement: 0, ttl: 0, compactionRevision: 0 })
  return { dat, idx: Buffer.alloc(0) }
}

/** Files 1 to `count`. */
export function seaweedFiles(count: number): VolumeFiles {
  return deleteAt(count, count, [])
}

/** Files 1 to `count`, some of them deleted when so many had been written. */
export function deleteAt(count: number, after: number, deleted: number[]): VolumeFiles {
  let files = emptySeaweed()
  for (let key = 1; key <= count; key++) {
    files = appendAsSeaweed(files, seaweedFile(key))
    if (key !== after) continue
    for (const each of deleted) files = appendAsSeaweed(files, seaweedFile(each, 9), true)
  }
  return files
}

export function seaweedVolume(disk: SimDisk, files: Partial<VolumeFiles>): SimDisk {
  disk.putDirectory(DIRECTORY)
  if (files.dat !== undefined) disk.putFile(`${DIRECTORY}/${VOLUME}.dat`, files.dat)
  if (files.idx !== undefined) disk.putFile(`${DIRECTORY}/${VOLUME}.idx`, files.idx)
  return disk
}

export type KeyFound = 'whole' | 'absent' | 'damaged' | 'unreadable' | 'another'

/** What is found of files 1 to `count` of the first version. */
export async function surveyOf(store: SimStore, count: number): Promise<KeyFound[]> {
  const found: KeyFound[] = []
  for (let key = 1; key <= count; key++) found.push(await keyFound(store, key))
  return found
}

export async function keyFound(store: SimStore, key: number, version = 1): Promise<KeyFound> {
  try {
    const read = await readKey(store.volume(), key)
    if (read === 'damaged') return read
    if (read === undefined) return 'absent'
    return read.data.equals(seaweedFile(key, version, read.data.length).data) ? 'whole' : 'another'
  } catch {
    return 'unreadable'
  }
}

/** The keys of which that was found. */
export function asFound(survey: KeyFound[], what: KeyFound): number[] {
  return survey.flatMap((found, i) => (found === what ? [i + 1] : []))
}
