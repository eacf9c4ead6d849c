/** The servers of one comparison, each started when it is first asked for, and their files. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type CairnServer, startCairn } from './cairn-process.ts'
import { type NginxServer, startNginx } from './nginx.ts'
import { temporaryDirectory } from './processes.ts'

export interface StageOptions {
  /** nginx's files: bytes → count. */
  files: ReadonlyMap<number, number>
  /** Extra flags for `cairn server`. */
  cairnFlags: string[]
}

export class Stage {
  readonly directory = temporaryDirectory()
  /** What must be stopped in the end. */
  readonly stops: (() => Promise<void>)[] = []
  readonly #options: StageOptions
  readonly #servers = new Map<string, Promise<CairnServer>>()
  #nginx: Promise<NginxServer> | undefined

  constructor(options: StageOptions) {
    this.#options = options
  }

  nginx(): Promise<NginxServer> {
    this.#nginx ??= this.#stopLater(startNginx({ directory: this.directory, files: this.#options.files }))
    return this.#nginx
  }

  /** The server with this value of `--sync`. */
  cairn(sync: 'batch' | 'none'): Promise<CairnServer> {
    let server = this.#servers.get(sync)
    if (server === undefined) {
      server = this.#stopLater(this.#startCairn(sync))
      this.#servers.set(sync, server)
    }
    return server
  }

  async close(): Promise<void> {
    for (const stop of this.stops) await stop()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #startCairn(sync: string): Promise<CairnServer> {
    const directory = join(this.directory, sync)
    mkdirSync(directory)
    return startCairn({ directory, flags: ['--sync', sync, ...this.#options.cairnFlags] })
  }

  async #stopLater<S extends { stop(): Promise<void> }>(starting: Promise<S>): Promise<S> {
    const server = await starting
    this.stops.push(() => server.stop())
    return server
  }
}
