/** One real server, and the processes of real clients against it, each with an empty home directory. */
import { spawn } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { hasProgram } from '../../script/packages.ts'
import { ROOT_KEY, type ServerProcess, startServer } from '../support/cairn-process.ts'

const CLIENT_MS_MAX = 60_000
/** The newest of what a client printed is what explains its failure. */
const SHOWN_CHARACTERS = 6000

export const MIB = 1024 * 1024
export const PROGRAMS = join(import.meta.dirname, 'programs')

export interface ClientRun {
  code: number | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  env?: Record<string, string>
  cwd?: string
  /** The code it must end with; 0 if left out. */
  code?: number
}

export interface ClientKit {
  server: ServerProcess
  /** `http://host:port`, or with `https` where the flags name a certificate. */
  endpoint: string
  /** Where the test's files lie; clients find their settings in it. */
  home: string
  /** What clients find in their environment. */
  env: NodeJS.ProcessEnv
  /** Runs a program to its end; throws with all that it printed when it ends otherwise than expected. */
  run(program: string, words: string[], options?: RunOptions): Promise<ClientRun>
  /** A file of bytes that do not compress, the same for the same name. Returns its path. */
  file(name: string, sizeBytes: number): string
  /** Throws when the server has logged a warning or an error: nothing that clients do here deserves one. */
  close(): Promise<void>
}

/** Why programs of Debian packages cannot be run here, or false. */
export function noPrograms(...names: string[]): string | false {
  const missing = names.filter((name) => !hasProgram(name))
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : false
}

/** `bin` is looked into before the search path. */
export async function startClients(bin?: string, flags: string[] = []): Promise<ClientKit> {
  const home = mkdtempSync(join(tmpdir(), 'cairn-clients-'))
  const data = join(home, 'data')
  mkdirSync(data)
  const server = await startServer(data, flags)
  const endpoint = `${flags.includes('--tls-cert') ? 'https' : 'http'}://${server.s3}`
  // What the machine has set up for AWS is for AWS.
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'))
  const env: NodeJS.ProcessEnv = {
    ...Object.fromEntries(inherited),
    PATH: [...(bin ? [bin] : []), process.env.PATH ?? ''].join(delimiter),
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
    ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: ROOT_KEY.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ROOT_KEY.secretAccessKey,
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  return {
    server,
    endpoint,
    home,
    env,
    run: (program, words, options = {}) =>
      runProgram(program, words, { cwd: home, ...options, env: { ...env, ...options.env } }),
    file: (name, sizeBytes) => {
      const path = join(home, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, noise(name, sizeBytes))
      return path
    },
    close: async () => {
      await server.stop()
      rmSync(home, { recursive: true, force: true })
      const complaints = server.log().split('\n').filter(isComplaint)
      if (complaints.length > 0) throw new Error(`the server logged:\n${complaints.join('\n')}`)
    },
  }
}

/** With curl's own signer. */
export async function makeBucket(kit: ClientKit, name: string): Promise<void> {
  const key = `${ROOT_KEY.accessKeyId}:${ROOT_KEY.secretAccessKey}`
  const words = ['--fail', '--silent', '--show-error', '--insecure', '--aws-sigv4', 'aws:amz:us-east-1:s3']
  const hash = `x-amz-content-sha256: ${createHash('sha256').digest('hex')}`
  await kit.run('curl', [
    ...words,
    '--user',
    key,
    '--header',
    hash,
    '--request',
    'PUT',
    `${kit.endpoint}/${name}`,
  ])
}

/** The SHA-256 of a file, in hex. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

const isComplaint = (line: string) => /"level":"(warn|error|fatal)"/.test(line)

function noise(seed: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes))
}

async function runProgram(
  program: string,
  words: string[],
  options: Omit<RunOptions, 'env'> & { env: NodeJS.ProcessEnv; cwd: string },
): Promise<ClientRun> {
  const { env, cwd, code: expected = 0 } = options
  const child = spawn(program, words, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: CLIENT_MS_MAX })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (piece: Buffer) => {
    stdout += piece.toString()
  })
  child.stderr.on('data', (piece: Buffer) => {
    stderr += piece.toString()
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== expected) {
    const shown = `${stdout}\n${stderr}`.slice(-SHOWN_CHARACTERS)
    throw new Error(`${program} ${words.join(' ')} ended with ${code}:\n${shown}`)
  }
  return { code, stdout, stderr }
}
