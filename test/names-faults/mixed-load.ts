/**
 * Writers that create, overwrite, append, rename, copy and delete through the filer and through S3, each in a place of its own,
 * one operation after the other. So each knows what must be there: what was acknowledged, and for one operation at most, the one
 * in flight when the server died, either the state before or the one after.
 */
import assert from 'node:assert/strict'
import type { Random } from '../../src/base/random.ts'
import { FilerClient } from '../../src/client/filer-client.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { element } from '../s3/s3-kit.ts'
import type { ServerProcess } from '../support/cairn-process.ts'
import { dataOf, KIB, MIB } from '../support/needles.ts'
import { S3Door } from './s3-door.ts'

const BUCKET = 'load'
const FILES_MAX = 50
const REQUEST_MS_MAX = 20_000
const SIZES = [0, 1, 700, 700, 3 * KIB, 3 * KIB, 20 * KIB, 100 * KIB]
/** Above one chunk. */
const LARGE_BYTES = 4 * MIB + 100 * KIB
const FILE = { modifiedMs: 1_700_000_000_000, mode: 0o644 }

interface Piece {
  seed: number
  lengthBytes: number
}
/** Paths or keys, and the pieces that their bytes are made of. */
type State = Map<string, readonly Piece[]>
/** What is done, and the state after it. */
interface Step {
  after: State
  run: () => Promise<unknown>
  /** Its name, for reports of failures. */
  name: string
}

const bytesOf = (pieces: readonly Piece[]) =>
  Buffer.concat(pieces.map(({ seed, lengthBytes }) => dataOf(seed, lengthBytes)))

export class MixedLoad {
  acknowledged = 0
  readonly #writers: Writer[]
  #http: HttpClient | undefined

  constructor(random: Random, { filerWriters = 5, s3Writers = 5 } = {}) {
    this.#writers = [
      ...Array.from({ length: filerWriters }, (_, at) => new FilerWriter(random, `/w${at}`)),
      ...Array.from({ length: s3Writers }, (_, at) => new S3Writer(random, `s${at}/`)),
    ]
  }

  get files(): number {
    return this.#writers.reduce((sum, { state }) => sum + state.size, 0)
  }

  /** Before the first use, and after each restart. */
  async connect(server: ServerProcess): Promise<void> {
    this.close()
    this.#http = new HttpClient({ timeoutMs: REQUEST_MS_MAX })
    const filer = new FilerClient({ http: this.#http, url: `http://${server.filer}` })
    const s3 = new S3Door(server)
    const { status } = await s3.client.head(`/${BUCKET}`)
    if (status === 404) await s3.must(s3.client.put(`/${BUCKET}`))
    for (const writer of this.#writers) writer.doors = { filer, s3 }
  }

  /** Until `isOver`; what fails after that was in flight. */
  async run(isOver: () => boolean): Promise<void> {
    await Promise.all(
      this.#writers.map(async (writer) => {
        while (!isOver() && (await writer.step(isOver))) this.acknowledged++
      }),
    )
  }

  /** Listings and reads say what was acknowledged. */
  async verify(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.verify()))
  }

  close(): void {
    this.#http?.close()
  }
}

abstract class Writer {
  doors!: { filer: FilerClient; s3: S3Door }
  state: State = new Map()
  protected readonly random: Random
  protected readonly root: string
  #inDoubt: Step | undefined
  #count = 0

  constructor(random: Random, root: string) {
    this.random = random
    this.root = root
  }

  protected abstract choose(path: string | undefined, dice: number): Step
  protected abstract list(): Promise<Map<string, number>>
  protected abstract read(path: string): Promise<Buffer>

  /** False: the server is gone. */
  async step(isOver: () => boolean): Promise<boolean> {
    const paths = [...this.state.keys()]
    const path = paths[this.random.below(Math.max(1, paths.length))]
    const step = this.choose(path, paths.length > FILES_MAX ? 99 : this.random.below(100))
    this.#inDoubt = step
    try {
      await step.run()
    } catch (error) {
      if (isOver()) return false
      throw new Error(`${step.name}: ${String(error)}`, { cause: error })
    }
    this.state = step.after
    this.#inDoubt = undefined
    return true
  }

  async verify(): Promise<void> {
    const listed = await this.list()
    const found = new Map<string, Buffer>()
    for (const [path, sizeBytes] of listed) {
      const bytes = await this.read(path)
      assert.equal(bytes.length, sizeBytes, `${path}: the listing says another size`)
      found.set(path, bytes)
    }
    const wrong = difference(found, this.state)
    const inDoubt = this.#inDoubt
    this.#inDoubt = undefined
    if (wrong === undefined) return
    const wrongAfter = inDoubt === undefined ? 'nothing was in doubt' : difference(found, inDoubt.after)
    assert.equal(wrongAfter, undefined, `${wrong}; in doubt: ${inDoubt?.name}`)
    this.state = inDoubt!.after
  }

  protected newPiece(): Piece {
    const seed = this.random.u32() >>> 1
    const isLarge = this.random.below(120) === 0
    return { seed, lengthBytes: isLarge ? LARGE_BYTES : SIZES[this.random.below(SIZES.length)]! }
  }

  protected nextNumber(): number {
    return this.#count++
  }

  /** The state with changes: undefined takes a path away. */
  protected with(...changes: [path: string, pieces: readonly Piece[] | undefined][]): State {
    const after = new Map(this.state)
    for (const [path, pieces] of changes) {
      if (pieces === undefined) after.delete(path)
      else after.set(path, pieces)
    }
    return after
  }
}

