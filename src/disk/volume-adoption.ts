/**
 * Takes volumes that others wrote, SeaweedFS's above all, into the data directories of a running server. Whoever may write to
 * a data directory puts a volume's files into its folder `adopt`, `.dat` last. The keeper gives them their names, opens the
 * volume read only, verifies every record, and only then lets it take writes. A crash at any step leaves what the next
 * start goes on with: files in the folder, or a marker beside the volume that says that it is not verified yet.
 */
import { PLAIN_VOLUME_IDS_END } from '../base/erasure-id.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { placeStaged } from './copy-volume.ts'
import { removeVolumeFiles } from './create-volume.ts'
import { type Disk, readFileWhole, replaceFileDurably } from './disk.ts'
import { VolumeScrub } from './scrub-volume.ts'
import type { ThreadContext } from './thread-context.ts'
import type { CopyHost } from './volume-copies.ts'
import { placePath, refuseWideOffsets, type VolumePlace } from './volume-facts.ts'
import { EXTENSION, parseDatName, volumeBaseName } from './volume-paths.ts'

/** Below a data directory: volumes that want in. */
export const ADOPT_FOLDER = 'adopt'
const MARKER = '.adopting'
const REFUSED = '.refused'
const PERIOD_MS = 1000

/** What the marker beside a volume says. */
export interface AdoptionState {
  state: 'verifying' | 'damaged' | 'failed'
  /** Damaged records and files. */
  damaged: number
  reason: string
}

export type AdoptionHost = Pick<CopyHost, 'kept' | 'assertUnknown' | 'change' | 'openVolume'>

export class VolumeAdoption {
  readonly #context: ThreadContext
  readonly #host: AdoptionHost
  readonly #log: Log
  #stopTimer: (() => void) | undefined
  #working: Promise<void> | undefined
  #stopping = false

  constructor(context: ThreadContext, host: AdoptionHost, log: Log) {
    this.#context = context
    this.#host = host
    this.#log = log
  }

