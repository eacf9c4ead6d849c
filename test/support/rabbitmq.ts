/**
 * A private RabbitMQ for one test file: a directory, ports and processes of its own, which can be killed and started again. Its
 * user is `test`, with the password `test`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'amqplib'
import { freePort } from './free-port.ts'

const READY_MS_MAX = 60_000
const LOOK_MS = 200
/** The script itself: the one in the search path wants to be root or the package's user, and to own its directories. */
const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'

/** For `describe(..., { skip })`: why RabbitMQ cannot be tested here, or false. */
export const noRabbit: string | false = existsSync(SERVER)
  ? false
  : 'RabbitMQ is not installed (Debian package rabbitmq-server)'

export class RabbitServer {
  readonly port: number
  readonly #directory: string
  readonly #portOfNames: number
  readonly #portOfNodes: number
  #names: ChildProcess | undefined
  #process: ChildProcess | undefined

  private constructor(directory: string, ports: [number, number, number]) {
    this.#directory = directory
    ;[this.port, this.#portOfNames, this.#portOfNodes] = ports
  }

  static async start(): Promise<RabbitServer> {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-rabbit-'))
    const server = new RabbitServer(directory, [await freePort(), await freePort(), await freePort()])
    mkdirSync(join(directory, 'log'))
    const settings = [
      `listeners.tcp.1 = 127.0.0.1:${server.port}`,
      'default_user = test',
      'default_pass = test',
      'log.console = true',
      'log.file = false',
      'disk_free_limit.absolute = 1MB',
    ]
    writeFileSync(join(directory, 'rabbitmq.conf'), `${settings.join('\n')}\n`)
    writeFileSync(join(directory, 'environment.conf'), '')
    for (const name of ['advanced.config', 'plugins']) writeFileSync(join(directory, name), '[].\n')
    try {
      await server.run()
    } catch (error) {
      await server.end()
      throw error
    }
    return server
  }

  get url(): string {
    return `amqp://test:test@127.0.0.1:${this.port}`
  }

  /** Starts the broker, and resolves when it answers. */
  async run(): Promise<void> {
    const own = (name: string) => join(this.#directory, name)
    const env = {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: this.#directory,
      ERL_EPMD_PORT: String(this.#portOfNames),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `cairn${this.port}@localhost`,
      RABBITMQ_DIST_PORT: String(this.#portOfNodes),
      RABBITMQ_CONF_ENV_FILE: own('environment.conf'),
      RABBITMQ_CONFIG_FILE: own('rabbitmq.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: own('advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: own('plugins'),
      RABBITMQ_MNESIA_BASE: own('mnesia'),
      RABBITMQ_LOG_BASE: own('log'),
      RABBITMQ_PID_FILE: own('pid'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none',
      // The script gives its place to the broker, so that this process is the broker itself.
      RUNNING_UNDER_SYSTEMD: 'true',
    }
    const options = { env, cwd: this.#directory, stdio: 'ignore' as const }
    if (!isRunning(this.#names)) this.#names = spawn('epmd', ['-address', '127.0.0.1'], options)
    this.#process = spawn(SERVER, [], options)
    const deadline = performance.now() + READY_MS_MAX
    while (performance.now() < deadline && isRunning(this.#process)) {
      const answers = await connect(this.url, { timeout: 5_000 }).then(
        (connection) => connection.close().then(() => true),
        () => false,
      )
      if (answers) return
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    throw new Error('RabbitMQ does not start')
  }

  /** SIGKILL: as a crash; SIGTERM: the orderly way. */
  async stop(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await end(this.#process, signal)
  }

  /** Stops it and removes all that it had. */
  async end(): Promise<void> {
    await end(this.#process, 'SIGKILL')
    await end(this.#names, 'SIGKILL')
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child !== undefined && child.exitCode === null && child.signalCode === null
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(child)) return
  child.kill(signal)
  await once(child, 'exit')
}
