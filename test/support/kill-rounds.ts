/**
 * A real server killed with `kill -9` at random moments while 16 writers write, overwrite and delete over HTTP. After each
 * restart every acknowledged write and delete holds, nothing is half visible, and the volumes take writes at once.
 */
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/base/random.ts'
import { checkSeaweedVolume } from '../compat/seaweed-files.ts'
import { type ServerProcess, startServer } from './cairn-process.ts'
import { dataOf, KIB, MIB } from './needles.ts'

const WRITERS = 16
const FIDS_PER_ROUND = 4000
const REQUEST_MS_MAX = 20_000
/** Files of earlier rounds that are read again after each kill. */
const OLD_FILES_READ = 60
const SIZES = [1, 100, 1000, 1000, 1000, 4 * KIB, 4 * KIB, 20 * KIB, 100 * KIB]

/** What a file holds; undefined is nothing. */
type Content = { seed: number; lengthBytes: number } | undefined

interface FileState {
  fid: string
  /** Acknowledged. */
  content: Content
  /** Asked for when the server was killed; it may have been done. */
  inDoubt: { content: Content } | undefined
}

export interface KillOptions {
  rounds: number
  /** The kill comes between these times after the writers began. */
  afterMsMin: number
  afterMsMax: number
  /** A write right after the restart must be done within this time: for a machine that does nothing else. */
  firstWriteMsMax?: number
  report?: (line: string) => void
}

export async function killRounds(random: Random, options: KillOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-kill-'))
  const run = new KillRun(directory, random, options.firstWriteMsMax ?? REQUEST_MS_MAX)
  try {
    for (let round = 1; round <= options.rounds; round++) {
      const { afterMsMin, afterMsMax } = options
      await run.round(afterMsMin + random.below(afterMsMax - afterMsMin))
      options.report?.(`round ${round}: ${run.summary()}`)
    }
    await run.finish()
  } finally {
    await run.end()
    rmSync(directory, { recursive: true, force: true })
  }
}

class KillRun {
  readonly #directory: string
  readonly #random: Random
  readonly #firstWriteMsMax: number
  readonly #files: FileState[] = []
  #recent: FileState[] = []
  #server: ServerProcess | undefined
  #acknowledged = 0
  #seed = 1

  constructor(directory: string, random: Random, firstWriteMsMax: number) {
    this.#directory = directory
    this.#random = random
    this.#firstWriteMsMax = firstWriteMsMax
  }

  summary(): string {
    return `${this.#files.length} files, ${this.#acknowledged} acknowledged operations, none lost`
  }

  async round(killAfterMs: number): Promise<void> {
    const server = await this.#start()
    await this.#verify(this.#someFiles())
    await this.#firstWrites(server)
    const fids = await assignMany(server)
    this.#recent = []
    let stopped = false
    const writers = Array.from({ length: WRITERS }, (_, i) => this.#write(server, fids, i, () => stopped))
    await sleep(killAfterMs)
    stopped = true
    await server.kill()
    await Promise.all(writers)
    this.#server = undefined
  }

  /** Everything once more, and the files as SeaweedFS would see them. */
  async finish(): Promise<void> {
    const server = await this.#start()
    await this.#verify(this.#files)
    await server.stop()
    this.#server = undefined
    for (const dat of globSync(`${this.#directory}/**/*.dat`)) {
      checkSeaweedVolume(readFileSync(dat), readFileSync(dat.replace(/dat$/, 'idx')), dat)
    }
  }

  async end(): Promise<void> {
    await this.#server?.kill()
  }

  async #start(): Promise<ServerProcess> {
    this.#server = await startServer(this.#directory, ['--sync', 'batch'])
    return this.#server
  }

  #someFiles(): FileState[] {
    const files = new Set(this.#recent)
    for (let i = 0; i < OLD_FILES_READ && this.#files.length > 0; i++) {
      files.add(this.#files[this.#random.below(this.#files.length)]!)
    }
    return [...files]
  }

  async #verify(files: FileState[]): Promise<void> {
    let next = 0
    const reader = async () => {
      for (let file = files[next++]; file !== undefined; file = files[next++]) await this.#verifyFile(file)
    }
    await Promise.all(Array.from({ length: WRITERS }, reader))
  }

