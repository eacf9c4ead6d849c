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
import { decodeVolumeInfo } from './volume-info.ts'
import { ADOPTION_MARKER, EXTENSION, parseDatName, volumeBaseName } from './volume-paths.ts'
import { FLAG } from './volume-table.ts'

/** Below a data directory: volumes that want in. */
export const ADOPT_FOLDER = 'adopt'

const REFUSED = '.refused'
const PERIOD_MS = 1000
/** A volume that cannot be opened is tried again after twice the time each time, up to this. */
const REOPEN_MS_MAX = 3_600_000
const MARKER_DAMAGED = 'the marker of its adoption is damaged: it is not known whether it was verified'

/** What the marker beside a volume says. */
export interface AdoptionState {
  state: 'verifying' | 'damaged' | 'failed'
  /** Damaged records and files. */
  damaged: number
  reason: string
  /** It was read only when it came, and stays so; undefined: `.cairn` still says it. */
  readOnly?: boolean | undefined
}

/** A volume that has its name, and could not be opened. */
interface UnopenedArrival {
  directory: number
  tries: number
  /** Monotonic. */
  notBeforeMs: number
}

const VERIFYING: AdoptionState = { state: 'verifying', damaged: 0, reason: '' }

export type AdoptionHost = Pick<CopyHost, 'kept' | 'assertUnknown' | 'change' | 'openVolume'>

export class VolumeAdoption {
  readonly #context: ThreadContext
  readonly #host: AdoptionHost
  readonly #log: Log
  #stopTimer: (() => void) | undefined
  #working: Promise<void> | undefined
  #stopping = false
  /** Damaged records and files of volumes that were verified, until their markers say so. */
  readonly #verdicts = new Map<number, number>()
  readonly #unopened = new Map<number, UnopenedArrival>()
  /** Those that failed in this process: the next one verifies them again. */
  readonly #failed = new Set<number>()
  /** The last failure of each place: the same one is said once, not every second. */
  readonly #said = new Map<string, string>()

  constructor(context: ThreadContext, host: AdoptionHost, log: Log) {
    this.#context = context
    this.#host = host
    this.#log = log
  }

