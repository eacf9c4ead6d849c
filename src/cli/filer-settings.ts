/** What the commands for files by path have in common: `cairn put`, `get`, `ls`, `rm`, `cp` and `mv`. */
import { posix } from 'node:path'
import { FilerClient } from '../client/filer-client.ts'
import { HttpClient } from '../net/http-client.ts'
import { readCa } from './client-settings.ts'
import type { Config, SettingKey } from './config.ts'
import { UsageError } from './usage-error.ts'

export const FILER_CLIENT_SETTINGS = [
  'filer',
  'https',
  'tlsCa',
  'basicAuth',
  'timeoutMs',
  'parallel',
] as const satisfies readonly SettingKey[]

const STORE_PREFIX = 'cairn:'

/** Runs `use` with a client of the filer, and closes it. */
export async function withFiler<T>(
  config: Config<(typeof FILER_CLIENT_SETTINGS)[number]>,
  use: (filer: FilerClient) => Promise<T>,
): Promise<T> {
  const ca = config.tlsCa === '' ? undefined : readCa(config.tlsCa)
  const http = new HttpClient({
    timeoutMs: config.timeoutMs,
    connectionsPerHostMax: config.parallel,
    ...(ca === undefined ? {} : { ca }),
  })
  const headers: Record<string, string> = {}
  if (config.basicAuth !== '') {
    headers.authorization = `Basic ${Buffer.from(config.basicAuth).toString('base64')}`
  }
  try {
    return await use(
      new FilerClient({ http, url: `${config.https ? 'https' : 'http'}://${config.filer}`, headers }),
    )
  } finally {
    http.close()
  }
}

/** A path in the store, without a slash at its end: `/a/b`; `/` is the root. `cairn:` before it may be left out. */
export function storePath(text: string): string {
  const path = isStorePath(text) ? text.slice(STORE_PREFIX.length) : text
  const whole = posix.normalize(`/${path}`)
  return whole.length > 1 && whole.endsWith('/') ? whole.slice(0, -1) : whole
}

/** `cairn:/a`: in the store, where a command takes local paths too. */
export const isStorePath = (text: string) => text.startsWith(STORE_PREFIX)

export const joinPath = (directory: string, name: string) =>
  directory === '/' ? `/${name}` : `${directory}/${name}`

/** So many arguments, or how the command is used. */
export function requireArgs(args: readonly string[], min: number, usage: string): void {
  if (args.length < min) throw new UsageError(`usage: cairn ${usage}`)
}
