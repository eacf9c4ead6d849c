/** The root access key: given by settings, or made at the first start and kept for this user's eyes only. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../base/random.ts'
import { UsageError } from '../usage-error.ts'
import { writeOnce } from './write-once.ts'

export interface AccessKey {
  accessKey: string
  secretKey: string
}

const FILE = 'root.credentials'
const ACCESS_KEY_CHARS = 20
const SECRET_KEY_CHARS = 40
const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const SECRET_ALPHABET = `${LETTERS_AND_DIGITS}abcdefghijklmnopqrstuvwxyz`

/** `made`: where it was written, when it is a new one that must be shown. Throws `UsageError` for a file that is no such. */
export function readOrMakeRootKey(
  given: AccessKey,
  directory: string,
  random: Random,
): AccessKey & { made?: string } {
  if (given.accessKey !== '') return given
  const path = join(directory, FILE)
  if (existsSync(path)) return parse(path)
  const accessKey = randomText(random, LETTERS_AND_DIGITS, ACCESS_KEY_CHARS)
  const secretKey = randomText(random, SECRET_ALPHABET, SECRET_KEY_CHARS)
  const text = `CAIRN_ROOT_ACCESS_KEY=${accessKey}\nCAIRN_ROOT_SECRET_KEY=${secretKey}\n`
  const isOurs = writeOnce(path, text, random)
  return isOurs ? { accessKey, secretKey, made: path } : parse(path)
}

function parse(path: string): AccessKey {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read the root key ${path}: ${(error as Error).message}`)
  }
  const accessKey = /^CAIRN_ROOT_ACCESS_KEY=(\S+)$/m.exec(text)?.[1]
  const secretKey = /^CAIRN_ROOT_SECRET_KEY=(\S+)$/m.exec(text)?.[1]
  if (accessKey === undefined || secretKey === undefined)
    throw new UsageError(`${path} has no CAIRN_ROOT_ACCESS_KEY= and CAIRN_ROOT_SECRET_KEY= lines`)
  return { accessKey, secretKey }
}

function randomText(random: Random, alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[random.below(alphabet.length)]).join('')
}
