/** The worker threads of a role: started with a port to call them by, and ended together. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { PortCaller } from '../../base/port-calls.ts'
import type { Context } from '../command.ts'
import type { HostPort } from './doors.ts'

/** What a thread is started with: cloneable data, and the ports in it that move there. */
export interface ThreadStart {
  data: object
  ports: MessagePort[]
}

/**
 * Memory for what a thread has just made, in MiB: three times what it makes before the collector looks for what of that is still
 * used. By default it grows to 60 MiB and more in each thread that was busy once, and stays so.
 */
const YOUNG_MIB = 24
const YOUNG_MIB_BEHIND = 6

export class Threads {
  readonly #context: Context
  readonly #workers: Worker[] = []
  #stopping = false

  constructor(context: Context) {
    this.#context = context
  }

  /** Runs the script of `url`; `startWith` is given the thread's end of the port by which it is called. */
  start(url: URL, startWith: (control: MessagePort) => ThreadStart): PortCaller {
    return this.#start(url, startWith, YOUNG_MIB)
  }

  /** The same for a thread that answers nobody's requests by itself: it gets along with less memory. */
  startBehind(url: URL, startWith: (control: MessagePort) => ThreadStart): PortCaller {
    return this.#start(url, startWith, YOUNG_MIB_BEHIND)
  }

  #start(
    url: URL,
    startWith: (control: MessagePort) => ThreadStart,
    maxYoungGenerationSizeMb: number,
  ): PortCaller {
    const { port1, port2 } = new MessageChannel()
    const { data, ports } = startWith(port2)
    const worker = new Worker(url, {
      workerData: data,
      transferList: [port2, ...ports],
      trackUnmanagedFds: false,
      resourceLimits: { maxYoungGenerationSizeMb },
    })
    worker.on('error', (error) => this.#died(error))
    worker.on('exit', () => this.#died(new Error('a thread ended')))
    this.#workers.push(worker)
    return new PortCaller(port1)
  }

  /** A thread that dies may have held a lock or half an append: the process goes with it, and the next start recovers. */
  #died(error: unknown): void {
    if (this.#stopping) return
    this.#context.log.error({ error }, 'a thread died: the process ends')
    process.exit(1)
  }

  /** Ends all; what they had to finish was asked of them before. */
  async end(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }
}

/** All threads listen on one port, which the system chooses where none is given. */
export async function listenOnAll(
  servers: readonly PortCaller[],
  door: string,
  { host, port: wanted }: HostPort,
): Promise<number> {
  let port = wanted
  for (const server of servers) port = await server.call<number>('listen', door, { host, port })
  return port
}
