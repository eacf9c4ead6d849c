/**
 * The storage node that speaks memcached's protocol, as ratios to Debian's memcached with one thread: values of 1 KiB, 16
 * connections, one request at a time on each or 32 in a packet. The node's sets are on disk when they are answered. What
 * gets and sets cost without any store is measured beside it.
 */
import { type ChildProcess, execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Contender, Turn } from './contenders.ts'
import { freeMemory } from './free-memory.ts'
import { keyOf, type LoadFigures, type LoadRequest, setCommand } from './memcached-load.ts'
import { freePort, startProcess, stopProcess } from './processes.ts'
import type { Stage } from './stage.ts'

const BARE_GETS = fileURLToPath(new URL('./bare-gets.ts', import.meta.url))
const BARE_SETS = fileURLToPath(new URL('./bare-sets.ts', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const LOAD = fileURLToPath(new URL('./memcached-load.ts', import.meta.url))
const HOST = '127.0.0.1'
const KEYS = 20_000
const VALUE_BYTES = 1024
const CONNECTIONS = 16
const DEPTH = 32
/** Single requests cost the load about what they cost the server: one process of load would be the limit. */
const LOAD_PROCESSES = { single: 2, pipelined: 1 }
/** What the files of one turn may take. */
const TURN_BYTES = { single: 256 * 1024 ** 2, pipelined: 1024 ** 3 }
const START_MS_MAX = 30_000
const GRACE_MS = 30_000

interface Server {
  port: number
  pid: number
}

type Kind = LoadRequest['kind']

interface Servers {
  memcached: Server
  node: Server
  bare: Record<Kind, Server>
}

const PASS_MARKS: Record<Kind, number> = { get: 0.8, set: 0.3 }

/** `last`: these take their turns behind all others. Sets in packets replace more than 100 MiB a second, which are compacted then. */
export async function memcachedContenders(stage: Stage): Promise<{ first: Contender[]; last: Contender[] }> {
  const servers: Servers = {
    memcached: await startMemcached(stage),
    node: await startNode(stage),
    bare: { get: await startBareGets(stage), set: await startBareSets(stage) },
  }
  await Promise.all([fill(servers.memcached.port), fill(servers.node.port)])
  return {
    first: [
      ...turnsOf(servers, 'get', 1),
      ...turnsOf(servers, 'get', DEPTH),
      ...withMemory(stage, turnsOf(servers, 'set', 1), TURN_BYTES.single),
    ],
    last: withMemory(stage, turnsOf(servers, 'set', DEPTH), TURN_BYTES.pipelined),
  }
}

/** Each turn begins with memory that the machine has: memcached writes over its own, files want more. */
function withMemory({ directory }: Stage, turns: Contender[], bytes: number): Contender[] {
  return turns.map((turn) => ({ ...turn, prepare: () => freeMemory(directory, bytes) }))
}

/** memcached, what the machine can do without any store, and the node. */
function turnsOf({ memcached, node, bare }: Servers, kind: Kind, depth: number): Contender[] {
  const what = `1 KiB ${kind}${depth === 1 ? '' : `, ${depth} in a packet`}`
  const measure = `memcached ${what}`
  const passMark = PASS_MARKS[kind]
  const shown = { against: '', passMark: 0, goal: 0 }
  const without = kind === 'set' ? 'file' : 'memory'
  return [
    { ...contender(measure, memcached, { kind, depth }), ...shown },
    { ...contender(`bare ${without}, ${what}`, bare[kind], { kind, depth }), ...shown, against: measure },
    {
      ...contender(`node ${what}`, node, { kind, depth }),
      against: measure,
      passMark,
      goal: passMark * 1.25,
    },
  ]
}

function contender(
  name: string,
  { port, pid }: Server,
  { kind, depth }: Pick<LoadRequest, 'kind' | 'depth'>,
): Pick<Contender, 'name' | 'pid' | 'run'> {
  return {
    name,
    pid,
    async run(seconds): Promise<Turn> {
      const processes = depth === 1 ? LOAD_PROCESSES.single : LOAD_PROCESSES.pipelined
      const connections = CONNECTIONS / processes
      const request = {
        host: HOST,
        port,
        kind,
        depth,
        connections,
        seconds,
        keys: KEYS,
        sizeBytes: VALUE_BYTES,
      }
      const figures = await Promise.all(Array.from({ length: processes }, () => load(request)))
      return {
        requestsPerSecond: figures.reduce((sum, each) => sum + each.requests / each.seconds, 0),
        errors: 0,
        p99Ms: Math.max(...figures.map(({ p99Ms }) => p99Ms)),
      }
    },
  }
}

/** Throws where an answer is not the expected one. */
function load(request: LoadRequest): Promise<LoadFigures> {
  const words = [LOAD, JSON.stringify(request)]
  const timeout = request.seconds * 1_000 + GRACE_MS
  return new Promise((resolve, reject) => {
    execFile(process.execPath, words, { timeout }, (error, stdout) =>
      error === null ? resolve(JSON.parse(stdout) as LoadFigures) : reject(error),
    )
  })
}

async function startMemcached(stage: Stage): Promise<Server> {
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  const words = ['-l', HOST, '-p', String(port), '-U', '0', '-t', '1', '-m', '512', ...user]
  return await started(stage, startProcess('memcached', words, ['ignore', 'ignore', 'inherit']), port)
}

async function startNode(stage: Stage): Promise<Server> {
  const port = await freePort()
  const data = join(stage.directory, 'memcached')
  mkdirSync(data)
  const words = [PROGRAM, 'memcached', '--port', String(port), '--data', data, '--log-level', 'warn']
  return await started(stage, startProcess(process.execPath, words, ['ignore', 'ignore', 'inherit']), port)
}

/** What a server of gets costs that has no store: see there. */
async function startBareGets(stage: Stage): Promise<Server> {
  const port = await freePort()
  const request = `get ${keyOf(0)}\r\n`
  const answer = `VALUE ${keyOf(0)} 0 ${VALUE_BYTES}\r\n${'v'.repeat(VALUE_BYTES)}\r\nEND\r\n`
  const words = [BARE_GETS, String(port), String(request.length), answer]
  return await started(stage, startProcess(process.execPath, words, ['ignore', 'ignore', 'inherit']), port)
}

/** The same of durable sets. */
async function startBareSets(stage: Stage): Promise<Server> {
  const port = await freePort()
  const directory = join(stage.directory, 'bare-sets')
  mkdirSync(directory)
  const requestBytes = setCommand(keyOf(0), Buffer.alloc(VALUE_BYTES).toString('latin1')).length
  const words = [BARE_SETS, directory, String(port), String(requestBytes)]
  return await started(stage, startProcess(process.execPath, words, ['ignore', 'ignore', 'inherit']), port)
}

async function started(stage: Stage, child: ChildProcess, port: number): Promise<Server> {
  stage.stops.push(() => stopProcess(child))
  const deadlineMs = performance.now() + START_MS_MAX
  while (!(await listens(port))) {
    if (performance.now() > deadlineMs || child.exitCode !== null)
      throw new Error(`${child.spawnfile} does not start`)
    await sleep(50)
  }
  return { port, pid: child.pid! }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: HOST, port }, () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
  })
}

/** Stores all keys. */
function fill(port: number): Promise<void> {
  const stored = 'STORED\r\n'
  const value = Buffer.alloc(VALUE_BYTES, 'v').toString('latin1')
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: HOST, port })
    let received = 0
    socket.on('data', (bytes) => {
      received += bytes.length
      if (received === KEYS * stored.length) socket.end()
    })
    socket.once('error', reject)
    socket.once('close', () => resolve())
    for (let at = 0; at < KEYS; at++) socket.write(setCommand(keyOf(at), value))
  })
}
