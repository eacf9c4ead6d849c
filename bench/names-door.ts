/**
 * The same names through the filer: a server on each set of metadata, asked in turns. What counts is the server's processor time
 * for a request, as clients and servers share the machine here.
 */
import http from 'node:http'
import { join } from 'node:path'
import { systemRandom } from '../src/base/random.ts'
import { type CairnServer, startCairn } from './cairn-process.ts'
import { processorSeconds } from './processes.ts'

const ROUNDS = 7
const CONNECTIONS = 16
const REQUESTS = 3_000
const BODY = Buffer.alloc(1024, 1)

export const DOOR_KINDS = ['PUT of 1 KiB', 'GET of one of those', 'HEAD of any'] as const
export type DoorKind = (typeof DOOR_KINDS)[number]

export interface DoorSet {
  /** Where the metadata are. */
  directory: string
  /** Names from 0 on; those that are put here are counted too. */
  count: number
  keyOf(number: number): Buffer
}

export interface DoorTimes {
  set: DoorSet
  /** Microseconds of the server's processor, of each round. */
  times: Map<DoorKind, number[]>
}

/** `bucket`: of the names. Servers keep their volumes below `directory`. */
export async function askThroughFiler(
  sets: readonly DoorSet[],
  { bucket, directory }: { bucket: string; directory: string },
): Promise<DoorTimes[]> {
  const doors: Door[] = []
  try {
    for (const set of sets) {
      const flags = ['--metadata', set.directory, '--filer-buckets', '--no-journal']
      const server = await startCairn({ directory: join(directory, `door-${set.count}`), flags })
      doors.push(new Door(server, set, `/buckets/${bucket}/`))
    }
    for (let round = 0; round <= ROUNDS; round++) {
      // The first round warms up.
      if (round === 1) for (const { times } of doors) for (const list of times.values()) list.length = 0
      for (const door of doors) await door.round()
    }
    return doors
  } finally {
    for (const door of doors) await door.close()
  }
}

class Door implements DoorTimes {
  readonly set: DoorSet
  readonly times = new Map<DoorKind, number[]>(DOOR_KINDS.map((kind) => [kind, []]))
  readonly #server: CairnServer
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  readonly #path: string
  readonly #first: number

  constructor(server: CairnServer, set: DoorSet, path: string) {
    this.#server = server
    this.set = set
    this.#path = path
    this.#first = set.count
  }

  async round(): Promise<void> {
    const { set } = this
    await this.#timed('PUT of 1 KiB', REQUESTS, () => this.#ask('PUT', this.#pathOf(set.count++)))
    const added = () => this.#first + systemRandom.below(set.count - this.#first)
    await this.#timed('GET of one of those', REQUESTS, () => this.#ask('GET', this.#pathOf(added())))
    const any = () => systemRandom.below(set.count)
    await this.#timed('HEAD of any', REQUESTS, () => this.#ask('HEAD', this.#pathOf(any())))
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    await this.#server.stop()
  }

  #pathOf(number: number): string {
    return this.#path + this.set.keyOf(number)
  }

  async #timed(kind: DoorKind, count: number, ask: () => Promise<void>): Promise<void> {
    const before = processorSeconds(this.#server.pid)
    let begun = 0
    const lane = async () => {
      while (begun++ < count) await ask()
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, lane))
    this.times.get(kind)!.push(((processorSeconds(this.#server.pid) - before) * 1e6) / count)
  }

  #ask(method: string, path: string): Promise<void> {
    const url = this.#server.filerUrl + path
    const headers = method === 'PUT' ? { 'Content-Length': BODY.length } : {}
    return new Promise((resolve, reject) => {
      const options = { agent: this.#agent, method, headers }
      const request = http.request(url, options, (reply) => {
        reply.resume()
        reply.once('end', () =>
          reply.statusCode! < 300 ? resolve() : reject(new Error(`${method} ${url}: ${reply.statusCode}`)),
        )
      })
      request.once('error', reject)
      request.end(method === 'PUT' ? BODY : undefined)
    })
  }
}
