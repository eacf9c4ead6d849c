/**
 * The load of one thread: so many connections, each sending its next request when the last one is answered.
 * What it needs is plain data, so that it runs on any thread.
 */
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { formatFid } from '../base/fid.ts'
import { Histogram } from '../base/histogram.ts'
import { seededRandom } from '../base/random.ts'
import { CairnClient } from '../client/cairn-client.ts'
import { FidTable } from './fid-table.ts'
import type { LoadResult, LoadSpec, LoadState } from './load-state.ts'
import { Payload } from './payload.ts'
import { RawConnection } from './raw-connection.ts'
import { WriteLane } from './write-lane.ts'

/** After so many failures one after the other, or so long without a success, the server is gone: the rest is not tried. */
const FAILURES_IN_A_ROW_MAX = 1_000
const WITHOUT_SUCCESS_MS_MAX = 90_000
const FAILURE_PAUSE_MS = 20
/** Different messages that a result keeps. */
const MESSAGES_MAX = 20

/** Runs one phase to its end. Throws only when the server is gone; single failures are counted. */
export async function runLoad(spec: LoadSpec, clock: Clock): Promise<LoadResult> {
  const client = new CairnClient({ masters: spec.masters, clock, timeoutMs: spec.timeoutMs })
  const state: LoadState = {
    spec,
    clock,
    client,
    random: seededRandom(spec.seed),
    payload: new Payload(spec.sizeBytes),
    fids: new FidTable(spec.fids),
    result: { completed: 0, failed: 0, deleted: 0, contentBytes: 0, failures: {} },
  }
  const lanes = Array.from({ length: Math.min(spec.connections, spec.end - spec.start) }, () =>
    spec.phase === 'write' ? new WriteLane(state) : new ReadLane(state),
  )
  const stopChecks = clock.every(1_000, () => {
    for (const lane of lanes) lane.checkTimeouts()
  })
  try {
    const times = await runLanes(state, lanes)
    return { ...state.result, times: times.state() }
  } finally {
    stopChecks()
    for (const lane of lanes) lane.close()
    client.close()
  }
}

interface Lane {
  /** One request; resolves to the bytes of content that it moved. */
  step(at: number): Promise<number>
  checkTimeouts(): void
  close(): void
}

async function runLanes(state: LoadState, lanes: Lane[]): Promise<Histogram> {
  const { spec, clock, result } = state
  const times = new Histogram()
  const progress = new Int32Array(spec.progress, spec.thread * 8, 2)
  const stop = new Int32Array(spec.progress, spec.progress.byteLength - 4, 1)
  let next = spec.start
  let failuresInARow = 0
  let succeededMs = clock.monotonicMs()
  const runLane = async (lane: Lane) => {
    while (next < spec.end && Atomics.load(stop, 0) === 0) {
      const at = next++
      const startedMs = clock.monotonicMs()
      try {
        const contentBytes = await lane.step(at)
        result.contentBytes += contentBytes
        succeededMs = clock.monotonicMs()
        times.add((succeededMs - startedMs) * 1_000)
        result.completed++
        failuresInARow = 0
      } catch (error) {
        const { message } = toStoreError(error)
        result.failed++
        countFailure(result.failures, message)
        const silentMs = clock.monotonicMs() - succeededMs
        if (++failuresInARow >= FAILURES_IN_A_ROW_MAX || silentMs > WITHOUT_SUCCESS_MS_MAX) {
          next = spec.end
          throw new StoreError('unavailable', `${failuresInARow} failures in a row, the last: ${message}`)
        }
        await clock.sleep(FAILURE_PAUSE_MS)
      }
      progress[0] = result.completed
      progress[1] = result.failed
    }
  }
  await Promise.all(lanes.map(runLane))
  assert(result.completed + result.failed === next - spec.start, 'every request has an end')
  return times
}

function countFailure(failures: Record<string, number>, message: string): void {
  // Ids differ from failure to failure; what remains is the kind.
  const kind = message.replace(/\d+,[0-9a-f]{9,24}/g, '<fid>').slice(0, 200)
  if (failures[kind] === undefined && Object.keys(failures).length >= MESSAGES_MAX) return
  failures[kind] = (failures[kind] ?? 0) + 1
}

/** Reads files of the table, chosen at random. */
class ReadLane implements Lane {
  readonly #state: LoadState
  readonly #connections = new Map<string, RawConnection>()
  readonly #places = new Map<number, { address: string; connection: RawConnection }>()

  constructor(state: LoadState) {
    this.#state = state
  }

  async step(): Promise<number> {
    const { fids, random, payload, spec } = this.#state
    const fid = fids.get(random.below(fids.length))
    const place = this.#places.get(fid.volumeId) ?? (await this.#locate(fid.volumeId))
    const text = formatFid(fid)
    const reply = await place.connection.send(`GET /${text} HTTP/1.1\r\nHost: ${place.address}\r\n\r\n`)
    if (reply.status !== 200) throw new StoreError('io_error', `read: status ${reply.status}`)
    if (spec.verify && !payload.matches(reply.body, fid)) {
      throw new StoreError('corrupt', `read: ${reply.body.length} bytes that are not those of the file`)
    }
    return reply.body.length
  }

  async #locate(volumeId: number): Promise<{ address: string; connection: RawConnection }> {
    const { client, spec, clock, random } = this.#state
    const locations = await client.lookup(volumeId)
    const address = locations[random.below(locations.length)]!.publicUrl
    let connection = this.#connections.get(address)
    if (connection === undefined) {
      connection = new RawConnection({
        address,
        clock,
        timeoutMs: spec.timeoutMs,
        bodyBytesMax: BODY_BYTES_MAX,
      })
      this.#connections.set(address, connection)
    }
    const place = { address, connection }
    this.#places.set(volumeId, place)
    return place
  }

  checkTimeouts(): void {
    for (const connection of this.#connections.values()) connection.checkTimeout()
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close()
  }
}

/** A reply above this is refused: no volume server gives a larger file in one piece. */
const BODY_BYTES_MAX = 1024 * 1024 * 1024
