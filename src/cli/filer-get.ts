/** Files and folders of the store into the local file system. A file appears under its name only when it is whole. */
import { createHash } from 'node:crypto'
import { createWriteStream, type Stats, statSync } from 'node:fs'
import { chmod, mkdir, rename, rm, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StoreError } from '../base/errors.ts'
import type { FilerClient, RemoteEntry } from '../client/filer-client.ts'
import { joinPath } from './filer-settings.ts'

export interface GetItem {
  storePath: string
  localPath: string
  entry: RemoteEntry
}

/** Names that no local directory entry can have, or that would lead out of it. */
const isLocalName = (name: string) => name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)

/** Lists a directory of the store: what to fetch, without what is here as it is. Makes the local directories. */
export async function planGet(
  filer: FilerClient,
  store: string,
  local: string,
): Promise<{ items: GetItem[]; present: number }> {
  const plan = { items: [] as GetItem[], present: 0 }
  const pending = [{ store, local }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    await mkdir(next.local, { recursive: true })
    for await (const entry of filer.list(next.store)) {
      if (!isLocalName(entry.name)) {
        throw new StoreError('bad_request', `${joinPath(next.store, entry.name)} cannot be a local file`)
      }
      const [storePath, localPath] = [joinPath(next.store, entry.name), join(next.local, entry.name)]
      if (entry.isDirectory) pending.push({ store: storePath, local: localPath })
      else if (isSame(entry, statSync(localPath, { throwIfNoEntry: false }))) plan.present++
      else plan.items.push({ storePath, localPath, entry })
    }
  }
  return plan
}

const timeOf = (entry: RemoteEntry) => entry.sourceModifiedMs ?? entry.modifiedMs

function isSame(entry: RemoteEntry, info: Stats | undefined): boolean {
  return (
    info?.isFile() === true &&
    info.size === entry.sizeBytes &&
    Math.floor(info.mtimeMs) === Math.floor(timeOf(entry))
  )
}

/** Fetches one file, going on where an earlier try stopped; its time and mode are those it had. */
export async function getFile(
  filer: FilerClient,
  item: GetItem,
  onBytes: (count: number) => void,
): Promise<void> {
  const { storePath, localPath, entry } = item
  const first = await filer.get(storePath, undefined)
  const identity = createHash('sha256').update(`${storePath}\n${first.etag}`).digest('hex')
  // Short, since a name may be as long as the disk allows.
  const partial = join(dirname(localPath), `.${identity.slice(0, 32)}.cairn-part`)
  const startBytes = statSync(partial, { throwIfNoEntry: false })?.size ?? 0
  let download = first
  if (startBytes > 0 && startBytes < first.sizeBytes) {
    first.discard()
    download = await filer.get(storePath, { startBytes, etag: first.etag })
  }
  const flags = download.isWhole ? 'w' : 'a'
  if (flags === 'a') onBytes(startBytes)
  const counted = async function* () {
    for await (const piece of download.body) {
      onBytes(piece.length)
      yield piece
    }
  }
  await pipeline(Readable.from(counted()), createWriteStream(partial, { flags }))
  const written = statSync(partial).size
  if (written !== first.sizeBytes) {
    await rm(partial, { force: true })
    throw new StoreError('incomplete_body', `${written} of ${first.sizeBytes} bytes arrived`)
  }
  await chmod(partial, entry.mode === 0 ? 0o644 : entry.mode)
  await utimes(partial, timeOf(entry) / 1000, timeOf(entry) / 1000)
  await rename(partial, localPath)
}
