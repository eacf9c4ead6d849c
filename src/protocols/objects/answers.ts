/** What is answered to whom asks for objects, versions and places, or uploads in steps; how it travels is `server.ts`. */
import type { Clock } from '../../base/clock.ts'
import { StoreError } from '../../base/errors.ts'
import { errorOutcome, type Outcome, rawHeader } from '../../net/reply.ts'
import type { Contents } from '../../objects/contents.ts'
import type { ObjectBody, ObjectStore } from '../../objects/object-store.ts'
import type { NumberedVersions } from '../../objects/version-numbers.ts'
import { readObject } from './get-object.ts'
import type { ObjectLocator } from './locator.ts'
import { announcedHash, decodedName, hashOf, versionOfQuery } from './object-path.ts'
import { StoredObjects } from './stored-objects.ts'
import { UploadTokens } from './upload-token.ts'
import { StepUploads } from './uploads.ts'
import { versionLines } from './version-lines.ts'

export interface AnswersOptions {
  objects: ObjectStore
  contents: Contents
  versions: NumberedVersions
  locator: ObjectLocator
  clock: Clock
  /** Account that owns the bucket. */
  owner: string
  /** A PUT without a Digest is refused. */
  needsDigest: boolean
  /** Of the installation: signs the tokens of uploads. */
  secret: string
  /** Who may remove versions for good, and orphans. Throws `unauthorized`. `authorization`: the header. */
  checkAdmin: (head: { method: string; path: string }, authorization: string | undefined) => void
  /** Searches for bytes that nothing names, and says how far it is. */
  removeOrphans: (options: { isDryRun: boolean }) => AsyncIterable<OrphanCounts>
}

export interface OrphanCounts {
  searched: number
  orphans: number
  bytes: number
}

/** A request as both ways of serving have it. */
export interface Asked {
  method: string
  /** Without the query. */
  path: string
  query: string
  target: string
  rawHeaders: readonly string[]
  /** Asked for at most once. */
  body(): Promise<TakenBody>
}

export interface TakenBody {
  body: ObjectBody
  release(): void
}

/** A reply whose length is not known before its end. */
export interface Lines {
  lines: AsyncIterable<Buffer>
}

export type Answer = Outcome | Lines

/** Not Authorization, which may hold a password. */
const ADMIN_HEADER = 'cairn-authorization'
const UPLOAD_RANGE = /^bytes=([0-9]{1,15})-[0-9]*$/
const UPLOAD_SIZE = /^[0-9]{1,15}$/

export class Answers {
  readonly #options: AnswersOptions
  readonly #stored: StoredObjects
  readonly #uploads: StepUploads

  constructor(options: AnswersOptions) {
    this.#options = options
    this.#stored = new StoredObjects(options)
    const tokens = new UploadTokens(options.secret)
    this.#uploads = new StepUploads({ ...options, stored: this.#stored, tokens })
  }

  /** Throws StoreErrors, and RangeMismatch. */
  async answer(asked: Asked): Promise<Answer> {
    const { method, path } = asked
    if (path.startsWith('/objects/')) return await this.#object(asked, path.slice('/objects/'.length))
    if (path.startsWith('/temp/')) return await this.#temp(asked, path.slice('/temp/'.length))
    const isRead = method === 'GET' || method === 'HEAD'
    if (path.startsWith('/versions/'))
      return isRead ? this.#versions(path.slice('/versions/'.length)) : notAllowed(method, 'GET')
    if (path.startsWith('/locate/'))
      return isRead ? await this.#locate(path.slice('/locate/'.length)) : notAllowed(method, 'GET')
    if (path === '/healthz') return plain(200)
    if (path === '/orphans') return this.#orphans(asked)
    return errorOutcome(404, 'there are /objects/, /versions/, /locate/ and /temp/')
  }

