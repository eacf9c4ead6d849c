/**
 * The benchmark of an S3 server, this one or any other: puts so many objects and gets random ones of them, with signed
 * requests over the network alone. The objects are named by their number, so that a later run can read them again.
 */
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import { Histogram } from '../base/histogram.ts'
import type { Random } from '../base/random.ts'
import { SignerV4, type SigningKey } from '../iam/sign.ts'
import { Payload } from './payload.ts'
import { type ProgressOutput, startProgress } from './progress.ts'
import { RawConnection, type RawReply } from './raw-connection.ts'
import type { PhaseFigures } from './report.ts'

export interface S3BenchmarkOptions {
  /** `host:port`, plain HTTP. */
  address: string
  key: SigningKey
  region: string
  /** It is made where it is not there. */
  bucket: string
  requests: number
  sizeBytes: number
  concurrency: number
  write: boolean
  read: boolean
  /** Compare what is read with what was written. */
  verify: boolean
  timeoutMs: number
}

export interface S3BenchmarkParts {
  clock: Clock
  random: Random
  progress: ProgressOutput
  /** Ends the benchmark early: what is in flight is finished and counted. */
  signal?: AbortSignal
  /** Called with each phase's figures as soon as it is over. */
  onPhase: (figures: PhaseFigures) => void
}

/** Bodies above this are sent without their digest, as clients do, so that hashing them is not what is measured. */
const SIGNED_BODY_BYTES_MAX = 64 * 1024
const UNSIGNED = 'UNSIGNED-PAYLOAD'
const BODY_BYTES_MAX = 1024 * 1024 * 1024
const FAILURES_IN_A_ROW_MAX = 1_000
const FAILURE_PAUSE_MS = 20
const CHECK_MS = 1_000
/** Different messages that a result keeps. */
const MESSAGES_MAX = 20

/** Throws `bad_request` for options that do not fit together, and `unavailable` when the server is gone. */
export async function runS3Benchmark(
  options: S3BenchmarkOptions,
  parts: S3BenchmarkParts,
): Promise<PhaseFigures[]> {
  for (const name of ['requests', 'sizeBytes', 'concurrency'] as const)
    if (!(Number.isSafeInteger(options[name]) && options[name] >= 1))
      throw new StoreError('bad_request', `${name} must be at least 1`)
  const benchmark = new S3Benchmark(options, parts)
  try {
    await benchmark.makeBucket()
    const phases: PhaseFigures[] = []
    if (options.write) phases.push(await benchmark.run('write'))
    if (options.read && parts.signal?.aborted !== true) phases.push(await benchmark.run('read'))
    return phases
  } finally {
    benchmark.close()
  }
}

class S3Benchmark {
  readonly #options: S3BenchmarkOptions
  readonly #parts: S3BenchmarkParts
  readonly #signer: SignerV4
  readonly #payload: Payload
  readonly #lanes: RawConnection[]
  /** Objects that may be read. */
  #written: number

  constructor(options: S3BenchmarkOptions, parts: S3BenchmarkParts) {
    this.#options = options
    this.#parts = parts
    this.#signer = new SignerV4({ ...options.key, region: options.region })
    this.#payload = new Payload(options.sizeBytes)
    this.#written = options.requests
    const { address, timeoutMs } = options
    const connection = { address, timeoutMs, clock: parts.clock, bodyBytesMax: BODY_BYTES_MAX }
    this.#lanes = Array.from({ length: options.concurrency }, () => new RawConnection(connection))
  }

  async makeBucket(): Promise<void> {
    const request = this.#request('PUT', `/${this.#options.bucket}`, undefined)
    const reply = await this.#lanes[0]!.send(request)
    // 409: it is there already.
    if (reply.status !== 200 && reply.status !== 409)
      throw new StoreError('unavailable', `the bucket: ${describe(reply)}`)
  }

