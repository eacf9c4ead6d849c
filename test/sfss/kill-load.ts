/**
 * Writers that store, replace, remove and read files through sfss, each in a folder of its own, one request after the other. So they know
 * what must be there when servers are killed: what was acknowledged, and where the last request had no answer, the state before or after it.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../src/base/random.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { dataOf, KIB } from '../support/needles.ts'

const WRITERS = 6
const FILES_PER_WRITER = 12
const REQUEST_MS_MAX = 20_000
const REPLY_BYTES_MAX = 1024 * KIB
const SIZES = [0, 1, 700, 1_000, 1_000, 4 * KIB, 20 * KIB, 100 * KIB]
const BOUNDARY = 'a-boundary-of-the-kill-test'

/** Undefined: no file. */
type Content = { seed: number; lengthBytes: number } | undefined

interface FileState {
  path: string
  /** Acknowledged. */
  content: Content
  /** Asked for, without an answer: it may have been done, or not. */
  inDoubt: { content: Content } | undefined
}

interface Reply {
  status: number
  body: Buffer
}

export class KillLoad {
  acknowledged = 0
  readonly #random: Random
  readonly #files: FileState[]
  #address = ''
  #http = newClient()
  #seed = 1

  constructor(random: Random) {
    this.#random = random
    this.#files = Array.from({ length: WRITERS * FILES_PER_WRITER }, (_, at) => ({
      path: `writer ${at % WRITERS}/größe ${at}.txt`,
      content: undefined,
      inDoubt: undefined,
    }))
  }

  /** Before the first use, and after each restart of sfss. */
  connect(address: string): void {
    this.close()
    this.#http = newClient()
    this.#address = address
  }

  close(): void {
    this.#http.close()
  }

  get paths(): string[] {
    return this.#files.map(({ path }) => path)
  }

  /** Files that are there, unless requests are under way. */
  get stored(): number {
    return this.#files.filter(({ content }) => content !== undefined).length
  }

  get writers(): number {
    return WRITERS
  }

  /** Until `isOver`. Requests may fail, with 504 or without an answer, once `mayFail`. */
  async run(isOver: () => boolean, mayFail: () => boolean): Promise<void> {
    const write = async (writer: number) => {
      const own = this.#files.filter((_, at) => at % WRITERS === writer)
      while (!isOver()) {
        const sure = own.filter(({ inDoubt }) => inDoubt === undefined)
        if (sure.length === 0) return
        await this.#step(sure[this.#random.below(sure.length)]!, mayFail)
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))
  }

  async #step(file: FileState, mayFail: () => boolean): Promise<void> {
    const dice = this.#random.below(10)
    if (dice < 2) return await this.#look(file, mayFail)
    const content = dice < 4 && file.content !== undefined ? undefined : this.#newContent()
    file.inDoubt = { content }
    const { method, folder, wanted } =
      content === undefined
        ? { method: 'DELETE', folder: 'file', wanted: 204 }
        : dice < 7
          ? { method: 'PUT', folder: 'file', wanted: 200 }
          : { method: 'POST', folder: 'files', wanted: 201 }
    const bytes = content && dataOf(content.seed, content.lengthBytes)
    try {
      const reply = await this.#ask(method, folder, file.path, bytes)
      if (reply.status === 504 && mayFail()) return
      assert.equal(reply.status, wanted, `${method} ${file.path}: ${reply.body}`)
    } catch (error) {
      if (mayFail() && !(error instanceof assert.AssertionError)) return
      throw error
    }
    file.content = content
    file.inDoubt = undefined
    this.acknowledged++
  }

  /** What a file has while others are written. */
  async #look(file: FileState, mayFail: () => boolean): Promise<void> {
    let reply: Reply
    try {
      reply = await this.#ask('GET', 'file', file.path)
    } catch (error) {
      if (mayFail()) return
      throw error
    }
    if (reply.status === 504 && mayFail()) return
    assert.ok(isReply(reply, file.content), `${file.path}: ${told(reply)}`)
  }

  /** Everything is as it was acknowledged; what was in doubt is known now. */
  async verify(): Promise<void> {
    const found = await this.read()
    for (const [at, file] of this.#files.entries()) {
      file.content = found[at]
      file.inDoubt = undefined
    }
  }

  /** All files, each as it was acknowledged or as it was in doubt. */
  async read(): Promise<Content[]> {
    const found: Content[] = []
    for (const { path, content, inDoubt } of this.#files) {
      const reply = await this.#ask('GET', 'file', path)
      const allowed = inDoubt === undefined ? [content] : [content, inDoubt.content]
      const at = allowed.findIndex((each) => isReply(reply, each))
      const lengths = allowed.map((each) => each?.lengthBytes ?? 'no file').join(' or ')
      assert.ok(at >= 0, `${path}: ${told(reply)}; expected ${lengths}`)
      found.push(allowed[at])
    }
    return found
  }

  /** Undefined: nobody answers. */
  async status(): Promise<{ status: number; json: Record<string, Record<string, never>> } | undefined> {
    try {
      const { status, body } = await this.#ask('GET', 'status')
      return { status, json: JSON.parse(body.toString()) }
    } catch {
      return undefined
    }
  }

  async #ask(method: string, target: string, path?: string, file?: Buffer): Promise<Reply> {
    const query = path === undefined ? '' : `?path=${encodeURIComponent(path)}`
    const request = { method, url: `http://${this.#address}/${target}${query}` }
    const reply = await this.#http.request({
      ...request,
      ...(file !== undefined && method === 'POST' ? formOf(file) : file !== undefined && { body: file }),
    })
    return { status: reply.status, body: await reply.bytes(REPLY_BYTES_MAX) }
  }

  #newContent(): { seed: number; lengthBytes: number } {
    return { seed: this.#seed++, lengthBytes: SIZES[this.#random.below(SIZES.length)]! }
  }
}

function newClient(): HttpClient {
  return new HttpClient({ timeoutMs: REQUEST_MS_MAX, connectionsPerHostMax: 4 * WRITERS })
}

function formOf(file: Buffer): { body: Buffer; headers: Record<string, string> } {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="upload_file"; filename="x"\r\n\r\n`
  return {
    body: Buffer.concat([Buffer.from(head), file, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]),
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
  }
}

function isReply({ status, body }: Reply, content: Content): boolean {
  if (content === undefined) return status === 404
  return status === 200 && body.equals(dataOf(content.seed, content.lengthBytes))
}

function told({ status, body }: Reply): string {
  return status === 200 ? `200, ${body.length} bytes` : `${status}, ${body}`
}
