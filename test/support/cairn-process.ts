/** The real program as processes: a server on ports that the system chooses, and commands run to their end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** The root key of the servers that are started here. */
export const ROOT_KEY = { accessKeyId: 'test-root', secretAccessKey: 'the-secret-of-this-test-run' }
const START_MS_MAX = 60_000
const STOP_MS_MAX = 15_000
const COMMAND_MS_MAX = 60_000

type Addresses = Pick<
  ServerProcess,
  'master' | 'volume' | 'filer' | 's3' | 'sfss' | 'memcached' | 'hashstore' | 'objects'
>

export interface ServerProcess {
  /** `host:port`. */
  master: string
  volume: string
  filer: string
  s3: string
  sfss: string
  memcached: string
  hashstore: string
  objects: string
  child: ChildProcess
  /** Everything it logged so far. */
  log(): string
  stop(): Promise<void>
  /** Ends it as `kill -9` does. */
  kill(): Promise<void>
}

/** Starts `cairn server` and waits until it says that it is ready. */
export async function startServer(data: string, flags: string[] = []): Promise<ServerProcess> {
  const args = [
    PROGRAM,
    'server',
    '--data',
    data,
    '--master-port',
    '0',
    '--volume-port',
    '0',
    '--filer-port',
    '0',
    '--s3-port',
    '0',
    '--sfss-port',
    '0',
    '--memcached-port',
    '0',
    '--hashstore-port',
    '0',
    '--objects-port',
    '0',
    '--ballast',
    '0',
  ]
  const child = spawn(process.execPath, [...args, '--log-format', 'json', ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      CAIRN_ROOT_ACCESS_KEY: ROOT_KEY.accessKeyId,
      CAIRN_ROOT_SECRET_KEY: ROOT_KEY.secretAccessKey,
    },
  })
  let log = ''
  const ended = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const ready = new Promise<Addresses>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the server does not start:\n${log}`)), START_MS_MAX)
    child.stderr.on('data', (piece: Buffer) => {
      log += piece.toString()
      const line = log.split('\n').find((each) => each.includes('"message":"ready"'))
      if (line === undefined) return
      clearTimeout(timer)
      resolve(JSON.parse(line))
    })
    child.once('close', () => {
      clearTimeout(timer)
      reject(new Error(`the server ended:\n${log}`))
    })
  })
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    child.kill(signal)
    await ended
    clearTimeout(timer)
  }
  try {
    const { master, volume, filer, s3, sfss, memcached, hashstore, objects } = await ready
    const addresses = { master, volume, filer, s3, sfss, memcached, hashstore, objects }
    return { ...addresses, child, log: () => log, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') }
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
}

export interface CommandResult {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs one command of the program to its end. */
export function runCairn(args: string[]): Promise<CommandResult> {
  return spawnCairn(args).ended
}

/** Starts one command of the program. */
export function spawnCairn(
  args: string[],
  timeoutMs = COMMAND_MS_MAX,
): { child: ChildProcess; ended: Promise<CommandResult> } {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  })
  const result: CommandResult = { code: null, stdout: '', stderr: '' }
  child.stdout.on('data', (piece: Buffer) => {
    result.stdout += piece.toString()
  })
  child.stderr.on('data', (piece: Buffer) => {
    result.stderr += piece.toString()
  })
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ ...result, code }))
  })
  return { child, ended }
}
