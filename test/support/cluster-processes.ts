/** A master and volume servers as processes of their own, which tests stop, kill and start again at the same ports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export { freePort } from './free-port.ts'

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Short, but a server is silent only after five of them: on a slow machine one may stand still for a second. */
const HEARTBEAT = '300ms'
const START_MS_MAX = 60_000
const STOP_MS_MAX = 15_000

export interface RoleProcess {
  /** `host:port`. */
  address: string
  child: ChildProcess
  log(): string
  stop(): Promise<void>
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>
}

type StartedRole =
  | ('master' | 'volume' | 'filer' | 's3' | 'sfss' | 'objects' | 'memcached')
  | ('hashstore serve' | 'hashstore nameserver')

/** Starts `cairn <role>` on a port and waits until it listens or, as a volume server, has joined. */
export async function startRole(
  role: StartedRole,
  port: number,
  flags: readonly string[],
): Promise<RoleProcess> {
  const args = [
    PROGRAM,
    ...role.split(' '),
    '--port',
    String(port),
    '--log-format',
    'json',
    ...(role === 'master' || role === 'volume' ? ['--heartbeat', HEARTBEAT] : []),
    ...flags,
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  const wanted =
    role === 'volume'
      ? '"joined the master"'
      : role === 'memcached' || role === 'sfss' || role.startsWith('hashstore')
        ? '"ready"'
        : `"${role} is listening"`
  const ended = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${role} does not start:\n${log}`)), START_MS_MAX)
    child.stderr.on('data', (piece: Buffer) => {
      log += piece.toString()
      if (!log.includes(wanted)) return
      clearTimeout(timer)
      resolve()
    })
    child.once('close', () => {
      clearTimeout(timer)
      reject(new Error(`${role} ended:\n${log}`))
    })
  }).catch(async (error: unknown) => {
    await end(child, ended, 'SIGKILL')
    throw error
  })
  return {
    address: `127.0.0.1:${port}`,
    child,
    log: () => log,
    stop: () => end(child, ended, 'SIGTERM'),
    kill: () => end(child, ended, 'SIGKILL'),
  }
}

async function end(child: ChildProcess, ended: Promise<void>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  child.kill(signal)
  await ended
  clearTimeout(timer)
}
