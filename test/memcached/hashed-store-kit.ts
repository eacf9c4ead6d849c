/** A hashed store on real volumes, which may be opened again, and whose files may be damaged. */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type BlobKey, KeyedBlobs } from '../../src/blobs/keyed-blobs.ts'
import { HashedStore, type NamedValue } from '../../src/objects/hashed-store.ts'
import { TurnedClock } from '../filer/filer-kit.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'

export const COLLECTION = '_keyed_test'

export interface Kit {
  store: HashedStore
  engine: RealStore
  blobs: KeyedBlobs
  clock: TurnedClock
  /** Volumes that the master names, in turn. */
  named: number[]
  /** As after the end of the process. */
  reopen(): Promise<void>
}

export interface KitOptions {
  /** Called with what is to be done behind the test, in the reverse order. */
  after: (cleanup: () => unknown) => void
  hash?: ((name: Buffer) => BlobKey) | undefined
  cacheBytesMax?: number | undefined
}

export async function openKit({ after, hash, cacheBytesMax = 10_000 }: KitOptions): Promise<Kit> {
  const directory = temporaryDirectory()
  after(() => directory.remove())
  const clock = new TurnedClock()
  const named = [1]
  const start = async () => {
    const engine = new RealStore(directory.path)
    const blobs = new KeyedBlobs({
      volumes: engine.volumes,
      sync: 'batch',
      collection: COLLECTION,
      async assign({ collection }) {
        const volumeId = named.length > 1 ? named.shift()! : named[0]!
        if (engine.volumes.get(volumeId) === undefined) await engine.create(volumeId, 0, collection)
        return { volumeId, keyHigh: 0, keyLow: 1, count: 1, url: '127.0.0.1:1' }
      },
    })
    return {
      engine,
      blobs,
      store: await HashedStore.open({ blobs, clock, cacheBytesMax, ...(hash && { hash }) }),
    }
  }
  const kit = { ...(await start()), clock, named } as Kit
  kit.reopen = async () => {
    await kit.engine.close()
    Object.assign(kit, await start())
  }
  after(() => kit.engine.close())
  return kit
}

/** Resolves with the errors of those that failed, at their numbers. */
export const setMany = (store: HashedStore, wanted: readonly NamedValue[]) =>
  new Promise<unknown[] | undefined>((resolve) => store.setMany(wanted, resolve))

export const set = ({ store }: Kit, name: string, value: string | Buffer, expiresMs = 0, flags = 0) =>
  store.update(Buffer.from(name), () => ({ flags, expiresMs, value: Buffer.from(value) }))

export const remove = ({ store }: Kit, name: string) => store.update(Buffer.from(name), () => 'remove')

export async function value({ store }: Kit, name: string): Promise<string | undefined> {
  return (await store.get(Buffer.from(name)))?.value.toString('latin1')
}

export const named = (name: string, value: string) => ({
  name: Buffer.from(name),
  flags: 0,
  expiresMs: 0,
  value: Buffer.from(value),
})

/** Changes a byte within the text, wherever it stands in volumes of the directory. */
export function damage(directory: string, text: string): void {
  for (const file of readdirSync(directory).filter((each) => each.endsWith('.dat'))) {
    const path = join(directory, file)
    const at = readFileSync(path).indexOf(text)
    if (at < 0) continue
    const handle = openSync(path, 'r+')
    writeSync(handle, '#', at + Math.floor(text.length / 2))
    closeSync(handle)
  }
}
