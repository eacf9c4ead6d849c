/** Data servers of the hash store: one on a real store in this process, and as processes of their own; and bare connections. */
import { connect, type Socket } from 'node:net'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import type { ObjectStore } from '../../src/objects/object-store.ts'
import { HashstoreClient, type Source } from '../../src/protocols/hashstore/client.ts'
import { HashstoreCounters } from '../../src/protocols/hashstore/hashstore-counters.ts'
import { HashstoreServer, type HashstoreServerOptions } from '../../src/protocols/hashstore/server.ts'
import { WritesUnderWay } from '../../src/protocols/hashstore/writes-under-way.ts'
import { type FilerKit, startFiler, type TurnedClock } from '../filer/filer-kit.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'

export const WAIT_MS_MAX = 20_000

export interface HashstoreKit {
  port: number
  client: HashstoreClient
  objects: ObjectStore
  clock: TurnedClock
  counters: HashstoreCounters
  close(): Promise<void>
}

export async function startHashstore(options: Partial<HashstoreServerOptions> = {}): Promise<HashstoreKit> {
  const filer: FilerKit = await startFiler()
  const { objects, clock } = filer
  const counters = new HashstoreCounters(HashstoreCounters.share(1), 0)
  const server = new HashstoreServer({
    ...{ objects, clock, counters, log: silentLog, owner: 'root', namesOnly: false },
    writes: new WritesUnderWay(WritesUnderWay.share()),
    ...options,
  })
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  const client = new HashstoreClient({ host: '127.0.0.1', port }, { timeoutMs: WAIT_MS_MAX })
  return {
    ...{ port, client, objects, clock, counters },
    async close() {
      client.close()
      await server.close()
      await filer.close()
    },
  }
}

/** `cairn hashstore serve`, with one thread that serves. */
export async function startDataServer(dir: string, flags: readonly string[] = []): Promise<RoleProcess> {
  const usual = ['--dir', dir, '--workers', '1', '--ballast', '0']
  return await startRole('hashstore serve', await freePort(), [...usual, ...flags])
}

export const portOf = ({ address }: RoleProcess) => Number(address.split(':')[1])

export const bytesSource = (bytes: Buffer): Source => ({
  sizeBytes: bytes.length,
  async *pieces() {
    yield bytes
  },
})

/** Everything of a file of the extended protocol. */
export async function fetchWhole(client: HashstoreClient, path: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of (await client.get(Buffer.from(path))).pieces()) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}

/** A connection, byte by byte. */
export class Wire {
  readonly socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #end: 'orderly' | 'reset' | undefined
  #wake: (() => void) | undefined

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#wake?.()
    })
    this.socket.on('end', () => this.#ended('orderly'))
    this.socket.on('error', () => this.#ended('reset'))
    this.socket.on('close', () => this.#ended('reset'))
  }

  #ended(how: 'orderly' | 'reset'): void {
    this.#end ??= how
    this.#wake?.()
  }

  send(...bytes: (string | Uint8Array)[]): this {
    for (const each of bytes) this.socket.write(each)
    return this
  }

  /** So many bytes of the answer. */
  async take(sizeBytes: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= sizeBytes)
    const taken = this.#received.subarray(0, sizeBytes)
    this.#received = this.#received.subarray(sizeBytes)
    return taken
  }

  /** Waits for the server to close; gives what was not taken before, and how it closed. */
  async rest(): Promise<{ bytes: Buffer; end: 'orderly' | 'reset' }> {
    await this.#until(() => false)
    this.socket.destroy()
    return { bytes: this.#received, end: this.#end! }
  }

  /** Breaks the connection as a crash of the machine or a firewall does. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  async #until(holds: () => boolean): Promise<void> {
    const deadline = systemClock.monotonicMs() + WAIT_MS_MAX
    while (!holds() && this.#end === undefined) {
      if (systemClock.monotonicMs() > deadline) throw new Error('no answer in time')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        systemClock.after(1_000, resolve)
      })
    }
  }
}

const opening = (word: string, path: Buffer) => `${word},${String(path.length).padStart(4, '0')}`

/** As an old client that waits for the server to close, which says whether the file is stored. */
export async function writeOld(port: number, path: string | Buffer, bytes: Buffer): Promise<boolean> {
  const name = Buffer.from(path)
  const wire = new Wire(port).send(opening('WRITFILE', name))
  const isOk = (await wire.take(2)).toString() === 'OK'
  if (isOk) wire.send(name, bytes)
  wire.socket.end()
  return (await wire.rest()).end === 'orderly' && isOk
}

/** Undefined: the server closed before its `OK`, or not orderly. */
export async function fetchOld(port: number, path: string | Buffer): Promise<Buffer | undefined> {
  const name = Buffer.from(path)
  const wire = new Wire(port).send(opening('FETCFILE', name))
  const isOk = (await wire.take(2)).toString() === 'OK'
  if (isOk) wire.send(name)
  const { bytes, end } = await wire.rest()
  return isOk && end === 'orderly' ? bytes : undefined
}
