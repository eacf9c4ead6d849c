/** Objects with versions over HTTP, on a real store in this process, with a clock that the test sets. */
import { createHash } from 'node:crypto'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { Contents } from '../../src/objects/contents.ts'
import type { ObjectStore } from '../../src/objects/object-store.ts'
import { NumberedVersions } from '../../src/objects/version-numbers.ts'
import type { ObjectLocator } from '../../src/protocols/objects/locator.ts'
import { ObjectsServer, type ObjectsServerOptions } from '../../src/protocols/objects/server.ts'
import { type ObjectsKit, type SetClock, startObjects } from '../objects/objects-kit.ts'

const MIB = 1024 * 1024
const SECRET = 'a secret of all servers of this test'

export interface DoorKit {
  store: ObjectStore
  contents: Contents
  clock: SetClock
  url(target: string): string
  put(name: string, bytes: string | Buffer, headers?: Record<string, string>): Promise<Response>
  /** Status and text. */
  get(target: string, headers?: Record<string, string>): Promise<[number, string]>
  /** Another server on the same store. */
  another(options: Partial<ObjectsServerOptions>): Promise<{ url(target: string): string }>
  close(): Promise<void>
}

export const digest = (bytes: string | Buffer) => `SHA-256=${hash(bytes)}`
export const hash = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('base64')

/** `Authorization` of who may remove versions for good. */
export const ADMIN = { 'cairn-authorization': 'the operator' }

export async function startDoor(options: Partial<ObjectsServerOptions> = {}): Promise<DoorKit> {
  const kit = await startObjects()
  const contents = new Contents({ ...kit, random })
  const servers: ObjectsServer[] = []
  const another = async (more: Partial<ObjectsServerOptions>) => {
    const server = new ObjectsServer({ ...optionsOf(kit, contents), ...more })
    servers.push(server)
    const port = await server.listen({ host: '127.0.0.1', port: 0 })
    return { url: (target: string) => `http://127.0.0.1:${port}${target}` }
  }
  const { url } = await another(options)
  return {
    ...{ store: kit.store, contents, clock: kit.clock, url, another },
    put: (name, body, headers = {}) =>
      fetch(url(`/objects/${name}`), {
        method: 'PUT',
        headers: { digest: digest(body), ...headers },
        body: new Uint8Array(Buffer.from(body)),
      }),
    async get(target, headers = {}) {
      const reply = await fetch(url(target), { headers })
      return [reply.status, await reply.text()]
    },
    async close() {
      await Promise.all(servers.map((server) => server.close()))
      await kit.close()
    },
  }
}

function optionsOf(kit: ObjectsKit, contents: Contents): ObjectsServerOptions {
  const locator: ObjectLocator = {
    async locate(bucket, sha256) {
      return (await contents.firstBlob({ bucket, sha256 })) && '127.1.1.2:12345'
    },
  }
  return {
    ...{ objects: kit.store, contents, locator, clock: kit.clock, random, log: silentLog },
    versions: new NumberedVersions({ meta: kit.meta, objects: kit.store, pageRows: 3 }),
    ...{ owner: 'root', needsDigest: true, secret: SECRET },
    checkAdmin(_head, authorization) {
      if (authorization !== 'the operator') throw new StoreError('unauthorized', 'not you')
    },
    async *removeOrphans() {},
    bodyBudget: new BodyBudget(new SharedArrayBuffer(4), 64 * MIB),
  }
}
