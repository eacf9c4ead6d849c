/** What the files of a volume say about it, read without changing any of them. For offline checks and exports. */
import { StoreError } from '../base/errors.ts'
import { type Disk, readFileWhole } from './disk.ts'
import { IDX_ENTRY_BYTES } from './idx-entry.ts'
import { decodeSums, type IndexSums } from './index-sums.ts'
import { revisionSalt } from './needle.ts'
import { decodeSuperBlock, SUPER_BLOCK_BYTES, type SuperBlock } from './super-block.ts'
import { decodeVolumeInfo, type VolumeInfoFile } from './volume-info.ts'
import { EXTENSION, parseDatName, volumeBaseName } from './volume-paths.ts'
import { saltFromRecords } from './volume-salt.ts'

/** Where a volume's files are. */
export interface VolumePlace {
  directory: string
  collection: string
  volumeId: number
}

export function placePath(place: VolumePlace, extension: string): string {
  return `${place.directory}/${volumeBaseName(place.collection, place.volumeId)}${extension}`
}

/** The volumes in a directory, by id. Empty filters let all pass. Throws `io_error`s of the disk. */
export function listVolumes(
  disk: Disk,
  directory: string,
  filter: { volumeIds: readonly number[]; collection: string },
): VolumePlace[] {
  return disk
    .list(directory)
    .map(parseDatName)
    .filter((name) => name !== undefined)
    .filter(({ volumeId }) => filter.volumeIds.length === 0 || filter.volumeIds.includes(volumeId))
    .filter(({ collection }) => filter.collection === '' || filter.collection === collection)
    .map((name) => ({ directory, ...name }))
    .sort((a, b) => a.volumeId - b.volumeId || (a.collection < b.collection ? -1 : 1))
}

/** A file beside `.dat`: its content where it is good. */
export type SideFile<T> =
  | { state: 'good'; value: T }
  | { state: 'missing' | 'damaged' | 'other_revision'; value: undefined }

export interface VolumeFacts {
  place: VolumePlace
  datHandle: number
  /** -1 when there is no `.idx`. */
  idxHandle: number
  datBytes: number
  idxBytes: number
  /** As it should be: a damaged compaction revision is put right by `.cairn`, as opening does. */
  superBlock: SuperBlock
  superBlockDamaged: boolean
  info: SideFile<VolumeInfoFile>
  sums: SideFile<IndexSums>
  /** Written by SeaweedFS alone: no record has a trailer, and nobody misses the files that only Cairn has. */
  foreign: boolean
  fileSalt: number
  /** Records before this place may lack a trailer. */
  foreignUnits: number
}

/**
 * Opens `.dat` and `.idx` for reading; `closeFacts` closes them. Throws `unsupported`, `corrupt` (no volume) and the
 * errors of the disk.
 */
export function openFacts(disk: Disk, place: VolumePlace): VolumeFacts {
  refuseWideOffsets(disk, place)
  const datHandle = disk.open(placePath(place, EXTENSION.dat), 'r')
  let idxHandle = -1
  try {
    const idxPath = placePath(place, EXTENSION.idx)
    if (disk.stat(idxPath) !== undefined) idxHandle = disk.open(idxPath, 'r')
    const bytes = Buffer.alloc(SUPER_BLOCK_BYTES)
    const count = disk.readSync(datHandle, bytes, 0, bytes.length, 0)
    const found = decodeSuperBlock(bytes.subarray(0, count), placePath(place, EXTENSION.dat))
    const superBlock = { ...found, compactionRevision: trueRevision(disk, place, { datHandle, found }) }
    return {
      place,
      datHandle,
      idxHandle,
      datBytes: disk.sizeSync(datHandle),
      idxBytes: idxHandle === -1 ? 0 : disk.sizeSync(idxHandle),
      superBlock,
      superBlockDamaged: superBlock.compactionRevision !== found.compactionRevision,
      ...readSideFiles(disk, place, { datHandle, superBlock }),
    }
  } catch (error) {
    for (const handle of [datHandle, idxHandle]) if (handle !== -1) disk.close(handle)
    throw error
  }
}

export function closeFacts(disk: Disk, facts: VolumeFacts): void {
  disk.close(facts.datHandle)
  if (facts.idxHandle !== -1) disk.close(facts.idxHandle)
}

/** Whole entries of `.idx`. */
export function idxEntryCount(facts: VolumeFacts): number {
  return Math.floor(facts.idxBytes / IDX_ENTRY_BYTES)
}

/** Throws `unsupported` for a volume of SeaweedFS's large-disk build. */
export function refuseWideOffsets(disk: Disk, place: VolumePlace): void {
  const vif = readFileWhole(disk, placePath(place, '.vif'))
  const width = /"bytesOffset":\s*(\d+)/.exec(vif?.toString('latin1') ?? '')?.[1]
  if (width === undefined || width === '4' || width === '0') return
  throw new StoreError('unsupported', `a volume with ${width}-byte offsets, only 4 are read`)
}

/** The revision that the records are sealed with, where the super block and `.cairn` do not agree. */
function trueRevision(disk: Disk, place: VolumePlace, dat: { datHandle: number; found: SuperBlock }): number {
  const { compactionRevision } = dat.found
  const info = readSide(disk, placePath(place, EXTENSION.cairn), decodeVolumeInfo).value
  if (info === undefined || info.compactionRevision === compactionRevision) return compactionRevision
  const isSealedSo = saltFromRecords(disk, dat.datHandle, info.compactionRevision) === info.salt
  return isSealedSo ? info.compactionRevision : compactionRevision
}

type Sides = Pick<VolumeFacts, 'info' | 'sums' | 'foreign' | 'fileSalt' | 'foreignUnits'>

function readSideFiles(
  disk: Disk,
  place: VolumePlace,
  dat: { datHandle: number; superBlock: SuperBlock },
): Sides {
  const revision = dat.superBlock.compactionRevision
  const info = readSide(disk, placePath(place, EXTENSION.cairn), decodeVolumeInfo)
  const sums = readSide(disk, placePath(place, EXTENSION.sums), decodeSums)
  const infoFits = info.value?.compactionRevision === revision
  const sumsFit = sums.value?.compactionRevision === revision
  const salt = info.value?.salt ?? saltFromRecords(disk, dat.datHandle, revision)
  const foreign = !infoFits && !sumsFit && (info.value !== undefined || salt === undefined)
  return {
    info: fitting(info, infoFits),
    sums: fitting(sums, sumsFit),
    foreign,
    fileSalt: revisionSalt(salt ?? 0, revision),
    // Where `.cairn` is lost, nothing says which records came from SeaweedFS.
    foreignUnits: infoFits ? (info.value?.foreignUnits ?? 0) : Number.POSITIVE_INFINITY,
  }
}

function readSide<T>(disk: Disk, path: string, decode: (bytes: Buffer) => T | undefined): SideFile<T> {
  const bytes = readFileWhole(disk, path)
  if (bytes === undefined) return { state: 'missing', value: undefined }
  const value = decode(bytes)
  return value === undefined ? { state: 'damaged', value: undefined } : { state: 'good', value }
}

function fitting<T>(side: SideFile<T>, fits: boolean): SideFile<T> {
  return side.state === 'good' && !fits ? { state: 'other_revision', value: undefined } : side
}