  async #object(asked: Asked, quoted: string): Promise<Outcome> {
    const { method, rawHeaders, query } = asked
    const name = decodedName(quoted)
    switch (method) {
      case 'GET':
      case 'HEAD': {
        const stored = await this.#stored.find(name, versionOfQuery(query))
        return await readObject(stored, { method, range: rawHeader(rawHeaders, 'range') })
      }
      case 'PUT':
        return await this.#put(asked, name)
      case 'POST':
        return await this.#beginUpload(asked, name)
      case 'DELETE':
        return await this.#remove(asked, name)
      default:
        return notAllowed(method, 'GET, HEAD, PUT, POST, DELETE')
    }
  }

  async #put(asked: Asked, name: string): Promise<Outcome> {
    const expected = announcedHash(rawHeader(asked.rawHeaders, 'digest'))
    if (expected === undefined && this.#options.needsDigest) throw noDigest()
    const { body, release } = await asked.body()
    try {
      await this.#stored.put(name, body, expected)
    } finally {
      release()
    }
    return plain(200)
  }

  async #beginUpload({ rawHeaders }: Asked, name: string): Promise<Outcome> {
    const sha256 = announcedHash(rawHeader(rawHeaders, 'digest'))
    if (sha256 === undefined) throw noDigest()
    const size = rawHeader(rawHeaders, 'size') ?? ''
    if (!UPLOAD_SIZE.test(size))
      throw new StoreError('bad_request', 'a header Size is needed: the bytes of the object')
    const token = await this.#uploads.begin(name, { sha256, sizeBytes: Number(size) })
    if (token === undefined) return plain(200)
    return { ...plain(201), headers: ['Location', `/temp/${token}`] }
  }

  async #remove({ method, target, query, rawHeaders }: Asked, name: string): Promise<Outcome> {
    const number = versionOfQuery(query)
    if (number === undefined) await this.#stored.remove(name)
    else {
      this.#options.checkAdmin({ method, path: target }, rawHeader(rawHeaders, ADMIN_HEADER))
      await this.#stored.purge(name, number)
    }
    return plain(200)
  }

  #orphans({ method, target, query, rawHeaders }: Asked): Answer {
    if (method !== 'POST') return notAllowed(method, 'POST')
    this.#options.checkAdmin({ method, path: target }, rawHeader(rawHeaders, ADMIN_HEADER))
    return { lines: jsonLines(this.#options.removeOrphans({ isDryRun: query === 'dry-run' })) }
  }

  async #temp(asked: Asked, token: string): Promise<Outcome> {
    const { method, rawHeaders } = asked
    if (method === 'HEAD') return { ...plain(200), sizeBytes: await this.#uploads.receivedBytes(token) }
    if (method !== 'PUT') return notAllowed(method, 'HEAD, PUT')
    const range = rawHeader(rawHeaders, 'range')
    const [, first] = range === undefined ? ['', '0'] : (UPLOAD_RANGE.exec(range) ?? [])
    if (first === undefined) throw new StoreError('bad_request', 'the Range is bytes=<first>-')
    const { body, release } = await asked.body()
    try {
      await this.#uploads.take({ token, first: Number(first), body })
    } finally {
      release()
    }
    return plain(200)
  }

  #versions(quoted: string): Lines {
    return { lines: versionLines(this.#stored.versions(quoted === '' ? undefined : decodedName(quoted))) }
  }

  async #locate(quoted: string): Promise<Outcome> {
    const sha256 = hashOf(decodedName(quoted))
    const bucket = sha256 && (await this.#stored.bucket())
    const place = bucket && (await this.#options.locator.locate(bucket, sha256))
    if (place === undefined) return errorOutcome(404, 'there are no such bytes, or too few of their shards')
    const headers = ['Content-Type', 'text/plain; charset=utf-8']
    return { status: 200, headers, body: JSON.stringify(place) }
  }
}

async function* jsonLines(values: AsyncIterable<object>): AsyncGenerator<Buffer> {
  for await (const value of values) yield Buffer.from(`${JSON.stringify(value)}\n`)
}

const plain = (status: number): Outcome => ({ status, headers: [], body: undefined })

const noDigest = () =>
  new StoreError('bad_request', 'a header `Digest: SHA-256=<base64>` of the bytes is needed')

function notAllowed(method: string, allowed: string): Outcome {
  const outcome = errorOutcome(405, `method ${method} is not allowed`)
  outcome.headers.push('Allow', allowed)
  return outcome
}