/** In words, undefined where there is none. */
function difference(found: ReadonlyMap<string, Buffer>, expected: State): string | undefined {
  for (const [path, pieces] of expected) {
    const bytes = found.get(path)
    if (bytes === undefined) return `${path} is missing`
    if (!bytes.equals(bytesOf(pieces))) {
      return `${path} has ${bytes.length} bytes that are not the ${bytesOf(pieces).length} expected`
    }
  }
  for (const path of found.keys()) if (!expected.has(path)) return `${path} should not be there`
  return undefined
}

class FilerWriter extends Writer {
  protected choose(path: string | undefined, dice: number): Step {
    const { filer } = this.doors
    if (path === undefined || dice < 35) return this.#put(this.#newPath())
    if (dice < 45) return this.#put(path)
    if (dice < 60) {
      const piece = this.newPiece()
      return {
        name: `append to ${path}`,
        after: this.with([path, [...this.state.get(path)!, piece]]),
        run: () => filer.append(path, bytesOf([piece]), { ...FILE, sizeBytes: piece.lengthBytes }),
      }
    }
    if (dice < 70) {
      const to = dice < 65 ? this.#newPath() : [...this.state.keys()][0]!
      if (to === path) return this.#put(path)
      return {
        name: `rename ${path} to ${to}`,
        after: this.with([to, this.state.get(path)!], [path, undefined]),
        run: () => filer.move(path, to),
      }
    }
    const directory = path.slice(0, path.lastIndexOf('/'))
    const within = [...this.state].filter(([each]) => each.startsWith(`${directory}/`))
    if (dice < 78) {
      const to = `${this.root}/moved${this.nextNumber()}`
      const changes = within.flatMap(([each, pieces]): [string, readonly Piece[] | undefined][] => [
        [each, undefined],
        [to + each.slice(directory.length), pieces],
      ])
      return {
        name: `rename directory ${directory} to ${to}`,
        after: this.with(...changes),
        run: () => filer.move(directory, to),
      }
    }
    if (dice < 84) {
      return {
        name: `remove directory ${directory}`,
        after: this.with(...within.map(([each]): [string, undefined] => [each, undefined])),
        run: () => filer.remove(directory, { recursive: true }),
      }
    }
    return {
      name: `remove ${path}`,
      after: this.with([path, undefined]),
      run: () => filer.remove(path, { recursive: false }),
    }
  }

  #newPath(): string {
    return `${this.root}/d${this.random.below(4)}/file ${this.nextNumber()} é&?.bin`
  }

  #put(path: string): Step {
    const piece = this.newPiece()
    return {
      name: `put ${path}`,
      after: this.with([path, [piece]]),
      run: () => this.doors.filer.put(path, bytesOf([piece]), { ...FILE, sizeBytes: piece.lengthBytes }),
    }
  }

  protected async list(): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    if ((await this.doors.filer.stat(this.root)) === undefined) return found
    const pending = [this.root]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for await (const { name, isDirectory, sizeBytes } of this.doors.filer.list(next)) {
        if (isDirectory) pending.push(`${next}/${name}`)
        else found.set(`${next}/${name}`, sizeBytes)
      }
    }
    return found
  }

  protected async read(path: string): Promise<Buffer> {
    const { body } = await this.doors.filer.get(path, undefined)
    const pieces: Buffer[] = []
    for await (const piece of body) pieces.push(piece)
    return Buffer.concat(pieces)
  }
}

class S3Writer extends Writer {
  protected choose(key: string | undefined, dice: number): Step {
    const { s3 } = this.doors
    if (key === undefined || dice < 40) return this.#put(this.#newKey())
    if (dice < 55) return this.#put(key)
    if (dice < 65) {
      const to = this.#newKey()
      const headers = { 'x-amz-copy-source': encodeURI(`/${BUCKET}/${key}`) }
      return {
        name: `copy ${key} to ${to}`,
        after: this.with([to, this.state.get(key)!]),
        run: async () => {
          const { text } = await s3.must(s3.client.put(`/${BUCKET}/${to}`, '', { headers }))
          assert.match(text, /<CopyObjectResult/)
        },
      }
    }
    if (dice < 75) {
      const piece = this.newPiece()
      const after = this.with([key, [piece]])
      return { name: `upload ${key}`, after, run: () => this.#upload(key, bytesOf([piece])) }
    }
    return {
      name: `delete ${key}`,
      after: this.with([key, undefined]),
      run: () => s3.must(s3.client.delete(`/${BUCKET}/${key}`)),
    }
  }

  #newKey(): string {
    return `${this.root}d${this.random.below(3)}//key ${this.nextNumber()}/`
  }

  #put(key: string): Step {
    const piece = this.newPiece()
    const { s3 } = this.doors
    return {
      name: `put ${key}`,
      after: this.with([key, [piece]]),
      run: () => s3.must(s3.client.put(`/${BUCKET}/${key}`, bytesOf([piece]))),
    }
  }

  async #upload(key: string, bytes: Buffer): Promise<void> {
    const { s3 } = this.doors
    const path = `/${BUCKET}/${key}`
    const begun = await s3.must(s3.client.send('POST', { path, query: { uploads: '' } }))
    const uploadId = element(begun.text, 'UploadId')!
    const part = await s3.must(
      s3.client.send('PUT', { path, query: { partNumber: '3', uploadId }, body: bytes }),
    )
    const list = `<Part><PartNumber>3</PartNumber><ETag>${part.headers.etag}</ETag></Part>`
    const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`
    const { text } = await s3.must(s3.client.send('POST', { path, query: { uploadId }, body }))
    assert.match(text, /<CompleteMultipartUploadResult/)
  }

  protected list(): Promise<Map<string, number>> {
    return this.doors.s3.keys(BUCKET, this.root)
  }

  protected async read(key: string): Promise<Buffer> {
    return (await this.doors.s3.must(this.doors.s3.client.get(`/${BUCKET}/${key}`))).body
  }
}
