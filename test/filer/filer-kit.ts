/** A filer on a real store: volumes, SQLite and a port of its own, all in this process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { BlobStore } from '../../src/blobs/blob-store.ts'
import type { KeyRequest } from '../../src/blobs/id-lease.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { BlobContentReader } from '../../src/objects/content-reader.ts'
import { BlobContentWriter, UPLOAD_LOAD_BYTES, UploadLoad } from '../../src/objects/content-writer.ts'
import { inlineHashPool } from '../../src/objects/digests.ts'
import { IndexedStore } from '../../src/objects/indexed-store.ts'
import type { ObjectStore } from '../../src/objects/object-store.ts'
import { ObjectTree } from '../../src/objects/tree.ts'
import { MultipartUploads } from '../../src/objects/uploads.ts'
import { FilerServer, type FilerServerOptions } from '../../src/protocols/filer/server.ts'
import { startBlobStore } from '../blob-store/blob-store-kit.ts'
import { CheckedNames } from '../support/checked-names.ts'
import { objectKeys } from '../support/object-keys.ts'
import { type Ask, ask, type FormFile, form, type Reply } from '../volume-server/volume-server-kit.ts'

const MIB = 1024 * 1024

/** The system's clock, a while ahead. */
export class TurnedClock implements Clock {
  aheadMs = 0
  readonly monotonicMs = systemClock.monotonicMs
  readonly after = systemClock.after
  readonly every = systemClock.every
  readonly soon = systemClock.soon
  readonly sleep = systemClock.sleep

  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs
  }
}

export interface FilerKit {
  port: number
  server: FilerServer
  objects: ObjectStore
  clock: TurnedClock
  budget: BodyBudget
  /** What blobs were asked for: collections and TTLs. */
  asked: KeyRequest[]
  ask(request: Ask): Promise<Reply>
  get(path: string, headers?: Ask['headers']): Promise<Reply>
  put(path: string, body: string | Buffer, headers?: Ask['headers']): Promise<Reply>
  post(path: string, file: FormFile, extra?: Partial<Ask>): Promise<Reply>
  /** Lets all others have their turn. */
  clockTick(): Promise<void>
  /** Names of a directory, as its JSON lists them; directories end with a slash. */
  names(path: string): Promise<string[]>
  close(): Promise<void>
}

function openObjects(parts: { blobs: BlobStore; meta: MetaStore; clock: Clock }): ObjectStore {
  const common = { ...parts, keys: objectKeys(), random: systemRandom, hashPool: inlineHashPool }
  const load = new UploadLoad(new SharedArrayBuffer(UPLOAD_LOAD_BYTES))
  const writer = new BlobContentWriter({ ...common, load, collection: '_objects' })
  const reader = new BlobContentReader(common)
  return new IndexedStore({
    buckets: new Buckets(common),
    names: new CheckedNames({ ...common, writer, reader }),
    uploads: new MultipartUploads({ ...common, writer, reader }),
    tree: new ObjectTree(common),
  })
}

export interface FilerKitOptions extends Partial<FilerServerOptions> {
  /** URL of PostgreSQL; SQLite without it. */
  metadata?: string
}

export async function startFiler({ metadata, ...options }: FilerKitOptions = {}): Promise<FilerKit> {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-filer-'))
  const clock = new TurnedClock()
  const random = systemRandom
  const store = await startBlobStore({ isLocal: true, sync: 'none' })
  const meta = await openMetaStore(metadata ?? directory, { clock, random })
  const objects = openObjects({ blobs: store.blobs, meta, clock })
  const budget = new BodyBudget(new SharedArrayBuffer(4), 64 * MIB)
  const server = new FilerServer({
    ...{ objects, clock, random, log: silentLog, version: '0.0.0', owner: 'root' },
    ...{ filerBuckets: false, bodyBudget: budget },
    ...options,
  })
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  const kit: FilerKit = {
    ...{ port, server, objects, clock, budget, asked: store.asked },
    ask: (request) => ask(port, request),
    get: (path, headers) => ask(port, { path, headers }),
    put: (path, body, headers) => ask(port, { method: 'PUT', path, body, headers }),
    post(path, file, extra = {}) {
      const { headers, body } = form(file)
      return ask(port, { method: 'POST', path, body, ...extra, headers: { ...headers, ...extra.headers } })
    },
    clockTick: () => new Promise((resolve) => clock.soon(resolve)),
    async names(path) {
      const reply = await kit.get(path, { Accept: 'application/json' })
      const entries = (reply.json().Entries ?? []) as { FullPath: string; Mode: number }[]
      return entries.map(({ FullPath, Mode }) => {
        return `${FullPath.slice(FullPath.lastIndexOf('/') + 1)}${Mode >= 2 ** 31 ? '/' : ''}`
      })
    },
    async close() {
      await server.close()
      await meta.close()
      await store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return kit
}
