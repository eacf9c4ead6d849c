/** Starting and stopping the servers that are measured. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const START_MS_MAX = 60_000
const STOP_MS_MAX = 15_000
/** The unit of times in /proc; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

const children = new Set<ChildProcess>()
const directories = new Set<string>()

/** However the benchmark ends, its servers end and its files go. Call it once, at the start. */
export function cleanUpAtExit(): void {
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    for (const directory of directories) rmSync(directory, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
}

/** A new directory under the system's temporary one. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-bench-'))
  directories.add(directory)
  return directory
}

/** Starts a server that does not outlive this process. */
export function startProcess(program: string, args: string[], stdio: StdioOptions): ChildProcess {
  const child = spawn(program, args, { stdio })
  children.add(child)
  child.once('exit', () => children.delete(child))
  child.once('error', () => children.delete(child))
  return child
}

/** Share of the machine's processors (0 to 1) that is in use, over a second. Only on Linux; NaN elsewhere. */
export async function busyShare(): Promise<number> {
  const before = processorTicks()
  await sleep(1_000)
  const after = processorTicks()
  return 1 - (after.idle - before.idle) / (after.all - before.all)
}

function processorTicks(): { idle: number; all: number } {
  try {
    const ticks = readFileSync('/proc/stat', 'latin1')
      .split('\n')[0]!
      .trim()
      .split(/\s+/)
      .slice(1)
      .map(Number)
    return { idle: ticks[3]! + ticks[4]!, all: ticks.slice(0, 8).reduce((sum, each) => sum + each, 0) }
  } catch {
    return { idle: Number.NaN, all: Number.NaN }
  }
}

/** Seconds of processor time that a process and those that it started have used. NaN where Linux does not tell. */
export function processorSeconds(pid: number): number {
  try {
    const [, fields = ''] = /\) (.*)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? []
    const [user, system] = fields.split(' ').slice(11, 13).map(Number)
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
    let seconds = (user! + system!) / TICKS_PER_SECOND
    for (const child of children === '' ? [] : children.split(' ')) seconds += processorSeconds(Number(child))
    return seconds
  } catch {
    return Number.NaN
  }
}

/** A port of the loopback that nobody has at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Waits until a URL answers with 2xx; throws when the process ends or a minute is over. Gives the milliseconds. */
export async function waitForHttp(
  child: ChildProcess,
  url: string,
  { anyStatus = false } = {},
): Promise<number> {
  const started = performance.now()
  while (performance.now() - started < START_MS_MAX) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`)
    const status = await statusOf(url)
    if (anyStatus ? status > 0 : status >= 200 && status < 300) return performance.now() - started
    await sleep(20)
  }
  throw new Error(`${url} does not answer`)
}

function statusOf(url: string): Promise<number> {
  return new Promise((resolve) => {
    const request = http.get(url, { agent: false, timeout: 5_000 }, (reply) => {
      reply.resume()
      reply.once('end', () => resolve(reply.statusCode ?? 0))
      reply.once('error', () => resolve(0))
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(0))
  })
}

/** Asks a process to end, and ends it when it does not. */
export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => void child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await ended
  clearTimeout(timer)
}
