/** What the commands that look after objects with versions have in common: whom they ask, and how they show what they do. */
import { ClusterAuth } from '../blobs/cluster-auth.ts'
import { ObjectsClient } from '../client/objects-client.ts'
import { HttpClient } from '../net/http-client.ts'
import { readCa } from './client-settings.ts'
import type { Context } from './command.ts'
import type { Config, SettingKey } from './config.ts'
import { readClusterSecret } from './roles/doors.ts'

export const OBJECTS_ADMIN_SETTINGS = [
  ...(['host', 'port', 'https', 'tlsCa', 'basicAuth', 'timeoutMs'] as const),
  ...(['clusterSecretFile', 'clusterSecret', 'json', 'dryRun'] as const),
] as const satisfies readonly SettingKey[]

export type ObjectsAdminConfig = Config<(typeof OBJECTS_ADMIN_SETTINGS)[number]>

const PROGRESS_MS = 1_000
const NO_BYTES = Buffer.alloc(0)

/** Runs `use` with a client of the door, and closes it. Reading alone needs no secret. */
export async function withObjects<T>(
  config: ObjectsAdminConfig,
  { clock, random, machine }: Context,
  use: (client: ObjectsClient) => Promise<T>,
): Promise<T> {
  const { host, port, https, basicAuth, timeoutMs } = config
  const ca = config.tlsCa === '' ? undefined : readCa(config.tlsCa)
  const http = new HttpClient({ timeoutMs, ...(ca === undefined ? {} : { ca }) })
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const headers: Record<string, string> = {}
  if (basicAuth !== '') headers.authorization = `Basic ${Buffer.from(basicAuth).toString('base64')}`
  let auth: ClusterAuth | undefined
  const sign = (head: { method: string; path: string }) => {
    auth ??= new ClusterAuth({
      secret: Buffer.from(readClusterSecret(config, machine.configDir)),
      ...{ clock, random },
    })
    return auth.sign({ ...head, body: NO_BYTES })
  }
  const url = `${https ? 'https' : 'http'}://${authority}`
  try {
    return await use(new ObjectsClient({ http, url, headers, sign }))
  } finally {
    http.close()
  }
}

/** Runs with a line on stderr, now and then, that says how far it is. */
export async function withCounts<T>(
  { clock, stderr }: Context,
  line: () => string,
  run: () => Promise<T>,
): Promise<T> {
  const stop = clock.every(PROGRESS_MS, () => {
    stderr.write(stderr.isTTY ? `\r${line()}\x1b[K` : `${line()}\n`)
  })
  try {
    return await run()
  } finally {
    stop()
    if (stderr.isTTY) stderr.write('\r\x1b[K')
  }
}

/** Does something with each, several at a time, in any order. */
export async function eachOf<T>(
  items: AsyncIterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const underWay = new Set<Promise<void>>()
  for await (const item of items) {
    const done = work(item).finally(() => underWay.delete(done))
    underWay.add(done)
    if (underWay.size >= atOnce) await Promise.race(underWay)
  }
  await Promise.all(underWay)
}
