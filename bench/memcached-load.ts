/**
 * One process of load on a server of memcached's protocol: `{host, port, kind, connections, depth, seconds, …}` as JSON comes in
 * the only argument, the figures go out as JSON. Requests are made before and answers have known lengths, so that a
 * connection only counts bytes, and looks at how each batch ends: the server is to be the limit, not this.
 */
import net from 'node:net'

export interface LoadRequest {
  host: string
  port: number
  kind: 'get' | 'set'
  connections: number
  /** Requests that a connection sends at a time; it waits for all of their answers. */
  depth: number
  seconds: number
  /** Keys are `keyOf(0)` up to here; a `get` needs them all to be there. */
  keys: number
  sizeBytes: number
}

export interface LoadFigures {
  requests: number
  seconds: number
  /** Of a batch. */
  p99Ms: number
}

/** All keys have one length, and so have all answers. */
export const keyOf = (at: number) => `bench-${String(at).padStart(10, '0')}`

export const setCommand = (key: string, value: string) => `set ${key} 0 0 ${value.length}\r\n${value}\r\n`

/** Batches that are made before: more than the server's processor keeps near. */
const BATCHES_BYTES = 64 * 1024 * 1024
const BATCHES_MIN = 16
const BATCHES_MAX = 4_096
const STORED = 'STORED\r\n'
const END = '\r\nEND\r\n'
const READ_BYTES = 256 * 1024
/** A server that says nothing for so long is a failure. */
const SILENT_MS_MAX = 10_000

class Lane {
  readonly #socket: net.Socket
  readonly #batches: readonly Buffer[]
  readonly #answerBytes: number
  readonly #ending: Buffer
  readonly times: number[] = []
  batchCount = 0
  #received = 0
  #sentAt = 0
  #next: number
  isStopping = false
  readonly done: Promise<void>

  constructor(request: LoadRequest, batches: readonly Buffer[], lane: number) {
    const { kind, depth, sizeBytes, host, port } = request
    this.#batches = batches
    this.#next = (lane * 997) % batches.length
    const value = `VALUE ${keyOf(0)} 0 ${sizeBytes}\r\n`.length + sizeBytes + END.length
    this.#answerBytes = depth * (kind === 'get' ? value : STORED.length)
    this.#ending = Buffer.from(kind === 'get' ? END : STORED)
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const onread = { buffer, callback: (count: number) => this.#take(buffer, count) }
    this.#socket = net.connect({ host, port, noDelay: true, onread })
    this.#socket.setTimeout(SILENT_MS_MAX, () => this.#socket.destroy(new Error('the server is silent')))
    this.done = new Promise((resolve, reject) => {
      this.#socket.once('error', reject)
      this.#socket.once('close', () => {
        if (this.isStopping) resolve()
        else reject(new Error('the server closed a connection'))
      })
    })
    this.#socket.once('connect', () => this.#send())
  }

  #send(): void {
    this.#sentAt = performance.now()
    this.#next = (this.#next + 1) % this.#batches.length
    this.#socket.write(this.#batches[this.#next]!)
  }

  #take(buffer: Buffer, count: number): boolean {
    this.#received += count
    if (this.#received < this.#answerBytes) return true
    const ending = this.#ending
    const isWhole = this.#received === this.#answerBytes && count >= ending.length
    if (!isWhole || ending.compare(buffer, count - ending.length, count) !== 0) {
      const end = buffer.toString('latin1', Math.max(0, count - 200), count)
      this.#socket.destroy(new Error(`not the expected answer, but …${end}`))
      return false
    }
    this.#received = 0
    this.batchCount++
    this.times.push(performance.now() - this.#sentAt)
    if (this.isStopping) this.#socket.destroy()
    else this.#send()
    return true
  }
}

function batchesOf({ kind, depth, keys, sizeBytes }: LoadRequest): Buffer[] {
  const each = depth * (kind === 'get' ? 30 : sizeBytes + 50)
  const count = Math.min(BATCHES_MAX, Math.max(BATCHES_MIN, Math.floor(BATCHES_BYTES / each)))
  const value = Buffer.alloc(sizeBytes, 'cairn bench ').toString('latin1')
  return Array.from({ length: count }, () => {
    const requests = Array.from({ length: depth }, () => {
      const key = keyOf(Math.floor(Math.random() * keys))
      return kind === 'get' ? `get ${key}\r\n` : setCommand(key, value)
    })
    return Buffer.from(requests.join(''), 'latin1')
  })
}

async function run(request: LoadRequest): Promise<LoadFigures> {
  const batches = batchesOf(request)
  const startedMs = performance.now()
  const lanes = Array.from({ length: request.connections }, (_, lane) => new Lane(request, batches, lane))
  setTimeout(() => {
    for (const lane of lanes) lane.isStopping = true
  }, request.seconds * 1_000)
  await Promise.all(lanes.map(({ done }) => done))
  const seconds = (performance.now() - startedMs) / 1_000
  const times = lanes.flatMap((lane) => lane.times).sort((a, b) => a - b)
  const requests = lanes.reduce((sum, lane) => sum + lane.batchCount, 0) * request.depth
  return { requests, seconds, p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN }
}

if (import.meta.main) {
  const figures = await run(JSON.parse(process.argv[2]!) as LoadRequest)
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}
