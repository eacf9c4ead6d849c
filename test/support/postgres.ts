/** A private PostgreSQL for one test file: a directory, a port and a process of its own, which can be killed and started again. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { freePort } from './free-port.ts'

const READY_MS_MAX = 30_000
const LOOK_MS = 50

/** Where Debian's newest server programs are, or undefined. */
const programs = globSync('/usr/lib/postgresql/*/bin/postgres')
  .sort((a, b) => Number(b.split('/')[4]) - Number(a.split('/')[4]))
  .map((path) => join(path, '..'))[0]

/** For `describe(..., { skip })`: why PostgreSQL cannot be tested here, or false. */
export const noPostgres: string | false =
  programs === undefined ? 'PostgreSQL is not installed (Debian package postgresql)' : false

/** The server refuses to run as root: it gets the user that its package made. */
function owner(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const ask = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  return { uid: ask('-u'), gid: ask('-g') }
}

export class PostgresServer {
  readonly port: number
  /** Belongs to the user that the server runs as. */
  readonly directory: string
  readonly #settings: readonly string[]
  #process: ChildProcess | undefined

  private constructor(directory: string, port: number, settings: readonly string[]) {
    this.directory = directory
    this.port = port
    this.#settings = settings
  }

  /** `settingsIn`: more settings, `name=value`, for a server in that directory. */
  static async start(settingsIn: (directory: string) => string[] = () => []): Promise<PostgresServer> {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-postgres-'))
    const { uid, gid } = owner()
    if (uid !== undefined && gid !== undefined) chownSync(directory, uid, gid)
    const server = new PostgresServer(directory, await freePort(), settingsIn(directory))
    const words = ['-D', server.data, '--username=cairn', '--auth=trust', '--encoding=UTF8', '--no-sync']
    const { status, stderr } = spawnSync(join(programs!, 'initdb'), [...words, '--locale=C.UTF-8'], {
      ...owner(),
      cwd: directory,
      encoding: 'utf8',
      timeout: READY_MS_MAX,
    })
    if (status !== 0) throw new Error(`initdb: ${stderr}`)
    await server.run()
    return server
  }

  url(database: string): string {
    return `postgres://cairn@127.0.0.1:${this.port}/${database}`
  }

  async createDatabase(name: string): Promise<string> {
    await this.admin(`create database ${name}`)
    return this.url(name)
  }

  /** Runs one statement on a connection of its own. */
  async admin(sql: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url(database) })
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  }

  /** Starts the server, and resolves when it answers. What a killed one has left may refuse a first attempt. */
  async run(): Promise<void> {
    const settings = ['-c', 'listen_addresses=127.0.0.1', '-c', `port=${this.port}`, '-c', 'fsync=on']
    const own = ['-c', `unix_socket_directories=${this.directory}`, '-c', 'max_connections=50']
    const more = this.#settings.flatMap((setting) => ['-c', setting])
    const deadline = performance.now() + READY_MS_MAX
    while (performance.now() < deadline) {
      if (
        this.#process === undefined ||
        this.#process.exitCode !== null ||
        this.#process.signalCode !== null
      ) {
        this.#process = spawn(join(programs!, 'postgres'), ['-D', this.data, ...settings, ...own, ...more], {
          ...owner(),
          cwd: this.directory,
          stdio: 'ignore',
        })
      }
      if (await this.admin('select 1').then(Boolean, () => false)) return
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    throw new Error('PostgreSQL does not start')
  }

  /** SIGKILL: as a crash; SIGQUIT: at once, without a checkpoint; SIGINT: the orderly way. */
  async stop(signal: 'SIGKILL' | 'SIGQUIT' | 'SIGINT'): Promise<void> {
    const running = this.#process
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    running.kill(signal)
    await once(running, 'exit')
  }

  /** Stops it and removes all that it had. */
  async end(): Promise<void> {
    await this.stop('SIGQUIT')
    rmSync(this.directory, { recursive: true, force: true })
  }

  get data(): string {
    return join(this.directory, 'data')
  }
}