  /** Goes on with what was begun, and looks for volumes from now on. The keeper has opened its volumes. */
  start(): void {
    for (const place of this.#marked()) this.#closeForWrites(place)
    this.#stopTimer = this.#context.clock.every(PERIOD_MS, () => {
      this.#working ??= this.look().finally(() => {
        this.#working = undefined
      })
    })
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopTimer?.()
    await this.#working
  }

  /** One look into the folders: takes what is there and verifies it. */
  async look(): Promise<void> {
    for (const [number, directory] of this.#context.directories.entries()) {
      try {
        for (const place of this.#arrived(directory)) this.#take(number, place)
      } catch (error) {
        this.#log.error({ directory, error: toStoreError(error) }, 'volumes cannot be adopted')
      }
    }
    for (const place of this.#marked()) {
      if (this.#stopping) return
      if (readAdoption(this.#context.disk, place)?.state === 'verifying') await this.#verify(place)
    }
  }

  /** Volumes in the folder of a directory. */
  #arrived(directory: string): VolumePlace[] {
    const { disk } = this.#context
    const folder = `${directory}/${ADOPT_FOLDER}`
    if (disk.stat(folder) === undefined) return []
    return disk
      .list(folder)
      .map(parseDatName)
      .filter((name) => name !== undefined)
      .map((name) => ({ directory: folder, ...name }))
      .filter((place) => disk.stat(placePath(place, REFUSED)) === undefined)
  }

  /** Volumes in the data directories that have a marker. */
  #marked(): VolumePlace[] {
    const { disk, directories } = this.#context
    return directories.flatMap((directory) => {
      try {
        return disk
          .list(directory)
          .filter((name) => name.endsWith(MARKER))
          .map((name) => parseDatName(`${name.slice(0, -MARKER.length)}${EXTENSION.dat}`))
          .filter((name) => name !== undefined)
          .map((name) => ({ directory, ...name }))
          .filter((place) => disk.stat(placePath(place, EXTENSION.dat)) !== undefined)
      } catch {
        return [] // The keeper has said that the directory failed.
      }
    })
  }

  #take(number: number, arrived: VolumePlace): void {
    const { disk, directories } = this.#context
    const { collection, volumeId } = arrived
    const directory = directories[number] as string
    const place = { directory, collection, volumeId }
    try {
      if (readAdoption(disk, place) === undefined) {
        this.#host.assertUnknown(volumeId)
        refuseWideOffsets(disk, arrived)
        refuseOthersIds(disk, arrived)
        removeVolumeFiles(disk, directory, volumeBaseName(collection, volumeId))
        writeAdoption(disk, place, { state: 'verifying', damaged: 0, reason: '' })
      }
    } catch (error) {
      return this.#refuse(arrived, error)
    }
    try {
      placeStaged(disk, arrived, directory)
      this.#host.openVolume(number, { collection, volumeId })
      this.#closeForWrites(place)
      this.#log.info({ volume: volumeId, collection, directory }, 'volume adopted, read only until verified')
    } catch (error) {
      const { code, message } = toStoreError(error)
      this.#log.error({ volume: volumeId, code }, `adopted volume not opened: ${message}`)
      writeAdoption(disk, place, { state: 'failed', damaged: 0, reason: message })
    }
  }

  #refuse(arrived: VolumePlace, error: unknown): void {
    const { code, message } = toStoreError(error)
    this.#log.warn({ volume: arrived.volumeId, code }, `volume not adopted: ${message}`)
    const name = `${volumeBaseName(arrived.collection, arrived.volumeId)}${REFUSED}`
    replaceFileDurably(this.#context.disk, arrived.directory, name, Buffer.from(message))
  }

  #closeForWrites(place: VolumePlace): void {
    if (readAdoption(this.#context.disk, place)?.state !== 'verifying') return
    try {
      this.#host.change(place.volumeId, { readOnly: true })
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'volume_not_found') throw error
    }
  }

  async #verify(place: VolumePlace): Promise<void> {
    const { disk, clock } = this.#context
    const { volumeId } = place
    try {
      const { slot } = this.#host.kept(volumeId)
      let damaged = 0
      const scrub = new VolumeScrub(this.#context, slot, {
        onDamage: ({ file, offsetBytes, reason }) => {
          damaged++
          this.#log.error(
            { volume: volumeId, file, offset: offsetBytes, reason },
            'damage in an adopted volume',
          )
        },
        onProgress: () => undefined,
        pace: async () => {
          await new Promise<void>((resolve) => clock.soon(resolve))
          return !this.#stopping
        },
      })
      if ((await scrub.run(undefined)) !== 'done') return
      if (damaged > 0) {
        const reason = `${damaged} damaged records or files: it stays read only`
        writeAdoption(disk, place, { state: 'damaged', damaged, reason })
        this.#log.error({ volume: volumeId, damaged }, 'adopted volume stays read only')
        return
      }
      this.#host.change(volumeId, { readOnly: false })
      removeAdoption(disk, place)
      this.#log.info({ volume: volumeId }, 'adopted volume verified: it takes writes')
    } catch (error) {
      const { code, message } = toStoreError(error)
      this.#log.error({ volume: volumeId, code }, `adopted volume not verified: ${message}`)
      writeAdoption(disk, place, { state: 'failed', damaged: 0, reason: message })
    }
  }
}

/** What the marker of a volume says; undefined when it has none. */
export function readAdoption(disk: Disk, place: VolumePlace): AdoptionState | undefined {
  const bytes = readFileWhole(disk, placePath(place, MARKER))
  return bytes === undefined ? undefined : (JSON.parse(bytes.toString('utf8')) as AdoptionState)
}

export function writeAdoption(disk: Disk, place: VolumePlace, state: AdoptionState): void {
  const name = `${volumeBaseName(place.collection, place.volumeId)}${MARKER}`
  replaceFileDurably(disk, place.directory, name, Buffer.from(`${JSON.stringify(state)}\n`))
}

function removeAdoption(disk: Disk, place: VolumePlace): void {
  disk.removeSync(placePath(place, MARKER))
  disk.syncDirectorySync(place.directory)
}

/** Why a volume in the folder was not taken; undefined when it was not refused. */
export function readRefusal(disk: Disk, arrived: VolumePlace): string | undefined {
  return readFileWhole(disk, placePath(arrived, REFUSED))?.toString('utf8')
}

/** Takes a volume back out of the folder. */
export function removeArrived(disk: Disk, arrived: VolumePlace): void {
  removeVolumeFiles(disk, arrived.directory, volumeBaseName(arrived.collection, arrived.volumeId))
  disk.removeSync(placePath(arrived, REFUSED))
}

/** Ids above those of plain volumes say what is in a volume of Cairn's, and nothing of others'. Throws `unsupported`. */
function refuseOthersIds(disk: Disk, place: VolumePlace): void {
  if (place.volumeId < PLAIN_VOLUME_IDS_END || disk.stat(placePath(place, EXTENSION.cairn)) !== undefined)
    return
  throw new StoreError('unsupported', `ids of volumes from elsewhere are below ${PLAIN_VOLUME_IDS_END}`)
}
