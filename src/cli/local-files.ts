/** Local files that a command is given: what cannot be read is said as a mistake of its arguments. */
import { closeSync, fstatSync, openSync, readFileSync, readSync, type Stats, statSync } from 'node:fs'
import { StoreError } from '../base/errors.ts'
import { UsageError } from './usage-error.ts'

/** Of an ordinary file or a folder: what else there is has no length, and may never end. Throws `UsageError`. */
export function statOf(path: string): Stats {
  const info = reading(path, () => statSync(path))
  if (!info.isFile() && !info.isDirectory())
    throw new UsageError(`cannot read ${path}: it is neither an ordinary file nor a folder`)
  return info
}

/** Throws `UsageError`; `conflict` for a file that does not end where it should. */
export function contentOf(path: string): Buffer {
  statOf(path)
  return reading(path, () => {
    const file = openSync(path, 'r')
    try {
      const { size } = fstatSync(file)
      const content = readFileSync(file)
      if (content.length !== size || readSync(file, Buffer.alloc(1), 0, 1, null) > 0) throw wrongEnd(size)
      return content
    } finally {
      closeSync(file)
    }
  })
}

/** Files of `/proc` are never as long as it is said of them; others were changed. */
export const wrongEnd = (sizeBytes: number) =>
  new StoreError('conflict', `the file does not end after ${sizeBytes} bytes, as it was to`)

function reading<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof StoreError) throw error
    throw new UsageError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
