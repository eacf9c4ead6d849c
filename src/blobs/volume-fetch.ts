/** The target's side of a move: pulls the files of a held volume from another server, piece by piece, and verifies them. */
import type { Clock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { CLUSTER_CALL_MS_MAX, VOLUME_PIECE_BYTES_MAX, VOLUME_SIZE_BYTES_MAX } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Verified } from '../disk/verify-copy.ts'
import type { CopiedFile, HeldVolume, VolumeCopies } from '../disk/volume-copies.ts'
import type { ClusterClient } from './cluster-client.ts'
import {
  EPOCH,
  PROTOCOL_VERSION,
  parseHeldVolume,
  VOLUME_ADMIN_PATH,
  type VolumeAdminRequests,
} from './cluster-wire.ts'

export interface VolumeFetchOptions {
  copies: VolumeCopies
  client: ClusterClient
  /** Of this server. */
  nodeId: string
  clock: Clock
  log: Log
}

export interface FetchResult extends Verified {
  bytes: number
}

/** How often a long copy says how far it is. */
const PROGRESS_MS = 5_000
const PIECE_TRIES = 3

export class VolumeFetch {
  readonly #options: VolumeFetchOptions
  readonly #running = new Set<number>()

  constructor(options: VolumeFetchOptions) {
    this.#options = options
  }

  /**
   * Copies a held volume here, verified and on disk, but not opened yet. What it had staged is dropped when it fails.
   * Throws `volume_exists`, `conflict`, `disk_full`, `no_writable_volume`, `corrupt`, `io_error`, and the source's errors.
   */
  async run({ id, source, sourceNodeId }: VolumeAdminRequests['fetch']): Promise<FetchResult> {
    const { copies, log } = this.#options
    if (this.#running.has(id)) throw new StoreError('conflict', `volume ${id} is being copied here already`)
    this.#running.add(id)
    try {
      const from = { hostPort: source, nodeId: sourceNodeId }
      const volume = await this.#describe(from, id)
      const sizeBytes = volume.files.reduce((sum, each) => sum + each.sizeBytes, 0)
      copies.stage(volume)
      log.info({ volume: id, source, bytes: sizeBytes }, 'copying a volume')
      await this.#copyFiles(from, volume, sizeBytes)
      const verified = await copies.verify(id)
      log.info({ volume: id, source, bytes: sizeBytes, ...verified }, 'copied and verified a volume')
      return { bytes: sizeBytes, ...verified }
    } catch (error) {
      copies.drop(id)
      throw error
    } finally {
      this.#running.delete(id)
    }
  }

  async #describe(from: Source, id: number): Promise<HeldVolume> {
    const { client } = this.#options
    const reply = await client.post({
      ...this.#call(from, 'describe', { id }),
      timeoutMs: CLUSTER_CALL_MS_MAX,
    })
    const volume = parseHeldVolume(reply.object('volume'))
    const sizeBytes = volume.files.reduce((sum, each) => sum + each.sizeBytes, 0)
    if (volume.id !== id || sizeBytes > 2 * VOLUME_SIZE_BYTES_MAX)
      throw new StoreError('bad_request', 'the source describes another volume')
    return volume
  }

  async #copyFiles(from: Source, volume: HeldVolume, bytesInAll: number): Promise<void> {
    const { clock, copies, log } = this.#options
    let [bytes, saidAtMs] = [0, clock.monotonicMs()]
    const pieces = piecesOf(volume)
    // The next piece is on its way while one is written.
    let coming = pieces[0] === undefined ? undefined : settled(this.#read(from, pieces[0]))
    for (const [at, piece] of pieces.entries()) {
      const { value, error } = await coming!
      if (value === undefined) throw error
      const next = pieces[at + 1]
      coming = next === undefined ? undefined : settled(this.#read(from, next))
      await copies.write(volume.id, { file: piece.file, offset: piece.offset, ...value })
      bytes += value.bytes.length
      if (clock.monotonicMs() - saidAtMs < PROGRESS_MS) continue
      saidAtMs = clock.monotonicMs()
      log.info({ volume: volume.id, bytes, of: bytesInAll }, 'still copying')
    }
  }

  /** A piece whose checksum is right; damage on the way is tried again. */
  async #read(
    from: Source,
    piece: VolumeAdminRequests['read'],
  ): Promise<{ bytes: Buffer; checksum: number }> {
    const { client } = this.#options
    for (let attempt = 1; ; attempt++) {
      try {
        const call = { ...this.#call(from, 'read', piece), replyBytesMax: VOLUME_PIECE_BYTES_MAX }
        const reply = await client.postForBytes({ ...call, timeoutMs: CLUSTER_CALL_MS_MAX })
        if (reply.bytes.length !== piece.lengthBytes)
          throw new StoreError('io_error', `a piece of ${reply.bytes.length} bytes, not ${piece.lengthBytes}`)
        return reply
      } catch (error) {
        const code = error instanceof StoreError ? error.code : 'internal'
        if (attempt >= PIECE_TRIES || (code !== 'io_error' && code !== 'timeout' && code !== 'unavailable'))
          throw error
      }
    }
  }

  #call<O extends 'describe' | 'read'>(from: Source, operation: O, request: VolumeAdminRequests[O]) {
    const envelope = { protocolVersion: PROTOCOL_VERSION, nodeId: this.#options.nodeId, epoch: EPOCH }
    return {
      hostPort: from.hostPort,
      path: VOLUME_ADMIN_PATH + operation,
      message: { ...envelope, toNodeId: from.nodeId, ...request },
    }
  }
}

interface Source {
  hostPort: string
  nodeId: string
}

function piecesOf({ id, compactionRevision, files }: HeldVolume): VolumeAdminRequests['read'][] {
  const pieces: {
    id: number
    file: CopiedFile
    compactionRevision: number
    offset: number
    lengthBytes: number
  }[] = []
  for (const { file, sizeBytes } of files) {
    for (let offset = 0; offset < sizeBytes; offset += VOLUME_PIECE_BYTES_MAX) {
      const lengthBytes = Math.min(VOLUME_PIECE_BYTES_MAX, sizeBytes - offset)
      pieces.push({ id, file, compactionRevision, offset, lengthBytes })
    }
  }
  return pieces
}

/** So that a failure of what is read ahead is dealt with when it is its turn. */
function settled<T>(promise: Promise<T>): Promise<{ value?: T; error?: unknown }> {
  return promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
}
