/** The file of encryption keys: made at the first start for this user's eyes only, read again when it changes, and added to. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import { formatKeyFile, newInstallationKey, parseKeyFile } from '../../objects/key-file.ts'
import type { InstallationKey } from '../../objects/object-keys.ts'
import type { Context } from '../command.ts'
import { UsageError } from '../usage-error.ts'
import { readNamed } from './doors.ts'
import { watchFile } from './watched-file.ts'
import { writeOnce } from './write-once.ts'

const FILE = 'encryption.keys'

/** A file that can be used. */
export interface KeyFile {
  path: string
  text: string
}

export interface KeyFileOptions {
  /** What the setting names; '' is nothing. */
  given: string
  directory: string
  /** Others have the same names, and need the same keys: a file is only used where one is named. */
  isShared: boolean
}

export const keyFilePath = ({ given, directory }: Pick<KeyFileOptions, 'given' | 'directory'>) =>
  given === '' ? join(directory, FILE) : given

/** Undefined: there is none, and nobody asked for one. Throws `UsageError` for a file that is none of keys. */
export function readOrMakeKeyFile(
  options: KeyFileOptions,
  { clock, random }: { clock: Clock; random: Random },
): KeyFile | undefined {
  const path = keyFilePath(options)
  if (options.given === '') {
    if (options.isShared) return undefined
    if (!existsSync(path)) {
      const text = formatKeyFile([newInstallationKey(clock.nowMs(), random.bytes)])
      if (writeOnce(path, text, random)) return { path, text }
    }
  }
  const text = readNamed('--encryption-keys', path)
  readKeys({ path, text })
  return { path, text }
}

/** Throws `UsageError`. */
export function readKeys({ path, text }: KeyFile): InstallationKey[] {
  try {
    return parseKeyFile(text)
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}`)
  }
}

/** A new generation, behind those that are there; the file is made where there is none. Throws `UsageError`. */
export function addKey(
  path: string,
  { clock, random }: { clock: Clock; random: Random },
): readonly InstallationKey[] {
  const present = existsSync(path) ? readKeys({ path, text: readNamed('--encryption-keys', path) }) : []
  const keys = [...present, newInstallationKey(clock.nowMs(), random.bytes)]
  const text = formatKeyFile(keys)
  parseKeyFile(text)
  const temporary = `${path}.${random.u32().toString(16)}`
  writeFileSync(temporary, text, { mode: 0o600, flush: true, flag: 'wx' })
  renameSync(temporary, path)
  const directory = openSync(dirname(path), 'r')
  fsyncSync(directory)
  closeSync(directory)
  return keys
}

/** Tells of each change of the file that can be used, and the log of one that cannot. Gives what ends it. */
export function watchKeyFile(
  { path }: KeyFile,
  { context, onChange }: { context: Context; onChange: (text: string) => Promise<unknown> },
): () => void {
  const { clock, log } = context
  return watchFile(path, clock, () => {
    try {
      const text = readNamed('--encryption-keys', path)
      const { length } = readKeys({ path, text })
      onChange(text).then(
        () => log.info({ path, keys: length }, 'encryption keys were read again'),
        (error: unknown) => log.error({ error, path }, 'encryption keys could not be changed'),
      )
    } catch (error) {
      log.error({ path, reason: (error as Error).message }, 'encryption keys stay as they were')
    }
  })
}