  /** Goes on with what was begun, and looks for volumes from now on. The keeper has opened its volumes. */
  start(): void {
    for (const place of this.#marked()) {
      try {
        const adoption = readAdoption(this.#context.disk, place)
        if (adoption !== undefined && this.#isToVerify(place, adoption)) this.#closeForWrites(place, adoption)
        if (adoption?.reason === MARKER_DAMAGED) throw new StoreError('corrupt', MARKER_DAMAGED)
      } catch (error) {
        this.#complain(place, error)
      }
    }
    this.#stopTimer = this.#context.clock.every(PERIOD_MS, () => {
      this.#working ??= this.look()
        .catch((error) => this.#log.error({ error }, 'volumes cannot be adopted'))
        .finally(() => {
          this.#working = undefined
        })
    })
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopTimer?.()
    await this.#working
  }

  /** One look into the folders: takes what is there and verifies it. What fails is logged, and tried again at the next look. */
  async look(): Promise<void> {
    for (const [number, directory] of this.#context.directories.entries()) {
      try {
        for (const place of this.#arrived(directory)) this.#take(number, place)
      } catch (error) {
        this.#complain({ directory }, error)
      }
    }
    for (const place of this.#marked()) {
      if (this.#stopping) return
      try {
        const adoption = readAdoption(this.#context.disk, place)
        if (adoption !== undefined && this.#isToVerify(place, adoption)) await this.#verify(place)
      } catch (error) {
        this.#complain(place, error)
      }
    }
  }

  #isToVerify({ volumeId }: VolumePlace, { state, reason }: AdoptionState): boolean {
    if (state === 'failed' && reason !== MARKER_DAMAGED)
      return !this.#failed.has(volumeId) || this.#unopened.has(volumeId)
    return state === 'verifying'
  }

  #complain(place: { directory: string; volumeId?: number }, error: unknown): void {
    const { code, message } = toStoreError(error)
    const { directory, volumeId: volume } = place
    const key = `${directory}/${volume ?? ''}`
    if (this.#said.get(key) === message) return
    this.#said.set(key, message)
    this.#log.error({ directory, volume, code }, `adoption failed: ${message}`)
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
          .filter((name) => name.endsWith(ADOPTION_MARKER))
          .map((name) => parseDatName(`${name.slice(0, -ADOPTION_MARKER.length)}${EXTENSION.dat}`))
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
      // A volume that is there already is never replaced, whatever its marker says.
      const isHere = disk.stat(placePath(place, EXTENSION.dat)) !== undefined
      if (isHere || readAdoption(disk, place) === undefined) {
        this.#host.assertUnknown(volumeId)
        refuseWideOffsets(disk, arrived)
        refuseOthersIds(disk, arrived)
        removeVolumeFiles(disk, directory, volumeBaseName(collection, volumeId))
        writeAdoption(disk, place, { ...VERIFYING, readOnly: isReadOnly(disk, arrived) })
      }
    } catch (error) {
      return this.#refuse(arrived, error)
    }
    try {
      this.#verdicts.delete(volumeId)
      this.#failed.delete(volumeId)
      this.#unopened.set(volumeId, { directory: number, tries: 0, notBeforeMs: 0 })
      placeStaged(disk, arrived, directory)
      this.#isOpened(place)
    } catch (error) {
      // The marker says as before what is to be done: the next look goes on.
      this.#complain(place, error)
    }
  }

  /** Opens a volume that came and is not open yet. False while it waits for its next try. Throws what opening throws. */
  #isOpened(place: VolumePlace): boolean {
    const { collection, volumeId, directory } = place
    const unopened = this.#unopened.get(volumeId)
    if (unopened === undefined) return true
    const nowMs = this.#context.clock.monotonicMs()
    if (nowMs < unopened.notBeforeMs) return false
    unopened.notBeforeMs = nowMs + Math.min(PERIOD_MS * 2 ** unopened.tries++, REOPEN_MS_MAX)
    this.#host.openVolume(unopened.directory, { collection, volumeId })
    this.#unopened.delete(volumeId)
    this.#closeForWrites(place, readAdoption(this.#context.disk, place) ?? VERIFYING)
    this.#log.info({ volume: volumeId, collection, directory }, 'volume adopted, read only until verified')
    return true
  }

  /** Notes it in the marker, too, unless it is the disk that is full: then, and where that fails, it is tried again. */
  #fail(place: VolumePlace, error: unknown): void {
    const { code, message } = toStoreError(error)
    this.#complain(place, error)
    if (code === 'disk_full') return
    try {
      const readOnly = readAdoption(this.#context.disk, place)?.readOnly
      writeAdoption(this.#context.disk, place, { state: 'failed', damaged: 0, reason: message, readOnly })
      this.#failed.add(place.volumeId)
    } catch (second) {
      this.#complain(place, second)
    }
  }

  #refuse(arrived: VolumePlace, error: unknown): void {
    const { code, message } = toStoreError(error)
    this.#log.warn({ volume: arrived.volumeId, code }, `volume not adopted: ${message}`)
    const name = `${volumeBaseName(arrived.collection, arrived.volumeId)}${REFUSED}`
    replaceFileDurably(this.#context.disk, arrived.directory, name, Buffer.from(message))
  }

  /** At once; `.cairn` says so as soon as the disk lets it, and until then the marker does at the next start. */
  #closeForWrites(place: VolumePlace, { state, readOnly }: AdoptionState): void {
    try {
      const { slot, info } = this.#host.kept(place.volumeId)
      slot.setFlag(FLAG.readOnly)
      // Before `.cairn` says that it is read only, the marker must say whether it was.
      if (state !== 'verifying' || readOnly === undefined) {
        const wasReadOnly = readOnly ?? info.readOnly === true
        writeAdoption(this.#context.disk, place, { ...VERIFYING, readOnly: wasReadOnly })
      }
      if (info.readOnly !== true) this.#host.change(place.volumeId, { readOnly: true })
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'volume_not_found') this.#complain(place, error)
    }
  }

  async #verify(place: VolumePlace): Promise<void> {
    const { volumeId } = place
    try {
      if (!this.#isOpened(place)) return
      const adoption = readAdoption(this.#context.disk, place) ?? VERIFYING
      const wasReadOnly = adoption.readOnly ?? this.#host.kept(volumeId).info.readOnly === true
      this.#closeForWrites(place, adoption)
      const damaged = this.#verdicts.get(volumeId) ?? (await this.#countDamage(volumeId))
      if (damaged === undefined) return
      this.#verdicts.set(volumeId, damaged)
      this.#noteVerified(place, damaged, wasReadOnly)
      this.#verdicts.delete(volumeId)
    } catch (error) {
      this.#fail(place, error)
    }
  }

  /** Undefined: it was stopped. */
  async #countDamage(volumeId: number): Promise<number | undefined> {
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
        await new Promise<void>((resolve) => this.#context.clock.soon(resolve))
        return !this.#stopping
      },
    })
    return (await scrub.run(undefined)) === 'done' ? damaged : undefined
  }

