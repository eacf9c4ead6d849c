/** Writes benchmark files: an id from the master, then the file as a form to the volume server it names. */
import { StoreError } from '../base/errors.ts'
import { type Fid, formatFid, parseFid } from '../base/fid.ts'
import type { LoadState } from './load-state.ts'
import { headerOf, RawConnection, type RawReply } from './raw-connection.ts'

const BOUNDARY = 'cairn-benchmark-f0e1d2c3b4a5'
const FORM_START = Buffer.from(
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="b"\r\n` +
    'Content-Type: application/octet-stream\r\n\r\n',
)
const FORM_END = Buffer.from(`\r\n--${BOUNDARY}--\r\n`)
/** Room before the form for the request's head, which has another length for each id. */
const HEAD_BYTES_MAX = 4096
const REPLY_BYTES_MAX = 1024 * 1024
/** A master that is making volumes asks to come again. */
const ASSIGN_ATTEMPTS_MAX = 30
const ASSIGN_PAUSE_MS = 200

/** Ids that a master gave out together and that are not used up. */
interface Batch {
  fid: Fid
  address: string
  left: number
  authorization: string | undefined
}

export class WriteLane {
  readonly #state: LoadState
  readonly #connections = new Map<string, RawConnection>()
  readonly #assignRequests: { address: string; request: string }[]
  readonly #headRest: string
  readonly #request: Buffer
  #batch: Batch | undefined
  #master = 0

  constructor(state: LoadState) {
    this.#state = state
    const { spec, payload } = state
    const query = new URLSearchParams({ count: String(spec.assignBatch) })
    for (const [name, value] of Object.entries(spec.assign)) if (value) query.set(name, value)
    this.#assignRequests = spec.masters.map((address) => ({
      address,
      request: `GET /dir/assign?${query} HTTP/1.1\r\nHost: ${address}\r\n\r\n`,
    }))
    const formBytes = FORM_START.length + payload.sizeBytes + FORM_END.length
    this.#headRest = `\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: ${formBytes}\r\n\r\n`
    this.#request = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX + formBytes)
    FORM_START.copy(this.#request, HEAD_BYTES_MAX)
    payload.copyTo(this.#request, HEAD_BYTES_MAX + FORM_START.length)
    FORM_END.copy(this.#request, HEAD_BYTES_MAX + FORM_START.length + payload.sizeBytes)
  }

  async step(at: number): Promise<number> {
    const { spec, random, result, fids, payload } = this.#state
    const batch = this.#batch ?? (await this.#assign())
    const fid = batch.fid
    this.#batch = batch.left > 1 ? { ...batch, left: batch.left - 1, fid: nextFid(fid) } : undefined
    const reply = await this.#connection(batch.address).send(this.#writeRequest(fid, batch))
    // 204 would mean that these bytes were there already, which no fresh id can have.
    if (reply.status !== 201) throw new StoreError('io_error', `write: ${describe(reply)}`)
    if (spec.deletePercent > 0 && random.below(10_000) < spec.deletePercent * 100) {
      await this.#delete(fid, batch)
      result.deleted++
    } else {
      fids.set(at, fid)
    }
    return payload.sizeBytes
  }

  #writeRequest(fid: Fid, batch: Batch): Buffer {
    this.#state.payload.stamp(this.#request, HEAD_BYTES_MAX + FORM_START.length, fid)
    const { ttl } = this.#state.spec.assign
    const query = ttl ? `?ttl=${encodeURIComponent(ttl)}` : ''
    const credentials = batch.authorization === undefined ? '' : `\r\nAuthorization: ${batch.authorization}`
    const head = `POST /${formatFid(fid)}${query} HTTP/1.1\r\nHost: ${batch.address}${credentials}${this.#headRest}`
    if (head.length > HEAD_BYTES_MAX) throw new StoreError('too_large', 'the request head is too long')
    const start = HEAD_BYTES_MAX - head.length
    this.#request.write(head, start, 'latin1')
    return this.#request.subarray(start)
  }

  async #delete(fid: Fid, batch: Batch): Promise<void> {
    const credentials = batch.authorization === undefined ? '' : `\r\nAuthorization: ${batch.authorization}`
    const reply = await this.#connection(batch.address).send(
      `DELETE /${formatFid(fid)} HTTP/1.1\r\nHost: ${batch.address}${credentials}\r\n\r\n`,
    )
    if (reply.status !== 202) throw new StoreError('io_error', `delete: ${describe(reply)}`)
  }

  async #assign(): Promise<Batch> {
    for (let attempt = 1; ; attempt++) {
      const { address, request } = this.#assignRequests[this.#master]!
      let problem: StoreError
      try {
        const reply = await this.#connection(address).send(request)
        if (reply.status === 200) return toBatch(reply)
        problem = new StoreError('io_error', `assign: ${describe(reply)}`)
        if (reply.status !== 503) throw problem
      } catch (error) {
        if (
          !(error instanceof StoreError) ||
          error.code !== 'unavailable' ||
          this.#assignRequests.length === 1
        )
          throw error
        problem = error
      }
      if (attempt >= ASSIGN_ATTEMPTS_MAX) throw problem
      this.#master = (this.#master + 1) % this.#assignRequests.length
      await this.#state.clock.sleep(ASSIGN_PAUSE_MS)
    }
  }

  #connection(address: string): RawConnection {
    let connection = this.#connections.get(address)
    if (connection === undefined) {
      const { clock, spec } = this.#state
      connection = new RawConnection({
        address,
        clock,
        timeoutMs: spec.timeoutMs,
        bodyBytesMax: REPLY_BYTES_MAX,
      })
      this.#connections.set(address, connection)
    }
    return connection
  }

  checkTimeouts(): void {
    for (const connection of this.#connections.values()) connection.checkTimeout()
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close()
  }
}

function toBatch(reply: RawReply): Batch {
  const json = JSON.parse(reply.body.toString('utf8')) as Record<string, unknown>
  const { fid, url, publicUrl, count } = json
  if (typeof fid !== 'string' || typeof url !== 'string') {
    throw new StoreError('io_error', `assign: ${describe(reply)}`)
  }
  return {
    fid: parseFid(fid),
    address: typeof publicUrl === 'string' && publicUrl !== '' ? publicUrl : url,
    left: typeof count === 'number' ? count : 1,
    authorization: headerOf(reply, 'authorization'),
  }
}

function nextFid(fid: Fid): Fid {
  if (fid.keyLow < 0xffffffff) return { ...fid, keyLow: fid.keyLow + 1 }
  return { ...fid, keyHigh: fid.keyHigh + 1, keyLow: 0 }
}

function describe(reply: RawReply): string {
  return `status ${reply.status} ${reply.body.toString('utf8', 0, Math.min(200, reply.body.length))}`.trim()
}
