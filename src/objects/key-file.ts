/** The file of the installation's encryption keys as text: a line for each generation, the newest one last. */
import { ENCRYPTION_KEY_BYTES, ENCRYPTION_KEYS_MAX } from '../base/limits.ts'
import type { InstallationKey } from './object-keys.ts'

const HEAD = `# The keys that objects are encrypted with (SSE-S3): keep a copy of this file. Without a key, whatever was
# encrypted with it is lost. A line is an id, the time at which the key was made, and the key. Lines are only added, at the end.
`
const LINE = /^([0-9a-f]{16}) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([A-Za-z0-9+/]{43}=)$/

/** Throws an Error that says which line is wrong. */
export function parseKeyFile(text: string): InstallationKey[] {
  const keys: InstallationKey[] = []
  for (const [at, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue
    const [, id, time, secret] = LINE.exec(line) ?? []
    const createdMs = Date.parse(time ?? '')
    if (id === undefined || secret === undefined || Number.isNaN(createdMs))
      throw new Error(`line ${at + 1} is no key`)
    if (keys.some((key) => key.id === id)) throw new Error(`line ${at + 1} has the id of another key`)
    keys.push({ id, createdMs, secret: Buffer.from(secret, 'base64') })
  }
  if (keys.length === 0) throw new Error('there are no keys in it')
  if (keys.length > ENCRYPTION_KEYS_MAX)
    throw new Error(`there are more than ${ENCRYPTION_KEYS_MAX} keys in it`)
  return keys
}

export function formatKeyFile(keys: readonly InstallationKey[]): string {
  const lines = keys.map(
    ({ id, createdMs, secret }) =>
      `${id} ${new Date(createdMs).toISOString()} ${secret.toString('base64')}\n`,
  )
  return HEAD + lines.join('')
}

const ID_BYTES = 8

export function newInstallationKey(nowMs: number, bytes: (length: number) => Buffer): InstallationKey {
  return { id: bytes(ID_BYTES).toString('hex'), createdMs: nowMs, secret: bytes(ENCRYPTION_KEY_BYTES) }
}
