/** Servers of memcached's protocol as processes, Cairn's and Debian's, that tests stop, kill and start again at the same ports. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasProgram } from '../../script/packages.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'

const WAIT_MS_MAX = 20_000

export const noMemcached = hasProgram('memcached') ? false : 'memcached is not installed'

export interface Node {
  port: number
  address: string
  start(): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
  /** Sends commands, and gives what comes back until the connection has ended. */
  ask(...sent: (string | Buffer)[]): Promise<Buffer>
}

/** A node with a directory of its own, started. */
export async function cairnNode(directory: string, flags: string[] = []): Promise<Node> {
  const port = await freePort()
  let role: Awaited<ReturnType<typeof startRole>>
  const node = nodeAt(port, {
    async start() {
      const small = ['--ballast', '0', '--scrub-rate', '0']
      role = await startRole('memcached', port, ['--data', directory, ...small, ...flags])
    },
    kill: () => role.kill(),
    signal: (name) => void role.child.kill(name),
  })
  await node.start()
  return node
}

/** Debian's, started: what it has is gone with it. */
export async function debianNode(flags: string[] = []): Promise<Node> {
  const port = await freePort()
  let child: ReturnType<typeof spawn>
  let ended: Promise<void>
  const node = nodeAt(port, {
    async start() {
      const words = ['-l', '127.0.0.1', '-p', String(port), '-U', '0', '-t', '1', '-u', 'root', ...flags]
      child = spawn('memcached', words, { stdio: 'ignore' })
      ended = new Promise((resolve) => void child.once('close', () => resolve()))
      await until(() => isOpen(port))
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    signal: (name) => void child.kill(name),
  })
  await node.start()
  return node
}

interface MonitorNode {
  address: string
  state: string
  reason?: string
  counters: Record<string, number>
}

/** `cairn sfss` on nodes, with its monitor. */
export class NodesService {
  readonly nodes: Node[]
  readonly #words: readonly string[]
  readonly #monitor: string
  #role: RoleProcess

  private constructor(nodes: Node[], role: RoleProcess, own: { words: string[]; monitor: string }) {
    this.nodes = nodes
    this.#role = role
    this.#words = own.words
    this.#monitor = own.monitor
  }

  static async start(nodes: Node[], flags: string[] = []): Promise<NodesService> {
    const monitor = `127.0.0.1:${await freePort()}`
    const storage = `memcached://${nodes.map(({ address }) => address).join(',')}`
    const words = ['--storage', storage, '--monitor', monitor, '--workers', '2', ...flags]
    const role = await startRole('sfss', await freePort(), words)
    const service = new NodesService(nodes, role, { words, monitor })
    await service.untilUp(nodes.length)
    return service
  }

  /** `host:port`. */
  get address(): string {
    return this.#role.address
  }

  /** Of sfss itself. */
  log(): string {
    return this.#role.log()
  }

  /** The nodes stay. */
  async end(): Promise<void> {
    await this.#role.stop()
  }

  async stop(): Promise<void> {
    await this.end()
    for (const node of this.nodes) await node.kill()
  }

  /** `kill -9` of sfss itself. */
  kill(): Promise<void> {
    return this.#role.kill()
  }

  /** Once more, after a kill, at the same port. */
  async restart(): Promise<void> {
    this.#role = await startRole('sfss', Number(this.address.split(':')[1]), this.#words)
  }

  url(target: string): string {
    return `http://${this.#role.address}${target}`
  }

  put(path: string, body: string | Buffer<ArrayBuffer>): Promise<number> {
    return this.#status(`/file?path=${encodeURIComponent(path)}`, { method: 'PUT', body })
  }

  remove(path: string): Promise<number> {
    return this.#status(`/file?path=${encodeURIComponent(path)}`, { method: 'DELETE' })
  }

  async #status(target: string, request: RequestInit): Promise<number> {
    const reply = await fetch(this.url(target), request)
    await reply.arrayBuffer()
    return reply.status
  }

  async get(path: string): Promise<{ status: number; body: Buffer }> {
    const reply = await fetch(this.url(`/file?path=${encodeURIComponent(path)}`))
    return { status: reply.status, body: Buffer.from(await reply.arrayBuffer()) }
  }

  /** Addresses that `/status` says answer; empty for 504. */
  async up(): Promise<string[]> {
    const reply = await fetch(this.url('/status'))
    const status = (await reply.json()) as Record<string, Record<string, { state: string }>>
    if (reply.status === 504) return []
    const { storages, webserver: _, ...answering } = status
    for (const [address, { state }] of Object.entries(storages!))
      assert.equal(state, address in answering ? 'up' : 'down')
    return Object.keys(answering)
  }

  untilUp(count: number): Promise<void> {
    return until(async () => {
      const states = (await this.monitor()).map(({ state }) => state)
      return (await this.up()).length === count && states.filter((state) => state === 'up').length === count
    }, `${count} nodes that are up`)
  }

  async monitor(): Promise<MonitorNode[]> {
    const reply = await fetch(`http://${this.#monitor}/`, { headers: { accept: 'application/json' } })
    return ((await reply.json()) as { nodes: MonitorNode[] }).nodes
  }

  get monitorAddress(): string {
    return this.#monitor
  }

  async page(target: string): Promise<{ type: string | null; text: string }> {
    const reply = await fetch(`http://${this.#monitor}${target}`)
    assert.equal(reply.status, 200)
    return { type: reply.headers.get('content-type'), text: await reply.text() }
  }

  async repaired(node: Node): Promise<number> {
    const found = (await this.monitor()).find(({ address }) => address === node.address)!
    return found.counters.repaired!
  }
}

function nodeAt(port: number, life: Pick<Node, 'start' | 'kill' | 'signal'>): Node {
  const ask = (...sent: (string | Buffer)[]) =>
    new Promise<Buffer>((resolve, reject) => {
      const pieces: Buffer[] = []
      const socket = connect(port, '127.0.0.1')
      socket.setTimeout(WAIT_MS_MAX, () => socket.destroy(new Error('no answer')))
      socket.on('data', (piece: Buffer) => pieces.push(piece))
      socket.once('error', reject)
      socket.once('close', () => resolve(Buffer.concat(pieces)))
      for (const each of [...sent, 'quit\r\n']) socket.write(each)
    })
  return { port, address: `127.0.0.1:${port}`, ...life, ask }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** By which a node knows a file. */
export const keyOf = (path: string) => `sfss:${createHash('sha256').update(path).digest('hex')}`

/** Waits until something holds. */
export async function until(holds: () => Promise<boolean> | boolean, what = 'it'): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`${what} does not come to be`)
    await sleep(20)
  }
}
