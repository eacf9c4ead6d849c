/** Small files with secrets, made by the first of several processes that start at once. */
import { chmodSync, linkSync, mkdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Random } from '../../base/random.ts'

/** Writes a file that only this user can read. False when another process was first: then that one's stays. */
export function writeOnce(path: string, text: string, random: Random): boolean {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${random.u32().toString(16)}`
  writeFileSync(temporary, text, { mode: 0o600, flush: true })
  chmodSync(temporary, 0o600)
  try {
    linkSync(temporary, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    unlinkSync(temporary)
  }
}
