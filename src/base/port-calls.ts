/** Calls between threads over a MessagePort: each has a number, and its reply carries a result or a StoreError. */
import type { MessagePort } from 'node:worker_threads'
import { type ErrorCode, StoreError, toStoreError } from './errors.ts'

/** What a thread offers to others: named asynchronous functions of values that can be cloned. */
// biome-ignore lint/suspicious/noExplicitAny: each offer has its own types; the caller's side names them again.
export type Offer = Record<string, (...parameters: any[]) => Promise<unknown>>

interface Call {
  id: number
  name: string
  parameters: unknown[]
}

interface Reply {
  id: number
  result?: unknown
  failure?: { code: ErrorCode; message: string }
}

/** Answers the calls that come in on `port` until it is closed. */
export function offerCalls(port: MessagePort, offer: Offer): void {
  port.on('message', async ({ id, name, parameters }: Call) => {
    let reply: Reply
    try {
      const run = Object.hasOwn(offer, name) ? offer[name] : undefined
      if (run === undefined) throw new StoreError('internal', `no call named ${name}`)
      reply = { id, result: await run(...parameters) }
    } catch (error) {
      const { code, message } = toStoreError(error)
      reply = { id, failure: { code, message } }
    }
    port.postMessage(reply)
  })
}

/** The other side: `call` rejects with the StoreError that was thrown there. Does not keep the process alive by itself. */
export class PortCaller {
  readonly #port: MessagePort
  readonly #waiting = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: StoreError) => void }
  >()
  #nextId = 1

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (reply: Reply) => this.#settle(reply))
    port.on('close', () => this.#abandon())
    port.unref()
  }

  call<T>(name: string, ...parameters: unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject })
      this.#port.ref()
      this.#port.postMessage({ id, name, parameters } satisfies Call)
    })
  }

  #settle({ id, result, failure }: Reply): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#port.unref()
    if (failure === undefined) waiting?.resolve(result)
    else waiting?.reject(new StoreError(failure.code, failure.message))
  }

  #abandon(): void {
    for (const { reject } of this.#waiting.values())
      reject(new StoreError('unavailable', 'the other thread ended'))
    this.#waiting.clear()
  }
}