  #noteVerified(place: VolumePlace, damaged: number, wasReadOnly: boolean): void {
    const { disk } = this.#context
    const { volumeId } = place
    if (damaged > 0) {
      const reason = `${damaged} damaged records or files: it stays read only`
      writeAdoption(disk, place, { state: 'damaged', damaged, reason })
      this.#log.error({ volume: volumeId, damaged }, 'adopted volume stays read only')
      return
    }
    if (!wasReadOnly) this.#host.change(volumeId, { readOnly: false })
    removeAdoption(disk, place)
    const what = wasReadOnly ? 'it stays read only, as it was' : 'it takes writes'
    this.#log.info({ volume: volumeId }, `adopted volume verified: ${what}`)
  }
}

/** What the marker of a volume says; undefined when it has none. Throws the disk's error. */
export function readAdoption(disk: Disk, place: VolumePlace): AdoptionState | undefined {
  const bytes = readFileWhole(disk, placePath(place, ADOPTION_MARKER))
  return bytes && (parseAdoption(bytes) ?? { state: 'failed', damaged: 0, reason: MARKER_DAMAGED })
}

/** Undefined when the bytes are damaged. */
function parseAdoption(bytes: Buffer): AdoptionState | undefined {
  try {
    const adoption = JSON.parse(bytes.toString('utf8')) as Partial<AdoptionState> | null
    const { state, damaged, reason, readOnly } = adoption ?? {}
    const isKnown = state === 'verifying' || state === 'damaged' || state === 'failed'
    return isKnown && typeof damaged === 'number' && typeof reason === 'string'
      ? { state, damaged, reason, readOnly: typeof readOnly === 'boolean' ? readOnly : undefined }
      : undefined
  } catch {
    return undefined
  }
}

export function writeAdoption(disk: Disk, place: VolumePlace, state: AdoptionState): void {
  const name = `${volumeBaseName(place.collection, place.volumeId)}${ADOPTION_MARKER}`
  replaceFileDurably(disk, place.directory, name, Buffer.from(`${JSON.stringify(state)}\n`))
}

function removeAdoption(disk: Disk, place: VolumePlace): void {
  disk.removeSync(placePath(place, ADOPTION_MARKER))
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

function isReadOnly(disk: Disk, place: VolumePlace): boolean {
  const bytes = readFileWhole(disk, placePath(place, EXTENSION.cairn))
  return bytes !== undefined && decodeVolumeInfo(bytes)?.readOnly === true
}

/** Ids above those of plain volumes say what is in a volume of Cairn's, and nothing of others'. Throws `unsupported`. */
function refuseOthersIds(disk: Disk, place: VolumePlace): void {
  if (place.volumeId < PLAIN_VOLUME_IDS_END || disk.stat(placePath(place, EXTENSION.cairn)) !== undefined)
    return
  throw new StoreError('unsupported', `ids of volumes from elsewhere are below ${PLAIN_VOLUME_IDS_END}`)
}