  async run(phase: 'write' | 'read'): Promise<PhaseFigures> {
    const { clock, progress, signal, onPhase } = this.#parts
    const { requests, concurrency } = this.#options
    const figures: PhaseFigures = {
      title: phase === 'write' ? 'S3 PUT' : 'S3 GET, random',
      concurrency,
      ...{ elapsedMs: 0, completed: 0, failed: 0, deleted: 0, contentBytes: 0 },
      times: new Histogram(),
      failures: {},
    }
    const stopProgress = startProgress({
      ...{ output: progress, clock, total: requests, label: phase === 'write' ? 'writing' : 'reading' },
      state: () => ({ done: figures.completed, failed: figures.failed }),
    })
    const stopChecks = clock.every(CHECK_MS, () => {
      for (const lane of this.#lanes) lane.checkTimeout()
    })
    const startedMs = clock.monotonicMs()
    let next = 0
    try {
      await Promise.all(
        this.#lanes.map(async (lane) => {
          while (next < requests && signal?.aborted !== true) await this.#step(phase, lane, next++, figures)
        }),
      )
    } finally {
      stopChecks()
      stopProgress()
    }
    figures.elapsedMs = clock.monotonicMs() - startedMs
    if (phase === 'write') this.#written = next
    onPhase(figures)
    return figures
  }

  /** One request, counted. Throws `unavailable` when nothing has worked for long. */
  async #step(
    phase: 'write' | 'read',
    lane: RawConnection,
    at: number,
    figures: PhaseFigures,
  ): Promise<void> {
    const { clock, random } = this.#parts
    const number = phase === 'write' ? at : random.below(this.#written)
    const request = phase === 'write' ? this.#putOf(number) : this.#request('GET', this.#pathOf(number))
    const startedMs = clock.monotonicMs()
    try {
      const reply = await lane.send(request)
      if (reply.status !== 200) throw new StoreError('io_error', `${phase}: ${describe(reply)}`)
      figures.times.add((clock.monotonicMs() - startedMs) * 1_000)
      if (phase === 'read' && this.#options.verify && !this.#payload.matches(reply.body, stampOf(number)))
        throw new StoreError('corrupt', `read: ${reply.body.length} bytes that are not those of the object`)
      figures.completed++
      figures.contentBytes += phase === 'write' ? this.#options.sizeBytes : reply.body.length
      this.#failuresInARow = 0
    } catch (error) {
      const { message } = toStoreError(error)
      figures.failed++
      if (figures.failures[message] !== undefined || Object.keys(figures.failures).length < MESSAGES_MAX)
        figures.failures[message] = (figures.failures[message] ?? 0) + 1
      if (++this.#failuresInARow >= FAILURES_IN_A_ROW_MAX)
        throw new StoreError('unavailable', `too many failures in a row, the last: ${message}`)
      await clock.sleep(FAILURE_PAUSE_MS)
    }
  }

  #failuresInARow = 0

  #pathOf(number: number): string {
    return `/${this.#options.bucket}/cairn-benchmark/${number.toString(16).padStart(8, '0')}`
  }

  #putOf(number: number): Buffer {
    const { sizeBytes } = this.#options
    const body = Buffer.allocUnsafe(sizeBytes)
    this.#payload.copyTo(body, 0)
    this.#payload.stamp(body, 0, stampOf(number))
    return this.#request('PUT', this.#pathOf(number), body)
  }

  #request(method: string, path: string, body?: Buffer): Buffer {
    const signed = this.#signer.sign(
      {
        ...{ method, path, host: this.#options.address },
        ...(body === undefined ? {} : { body }),
        ...(body !== undefined && body.length > SIGNED_BODY_BYTES_MAX ? { payload: UNSIGNED } : {}),
      },
      this.#parts.clock.nowMs(),
    )
    const lines = signed.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const length = method === 'PUT' ? `Content-Length: ${body?.length ?? 0}\r\n` : ''
    const head = Buffer.from(`${method} ${signed.target} HTTP/1.1\r\n${lines}${length}\r\n`, 'latin1')
    return body === undefined ? head : Buffer.concat([head, body])
  }

  close(): void {
    for (const lane of this.#lanes) lane.close()
  }
}

/** What the content of an object begins with. */
const stampOf = (number: number): Fid => ({ volumeId: 0, keyHigh: 0, keyLow: number, cookie: 0 })

function describe(reply: RawReply): string {
  return `status ${reply.status} ${reply.body.toString('utf8', 0, 200)}`.trim()
}
