/** Moving files between the local disk and a store, several at a time: what upload, download and delete share. */
import { createReadStream, createWriteStream, readFileSync, type Stats, statSync } from 'node:fs'
import { link, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../base/clock.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { UPLOAD_AT_ONCE_BYTES_MAX } from '../base/limits.ts'
import { systemRandom } from '../base/random.ts'
import { type ProgressOutput, startProgress } from '../bench/progress.ts'
import type { CairnClient, UploadOptions, UploadResult } from '../client/cairn-client.ts'
import { type LargeFileOptions, uploadLargeFile } from './large-file.ts'
import type { SmallFiles } from './small-files.ts'

export interface TransferOutput {
  /** One line of the result. */
  line(text: string): void
  /** One failure, with what it happened to. */
  failure(what: string, error: StoreError): void
  progress: ProgressOutput
  clock: Clock
}

/** Runs `work` on each item, at most `parallel` at a time. Resolves to how many failed; each failure was shown. */
export async function transferAll<T>(
  items: readonly T[],
  options: {
    label: string
    parallel: number
    nameOf: (item: T) => string
    work: (item: T) => Promise<void>
    /** Another way to show progress than by number: starts it, and gives what stops it. */
    showProgress?: () => () => void
    /** Ends the work after what is in flight. */
    signal?: AbortSignal
  },
  output: TransferOutput,
): Promise<number> {
  let [next, done, failed] = [0, 0, 0]
  const failures: [string, StoreError][] = []
  const worker = async () => {
    while (next < items.length && !options.signal?.aborted) {
      const item = items[next++]!
      try {
        await options.work(item)
        done++
      } catch (error) {
        failed++
        failures.push([options.nameOf(item), toStoreError(error)])
      }
    }
  }
  // One file needs no bar.
  const stop = options.showProgress
    ? options.showProgress()
    : items.length > 1
      ? startProgress({
          output: output.progress,
          clock: output.clock,
          label: options.label,
          total: items.length,
          state: () => ({ done, failed }),
        })
      : () => undefined
  await Promise.all(Array.from({ length: Math.min(options.parallel, items.length) }, worker))
  stop()
  // After the bar, so that they stay on the screen.
  for (const [what, error] of failures) output.failure(what, error)
  return failed + (items.length - next)
}

export interface LocalFile {
  path: string
  /** As it is shown: the base name, or the way from the directory that was asked for. */
  shownName: string
}

/** The files named, and all those below the directories named. Links to directories are not followed. */
export async function listFiles(
  files: readonly string[],
  directories: readonly string[],
): Promise<LocalFile[]> {
  const found: LocalFile[] = files.map((path) => ({ path, shownName: basename(path) }))
  const pending = directories.map((directory) => ({ root: directory, directory }))
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { root, directory } = next
    const entries = await readdir(directory, { withFileTypes: true }).catch((error: Error) => {
      throw new StoreError('bad_request', `cannot read the directory ${directory}: ${error.message}`, {
        cause: error,
      })
    })
    for (const entry of entries) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) pending.push({ root, directory: path })
      const isFile =
        entry.isFile() || (entry.isSymbolicLink() && (await stat(path).catch(() => undefined))?.isFile())
      if (isFile) found.push({ path, shownName: relative(root, path) })
    }
  }
  return found
}

/** The files of a folder, each with its path below `path`. Throws `bad_request`. */
export async function filesBelow(folder: string, path: string): Promise<{ local: string; path: string }[]> {
  const above = path.endsWith('/') ? path : `${path}/`
  return (await listFiles([], [folder])).map((file) => ({ local: file.path, path: above + file.shownName }))
}

export interface UploadPlan {
  options: Pick<UploadOptions, 'collection' | 'ttl' | 'replication'>
  large: LargeFileOptions
  /** The short way for many small files. */
  small: SmallFiles | undefined
}

/** Stores one file, and shows what became of it as a line of JSON. */
export async function uploadFile(
  client: CairnClient,
  file: LocalFile,
  plan: UploadPlan,
  output: TransferOutput,
): Promise<void> {
  const info = statSync(file.path)
  if (!info.isFile()) throw new StoreError('bad_request', 'not a file')
  const options = {
    ...plan.options,
    name: basename(file.path),
    sizeBytes: info.size,
    lastModifiedS: Math.max(0, Math.floor(info.mtimeMs / 1_000)),
  }
  const stored = await storeFile(client, { path: file.path, info }, { ...plan, options })
  const { fid, url, eTag } = stored
  output.line(JSON.stringify({ fileName: file.shownName, fid, url, size: info.size, eTag }))
}

async function storeFile(
  client: CairnClient,
  file: { path: string; info: Stats },
  { options, large, small }: Omit<UploadPlan, 'options'> & { options: UploadOptions },
): Promise<UploadResult> {
  const { path, info } = file
  if (info.size > large.chunkBytes) return await uploadLargeFile(client, file, options, large)
  // A small file is read at once: the way over a stream, and over other threads, would take longer than its bytes.
  const bytes = info.size <= UPLOAD_AT_ONCE_BYTES_MAX ? readFileSync(path) : undefined
  const quick = bytes === undefined ? undefined : await small?.store(bytes, options)
  if (quick !== undefined) {
    large.onBytes(info.size)
    return quick
  }
  const content = bytes ?? (() => createReadStream(path, { highWaterMark: 1 << 18 }))
  const stored = await client.upload(content, options)
  large.onBytes(info.size)
  return stored
}

/** Where a download goes: to a path, or into a directory under the name it was stored with. */
export type DownloadTarget = { path: string } | { directory: string; overwrite: boolean }

/** Fetches one file. Its path holds the whole, verified file or is left as it was. */
export async function downloadFile(
  client: CairnClient,
  fid: string,
  target: DownloadTarget,
): Promise<{ path: string; sizeBytes: number }> {
  const download = await client.download(fid)
  const path = 'path' in target ? target.path : join(target.directory, safeName(download.name) ?? fid)
  // Short, since a name may be as long as the disk allows.
  const partial = join(dirname(path), `.${systemRandom.bytes(16).toString('hex')}.part`)
  let sizeBytes = 0
  const counted = async function* () {
    for await (const piece of download.body) {
      sizeBytes += piece.length
      yield piece
    }
  }
  try {
    await pipeline(Readable.from(counted()), createWriteStream(partial, { flags: 'wx' }))
    if ('path' in target || target.overwrite) await rename(partial, path)
    else await linkNew(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  return { path, sizeBytes }
}

/** Gives a file its name unless that is taken. */
async function linkNew(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new StoreError('conflict', `${to} exists already`)
  }
  await rm(from)
}

/** Writes one file to standard output. What was written when it fails is to be thrown away. */
export async function downloadToStdout(client: CairnClient, fid: string, stdout: Writable): Promise<void> {
  const download = await client.download(fid)
  await pipeline(Readable.from(download.body), stdout, { end: false })
}

/** A stored name as the name of a local file: never a path, never hidden. Undefined where nothing is left of it. */
export function safeName(name: string | undefined): string | undefined {
  const base = name
    ?.split(/[/\\]/)
    .at(-1)
    ?.replace(/\p{Cc}/gu, '_')
    .replace(/^\.+/, '')
  return base === undefined || base === '' ? undefined : base
}
