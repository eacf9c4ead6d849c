/** Local files and folders into the store, by path. What is there already, from an earlier try, is not sent again. */
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, type Stats, statSync } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { StoreError } from '../base/errors.ts'
import { UPLOAD_AT_ONCE_BYTES_MAX } from '../base/limits.ts'
import type { FilerClient, FileToPut, RemoteEntry } from '../client/filer-client.ts'
import { joinPath } from './filer-settings.ts'
import { fileIdentity } from './upload-state.ts'

export interface PutOptions {
  filer: FilerClient
  /** Larger files go in pieces of this, which can be resumed. */
  pieceBytes: number
  onBytes: (count: number) => void
  signal: AbortSignal
}

export interface PutItem {
  localPath: string
  storePath: string
  info: Stats
}

const READ_BYTES = 1 << 18

/** Lists a local folder: the files to be sent, without those that are there as they are, and the directories that nothing is stored in. */
export async function planPut(
  filer: FilerClient,
  local: string,
  store: string,
): Promise<{ items: PutItem[]; emptyDirectories: string[]; present: number }> {
  const plan = { items: [] as PutItem[], emptyDirectories: [] as string[], present: 0 }
  const pending = [{ local, store, isNew: false }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const entries = await readdir(next.local, { withFileTypes: true })
    const there = next.isNew ? undefined : await entriesThere(filer, next.store)
    let isEmpty = true
    for (const entry of entries) {
      const { name } = entry
      const [localPath, storePath] = [join(next.local, name), joinPath(next.store, name)]
      // A link is what it leads to; one that leads nowhere is left out, and one to a directory could lead in a circle.
      const info = await stat(localPath).catch(() => undefined)
      if (info?.isDirectory() && !entry.isSymbolicLink()) {
        // Below what is not there, nothing is there: that needs no question.
        pending.push({ local: localPath, store: storePath, isNew: there?.get(name)?.isDirectory !== true })
        isEmpty = false
      }
      if (!info?.isFile()) continue
      isEmpty = false
      if (isSame(there?.get(name), info)) plan.present++
      else plan.items.push({ localPath, storePath, info })
    }
    if (isEmpty && there === undefined) plan.emptyDirectories.push(next.store)
  }
  return plan
}

async function entriesThere(
  filer: FilerClient,
  path: string,
): Promise<ReadonlyMap<string, RemoteEntry> | undefined> {
  const there = new Map<string, RemoteEntry>()
  try {
    for await (const entry of filer.list(path)) there.set(entry.name, entry)
    return there
  } catch (error) {
    if (error instanceof StoreError && error.code === 'not_found') return undefined
    throw error
  }
}

function isSame(entry: RemoteEntry | undefined, info: Stats): boolean {
  return (
    entry !== undefined &&
    !entry.isDirectory &&
    entry.sizeBytes === info.size &&
    entry.sourceModifiedMs === Math.floor(info.mtimeMs)
  )
}

/** Where one local file goes: into a directory under its own name, or to the very path. */
export async function targetOf(filer: FilerClient, localPath: string, target: string): Promise<string> {
  const there = target === '/' || (await filer.stat(target))?.isDirectory
  return there ? joinPath(target, basename(localPath)) : target
}

/** Sends one file. */
export async function putFile(item: PutItem, options: PutOptions): Promise<void> {
  const { filer, onBytes, pieceBytes } = options
  const { localPath, storePath, info } = item
  const file: FileToPut = { sizeBytes: info.size, modifiedMs: info.mtimeMs, mode: info.mode & 0o777 }
  if (info.size > pieceBytes) return await putInPieces(item, file, options)
  const content =
    info.size <= UPLOAD_AT_ONCE_BYTES_MAX
      ? readFileSync(localPath)
      : createReadStream(localPath, { highWaterMark: READ_BYTES })
  await filer.put(storePath, content, file)
  onBytes(info.size)
}

/**
 * A large file grows piece by piece under another name beside its own, and gets its own when it is whole. The other name
 * tells which state of which local file it is, so that the next try goes on.
 */
async function putInPieces(item: PutItem, file: FileToPut, options: PutOptions): Promise<void> {
  const { filer, pieceBytes, onBytes, signal } = options
  const { localPath, storePath, info } = item
  const identity = createHash('sha256')
    .update(`${storePath}\n${fileIdentity(info)}`)
    .digest('hex')
  const directory = storePath.slice(0, storePath.lastIndexOf('/')) || '/'
  const partial = joinPath(directory, `.${identity.slice(0, 32)}.cairn-part`)
  const there = await filer.stat(partial)
  let sent = there?.sizeBytes ?? 0
  onBytes(sent)
  const handle = await open(localPath)
  try {
    while (sent < info.size) {
      if (signal.aborted) throw new StoreError('unavailable', 'interrupted; the same command goes on')
      const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, info.size - sent))
      await readFully(handle, piece, sent)
      await filer.append(partial, piece, file)
      sent += piece.length
      onBytes(piece.length)
    }
  } finally {
    await handle.close()
  }
  if (fileIdentity(statSync(localPath)) !== fileIdentity(info)) {
    await filer.remove(partial, { recursive: false })
    throw new StoreError('conflict', 'the file changed while it was read')
  }
  await filer.move(partial, storePath)
}

async function readFully(
  handle: Awaited<ReturnType<typeof open>>,
  into: Buffer,
  position: number,
): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled)
    if (bytesRead === 0) throw new StoreError('conflict', 'the file became shorter while it was read')
    filled += bytesRead
  }
}
