/** Files as copies on memcached, without the door; and networks between, which keep what is sent. */
import { connect, createServer, type Socket } from 'node:net'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { MEMCACHED_CLIENT_BYTES_MAX } from '../../src/base/limits.ts'
import { createLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { MemcachedClient } from '../../src/net/memcached-client.ts'
import { CopiedFiles } from '../../src/protocols/sfss/copied-files.ts'
import { decodeFileRecord, type FileRecord } from '../../src/protocols/sfss/file-record.ts'
import { NodeCounters } from '../../src/protocols/sfss/node-counters.ts'
import { VersionClock } from '../../src/protocols/sfss/version-clock.ts'
import { keyOf, type Node } from './nodes-kit.ts'

const TIMEOUT_MS = 1_000
const log = createLog({ level: 'error', format: 'json', write: () => {} })

export interface Files {
  files: CopiedFiles
  clients: MemcachedClient[]
  /** Stores a text. */
  put(path: string, text: string | Buffer): Promise<void>
  /** The text that is there. */
  get(path: string): Promise<string>
  close(): void
}

/** As in a process of its own, with three copies. */
export function openFiles(ports: readonly number[], clock: Clock = systemClock): Files {
  const random = systemRandom
  const counters = NodeCounters.share(1, ports.length)
  const nodes = ports.map((port, at) => ({
    client: new MemcachedClient({
      ...{ host: '127.0.0.1', port, clock, random },
      ...{ timeoutMs: TIMEOUT_MS, valueBytesMax: MEMCACHED_CLIENT_BYTES_MAX },
    }),
    counters: new NodeCounters(counters, at),
  }))
  const versions = new SharedArrayBuffer(VersionClock.BYTES)
  const files = new CopiedFiles({ nodes, copies: 3, versions, clock, random, log })
  const clients = nodes.map(({ client }) => client)
  return {
    ...{ files, clients },
    put: (path, text) => files.put(path, Buffer.from(text), undefined),
    async get(path) {
      const file = await files.find(path)
      return (file.read(0, file.sizeBytes) as Buffer).toString()
    },
    close: () => {
      files.close()
      for (const client of clients) client.close()
    },
  }
}

/** What a node has for a path, as it is stored. */
export async function valueAt(node: Node, path: string): Promise<Buffer | undefined> {
  const answer = await node.ask(`get ${keyOf(path)}\r\n`)
  if (!answer.toString('latin1').startsWith('VALUE')) return undefined
  return answer.subarray(answer.indexOf('\r\n') + 2, answer.lastIndexOf('\r\nEND'))
}

export async function recordAt(node: Node, path: string): Promise<FileRecord | undefined> {
  const value = await valueAt(node, path)
  return value && decodeFileRecord(value, path)
}

export async function storeAt(node: Node, path: string, value: Buffer): Promise<void> {
  await node.ask(`set ${keyOf(path)} 0 0 ${value.length}\r\n`, value, '\r\n')
}

/** A network to a node. What it holds arrives when it is released, also after who sent it has gone. */
export class Network {
  readonly port: number
  readonly #close: () => void
  /** What came and was not passed on. */
  readonly held: (() => void)[] = []
  /** Bytes that the node sent since. */
  answered = 0
  /** Whether these bytes stay here; all that come later on the same connection do, too. */
  holds: (bytes: Buffer) => boolean = () => false

  private constructor(port: number, close: () => void) {
    this.port = port
    this.#close = close
  }

  static async to(node: Node): Promise<Network> {
    const sockets = new Set<Socket>()
    let network: Network
    const server = createServer((near) => {
      const far = connect(node.port, '127.0.0.1')
      let isHeld = false
      for (const each of [near, far]) {
        sockets.add(each.on('error', () => {}))
        each.once('close', () => sockets.delete(each))
      }
      near.on('data', (bytes: Buffer) => {
        isHeld ||= network.holds(bytes)
        if (isHeld) network.held.push(() => far.write(bytes))
        else far.write(bytes)
      })
      near.once('close', () => {
        if (!isHeld) far.destroy()
      })
      far.on('data', (bytes: Buffer) => {
        network.answered += bytes.length
        near.write(bytes)
      })
      far.once('close', () => near.destroy())
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    network = new Network(port, () => {
      server.close()
      for (const each of sockets) each.destroy()
    })
    return network
  }

  /** From now on nothing is held of what comes on new connections. */
  release(): void {
    this.holds = () => false
    this.answered = 0
    for (const send of this.held.splice(0)) send()
  }

  close(): void {
    this.#close()
  }
}

/** Commands that store something. */
export const stores = (bytes: Buffer) => /^(set|add|cas) /.test(bytes.toString('latin1', 0, 4))
