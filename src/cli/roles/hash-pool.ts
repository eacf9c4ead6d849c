/**
 * Digests on other threads: long bodies are hashed beside the thread that receives them, each digest of a body on a thread
 * of its own where there are enough. Bytes in shared memory go there without a copy.
 */
import type { MessagePort } from 'node:worker_threads'
import { type Hashing, type HashPool, InlineHashing } from '../../objects/digests.ts'
import type { DigestName, Digests } from '../../objects/object-store.ts'

/** `id` is the caller's, and new for each body. */
type HashCall =
  | { id: number; names: DigestName[] }
  | { id: number; bytes: Uint8Array }
  | { id: number; isLast: true; isWanted: boolean }

interface HashReply {
  id: number
  /** Bytes that were added since the last reply; or, at the end, the digests. */
  bytes?: number
  digests?: Partial<Record<DigestName, Uint8Array>>
}

/** Computes what comes in on a port, until it is closed. */
export function serveHashing(port: MessagePort): void {
  const running = new Map<number, InlineHashing>()
  port.on('message', (call: HashCall) => {
    const { id } = call
    if ('names' in call) {
      running.set(id, new InlineHashing(call.names))
      return
    }
    const hashing = running.get(id)!
    if ('bytes' in call) {
      const { buffer, byteOffset, length } = call.bytes
      hashing.update(Buffer.from(buffer, byteOffset, length))
      port.postMessage({ id, bytes: length } satisfies HashReply)
      return
    }
    running.delete(id)
    if (call.isWanted) port.postMessage({ id, digests: hashing.finish() } satisfies HashReply)
  })
}

export class ThreadHashPool implements HashPool {
  readonly isShared = true
  readonly #lanes: Lane[]
  #next = 0

  /** `ports`: to `serveHashing` in each of the hashing threads. */
  constructor(ports: readonly MessagePort[]) {
    this.#lanes = ports.map((port) => new Lane(port))
  }

  start(names: readonly DigestName[]): Hashing {
    const perLane = new Map<Lane, DigestName[]>()
    for (const name of new Set(names)) {
      const lane = this.#lanes[this.#next++ % this.#lanes.length]!
      perLane.set(lane, [...(perLane.get(lane) ?? []), name])
    }
    return new ThreadHashing([...perLane].map(([lane, asked]) => lane.start(asked)))
  }
}

/** One body on all its lanes. */
class ThreadHashing implements Hashing {
  readonly #parts: LaneHashing[]

  constructor(parts: LaneHashing[]) {
    this.#parts = parts
  }

  async update(bytes: Buffer): Promise<void> {
    // What is not shared would be cloned with all the memory around it.
    const isShared = bytes.buffer instanceof SharedArrayBuffer
    await Promise.all(this.#parts.map((part) => part.update(isShared ? bytes : new Uint8Array(bytes))))
  }

  async finish(): Promise<Digests> {
    const digests: Digests = {}
    for (const part of await Promise.all(this.#parts.map((each) => each.finish())))
      for (const [name, { buffer, byteOffset, length }] of Object.entries(part))
        digests[name as DigestName] = Buffer.from(buffer, byteOffset, length)
    return digests
  }

  abandon(): void {
    for (const part of this.#parts) part.abandon()
  }
}

/** The way to one hashing thread. */
class Lane {
  readonly #port: MessagePort
  readonly #running = new Map<number, LaneHashing>()
  #nextId = 1

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (reply: HashReply) => this.#running.get(reply.id)?.settle(reply))
    port.unref()
  }

  start(names: DigestName[]): LaneHashing {
    const id = this.#nextId++
    this.post({ id, names })
    const hashing = new LaneHashing(this, id)
    this.#running.set(id, hashing)
    return hashing
  }

  post(call: HashCall): void {
    const own = 'bytes' in call && !(call.bytes.buffer instanceof SharedArrayBuffer)
    this.#port.postMessage(call, own ? [call.bytes.buffer as ArrayBuffer] : [])
  }

  end(id: number): void {
    this.#running.delete(id)
  }
}

/** The digests of one body that one thread computes. */
class LaneHashing {
  readonly #lane: Lane
  readonly #id: number
  /** In the order in which they were sent, which is that of the replies. */
  readonly #updates: (() => void)[] = []
  #finished: PromiseWithResolvers<NonNullable<HashReply['digests']>> | undefined
  #ended = false

  constructor(lane: Lane, id: number) {
    this.#lane = lane
    this.#id = id
  }

  update(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#updates.push(resolve)
      this.#lane.post({ id: this.#id, bytes })
    })
  }

  finish(): Promise<NonNullable<HashReply['digests']>> {
    this.#finished = Promise.withResolvers()
    this.#ended = true
    this.#lane.post({ id: this.#id, isLast: true, isWanted: true })
    return this.#finished.promise
  }

  abandon(): void {
    if (this.#ended) return
    this.#ended = true
    this.#lane.post({ id: this.#id, isLast: true, isWanted: false })
    // Updates that are under way still use the caller's memory, and say when they are done.
    if (this.#updates.length === 0) this.#lane.end(this.#id)
  }

  settle(reply: HashReply): void {
    if (reply.digests !== undefined) {
      this.#lane.end(this.#id)
      this.#finished?.resolve(reply.digests)
      return
    }
    this.#updates.shift()?.()
    if (this.#ended && this.#finished === undefined && this.#updates.length === 0) this.#lane.end(this.#id)
  }
}