  async #verifyFile(file: FileState): Promise<void> {
    const reply = await request(this.#server!, 'GET', file.fid)
    const allowed = file.inDoubt === undefined ? [file.content] : [file.content, file.inDoubt.content]
    const found = allowed.find((content) => isReply(reply, content))
    const isAllowed = found !== undefined || (reply.status === 404 && allowed.includes(undefined))
    const expected = allowed.map((content) =>
      content === undefined ? '404' : `${content.lengthBytes} bytes`,
    )
    assert.ok(
      isAllowed,
      `${file.fid}: ${reply.status}, ${reply.body.length} bytes; expected ${expected.join(' or ')}`,
    )
    file.content = found
    file.inDoubt = undefined
  }

  /** Every volume that was being written to when the server was killed takes a write at once. */
  async #firstWrites(server: ServerProcess): Promise<void> {
    const byVolume = new Map(this.#recent.map((file) => [file.fid.split(',')[0], file]))
    for (const file of byVolume.values()) {
      const content = { seed: this.#seed++, lengthBytes: 500 }
      const reply = await request(server, 'PUT', file.fid, content, this.#firstWriteMsMax)
      assert.equal(reply.status, 201, `the first write to ${file.fid}: ${reply.body}`)
      file.content = content
    }
  }

  async #write(server: ServerProcess, fids: string[], writer: number, stopped: () => boolean): Promise<void> {
    const own: FileState[] = []
    for (let next = writer; !stopped(); ) {
      const choice = this.#random.below(10)
      let file = own[this.#random.below(Math.max(1, own.length))]
      if (choice < 6 || file === undefined) {
        if (next >= fids.length) return
        file = { fid: fids[next]!, content: undefined, inDoubt: undefined }
        next += WRITERS
        own.push(file)
        this.#files.push(file)
        this.#recent.push(file)
      }
      const content = choice < 8 || file.content === undefined ? this.#newContent() : undefined
      file.inDoubt = { content }
      try {
        const reply = await request(server, content === undefined ? 'DELETE' : 'PUT', file.fid, content)
        const expected = content === undefined ? 202 : isSame(content, file.content) ? 204 : 201
        assert.equal(reply.status, expected, `${file.fid}: ${reply.body}`)
      } catch (error) {
        if (stopped()) return
        throw error
      }
      file.content = content
      file.inDoubt = undefined
      this.#acknowledged++
    }
  }

  #newContent(): { seed: number; lengthBytes: number } {
    const size = this.#random.below(150) === 0 ? MIB + 50 * KIB : SIZES[this.#random.below(SIZES.length)]!
    return { seed: this.#seed++, lengthBytes: size }
  }
}

interface Reply {
  status: number
  body: Buffer
}

function isReply(reply: Reply, content: Content): boolean {
  if (content === undefined) return false
  return reply.status === 200 && reply.body.equals(bytesOf(content))
}

/** Of files of one byte some are alike. */
function isSame(one: NonNullable<Content>, other: Content): boolean {
  return other !== undefined && bytesOf(one).equals(bytesOf(other))
}

const bytesOf = ({ seed, lengthBytes }: NonNullable<Content>) => dataOf(seed, lengthBytes)

async function request(
  server: ServerProcess,
  method: string,
  fid: string,
  content?: Content,
  limitMs = REQUEST_MS_MAX,
): Promise<Reply> {
  const response = await fetch(`http://${server.volume}/${fid}`, {
    method,
    signal: AbortSignal.timeout(limitMs),
    headers: { 'content-type': 'application/octet-stream' },
    ...(content === undefined ? {} : { body: new Uint8Array(bytesOf(content)) }),
  })
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) }
}

/** Ids in several volumes. */
async function assignMany(server: ServerProcess): Promise<string[]> {
  const fids: string[] = []
  for (let part = 0; part < 4; part++) {
    const count = FIDS_PER_ROUND / 4
    const url = `http://${server.master}/dir/assign?count=${count}`
    const reply = (await (await fetch(url, { signal: AbortSignal.timeout(REQUEST_MS_MAX) })).json()) as {
      fid: string
    }
    assert.ok(reply.fid, JSON.stringify(reply))
    fids.push(reply.fid, ...Array.from({ length: count - 1 }, (_, i) => `${reply.fid}_${i + 1}`))
  }
  return fids
}
