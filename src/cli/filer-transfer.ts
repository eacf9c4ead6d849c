/**
 * Many files between the local disk and the store, several at a time, with a bar of bytes. What `put`, `get` and `cp` share.
 * A folder goes into a target that ends with `/` (or where there are several sources), else the target is its new path:
 * whether it is there already changes nothing, so that the same command can go on. A file goes into a directory that is there.
 */
import { mkdirSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { StoreError } from '../base/errors.ts'
import type { FilerClient } from '../client/filer-client.ts'
import { startByteProgress } from './byte-progress.ts'
import { transferOutput } from './client-settings.ts'
import type { Context } from './command.ts'
import { type GetItem, getFile, planGet } from './filer-get.ts'
import { type PutItem, planPut, putFile, targetOf } from './filer-put.ts'
import { joinPath } from './filer-settings.ts'
import { transferAll } from './transfer.ts'
import { UsageError } from './usage-error.ts'

const MIB = 1024 * 1024

export interface TransferSettings {
  recurse: boolean
  parallel: number
  /** Pieces of large files. */
  maxMb: number
}

/** Stores files and folders in `target`. Resolves to the exit code. */
export async function putAll(
  filer: FilerClient,
  sources: readonly string[],
  target: { path: string; isDirectory: boolean },
  config: TransferSettings,
  context: Context,
): Promise<number> {
  const items: PutItem[] = []
  let present = 0
  for (const source of sources) {
    const info = statSync(source, { throwIfNoEntry: false })
    if (info === undefined) throw new StoreError('not_found', `no such file or directory: ${source}`)
    if (info.isDirectory()) {
      if (!config.recurse) throw new UsageError(`${source} is a directory: -r takes it with all in it`)
      const into = target.isDirectory ? joinPath(target.path, basename(resolve(source))) : target.path
      const plan = await planPut(filer, source, into)
      for (const directory of plan.emptyDirectories) await filer.makeDirectory(directory)
      items.push(...plan.items)
      present += plan.present
    } else {
      const storePath = target.isDirectory
        ? joinPath(target.path, basename(source))
        : await targetOf(filer, source, target.path)
      items.push({ localPath: source, storePath, info })
    }
  }
  let doneBytes = 0
  const options = {
    filer,
    pieceBytes: config.maxMb * MIB,
    onBytes: (count: number) => {
      doneBytes += count
    },
    signal: context.signal,
  }
  return await transfer(items, {
    ...{ config, context, present, label: 'storing' },
    doneBytes: () => doneBytes,
    sizeOf: ({ info }) => info.size,
    nameOf: ({ localPath }) => localPath,
    work: (item) => putFile(item, options),
  })
}

/** Fetches files and folders to a local path. Resolves to the exit code. */
export async function getAll(
  filer: FilerClient,
  sources: readonly string[],
  target: string,
  config: TransferSettings,
  context: Context,
): Promise<number> {
  const items: GetItem[] = []
  let present = 0
  const isDirectory = statSync(target, { throwIfNoEntry: false })?.isDirectory() === true
  if (sources.length > 1 && !isDirectory) throw new UsageError(`${target} is no directory`)
  const isInto = sources.length > 1 || /(^|\/)\.{0,2}$/.test(target)
  for (const source of sources) {
    const entry = source === '/' ? undefined : await filer.stat(source)
    if (entry === undefined && source !== '/') throw new StoreError('not_found', `nothing at ${source}`)
    const isFolder = entry === undefined || entry.isDirectory
    const into = isFolder ? isInto : isDirectory
    const localPath = into && entry !== undefined ? join(target, entry.name) : target
    if (isFolder) {
      if (!config.recurse) throw new UsageError(`${source} is a directory: -r takes it with all in it`)
      const plan = await planGet(filer, source, localPath)
      items.push(...plan.items)
      present += plan.present
    } else {
      mkdirSync(dirname(localPath), { recursive: true })
      items.push({ storePath: source, localPath, entry })
    }
  }
  let doneBytes = 0
  const onBytes = (count: number) => {
    doneBytes += count
  }
  return await transfer(items, {
    ...{ config, context, present, label: 'fetching' },
    doneBytes: () => doneBytes,
    sizeOf: ({ entry }) => entry.sizeBytes,
    nameOf: ({ storePath }) => storePath,
    work: (item) => getFile(filer, item, onBytes),
  })
}

/** Files within the store, by reference. Resolves to the exit code. */
export async function copyAll(
  filer: FilerClient,
  sources: readonly string[],
  target: string,
  config: TransferSettings,
  context: Context,
): Promise<number> {
  const there = target === '/' || (await filer.stat(target))?.isDirectory === true
  if (sources.length > 1 && !there) throw new UsageError(`${target} is no directory`)
  const items: { from: string; to: string }[] = []
  for (const source of sources) {
    const entry = await filer.stat(source)
    if (entry === undefined) throw new StoreError('not_found', `nothing at ${source}`)
    const to = there ? joinPath(target, entry.name) : target
    if (!entry.isDirectory) items.push({ from: source, to })
    else if (config.recurse) await planCopy(filer, { from: source, to }, items)
    else throw new UsageError(`${source} is a directory: -r takes it with all in it`)
  }
  return await transfer(items, {
    ...{ config, context, present: 0, label: 'copying' },
    doneBytes: () => 0,
    sizeOf: () => 0,
    nameOf: ({ from }) => from,
    work: ({ from, to }) => filer.copy(from, to),
  })
}

async function planCopy(
  filer: FilerClient,
  root: { from: string; to: string },
  items: { from: string; to: string }[],
): Promise<void> {
  if (`${root.to}/`.startsWith(`${root.from}/`))
    throw new UsageError('a directory cannot be copied into itself')
  const pending = [root]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    await filer.makeDirectory(next.to)
    for await (const { name, isDirectory } of filer.list(next.from)) {
      const item = { from: joinPath(next.from, name), to: joinPath(next.to, name) }
      if (isDirectory) pending.push(item)
      else items.push(item)
    }
  }
}

/** Does the work with a bar, and says in a line what was done. */
async function transfer<T>(
  items: readonly T[],
  plan: {
    config: TransferSettings
    context: Context
    present: number
    label: string
    doneBytes: () => number
    sizeOf: (item: T) => number
    nameOf: (item: T) => string
    work: (item: T) => Promise<void>
  },
): Promise<number> {
  const { config, context, present, label, doneBytes } = plan
  const totalBytes = items.reduce((sum, item) => sum + plan.sizeOf(item), 0)
  const output = transferOutput(context)
  const failed = await transferAll(
    items,
    {
      label,
      parallel: config.parallel,
      nameOf: plan.nameOf,
      work: plan.work,
      signal: context.signal,
      ...(totalBytes > 0
        ? { showProgress: () => startByteProgress({ context, label, totalBytes, doneBytes }) }
        : {}),
    },
    output,
  )
  if (context.signal.aborted) context.stderr.write('cairn: interrupted; the same command goes on\n')
  const there = present > 0 ? `, ${present} there already` : ''
  output.line(
    `${items.length - failed} files, ${doneBytes()} bytes${there}${failed > 0 ? `, ${failed} failed` : ''}`,
  )
  return failed > 0 ? 1 : 0
}
