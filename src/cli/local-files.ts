/** Local files that a command is given: what cannot be read is said as a mistake of its arguments. */
import { readFileSync, type Stats, statSync } from 'node:fs'
import { UsageError } from './usage-error.ts'

/** Throws `UsageError`. */
export const statOf = (path: string): Stats => reading(path, () => statSync(path))

/** Throws `UsageError`. */
export const contentOf = (path: string): Buffer => reading(path, () => readFileSync(path))

function reading<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
