/** How the commands that look after a running store speak to its master: signed with the cluster's secret. */
import { readFileSync } from 'node:fs'
import { StoreError, toStoreError } from '../base/errors.ts'
import { CLUSTER_CALL_MS_MAX, COMPACT_CALL_MS_MAX, MOVE_CALL_MS_MAX } from '../base/limits.ts'
import { ClusterAuth } from '../blobs/cluster-auth.ts'
import { ClusterClient } from '../blobs/cluster-client.ts'
import type { ClusterOverview } from '../blobs/cluster-overview.ts'
import { CLUSTER_ADMIN_PATH, EPOCH, type Fields, PROTOCOL_VERSION } from '../blobs/cluster-wire.ts'
import { randomUuid } from '../blobs/heartbeat.ts'
import { HttpClient } from '../net/http-client.ts'
import type { Context } from './command.ts'
import type { Config, SettingKey } from './config.ts'
import { readClusterSecret } from './roles/doors.ts'
import { UsageError } from './usage-error.ts'

export const ONLINE_SETTINGS = [
  'server',
  'clusterSecretFile',
  'clusterSecret',
  'https',
  'tlsCa',
  'json',
] as const satisfies readonly SettingKey[]

export type OnlineConfig = Config<(typeof ONLINE_SETTINGS)[number]>

/** What the master tells of a large cluster. */
const OVERVIEW_BYTES_MAX = 512 * 1024 * 1024
const COUNT_MAX = Number.MAX_SAFE_INTEGER

/** Which volume; `node` is empty where there is one copy only. */
interface Which {
  id: number
  node: string
}

/** One master's administration. Each call throws the master's or the volume server's own StoreError. */
class ClusterAdmin {
  readonly #masters: readonly string[]
  readonly #http: HttpClient
  readonly #client: ClusterClient
  readonly #nodeId: string

  constructor(config: OnlineConfig, { clock, random, machine }: Context) {
    const secret = Buffer.from(readClusterSecret(config, machine.configDir))
    this.#masters = config.server
    this.#http = new HttpClient({ ca: config.tlsCa === '' ? undefined : readCa(config.tlsCa) })
    this.#client = new ClusterClient({
      http: this.#http,
      auth: new ClusterAuth({ secret, clock, random }),
      scheme: config.https ? 'https' : 'http',
    })
    this.#nodeId = randomUuid(random)
  }

  close(): void {
    this.#http.close()
  }

  async status(): Promise<ClusterOverview> {
    const call = { name: 'status', request: {}, timeoutMs: CLUSTER_CALL_MS_MAX }
    return (await this.#ask(call, (sent) =>
      this.#client.postForJson({ ...sent, replyBytesMax: OVERVIEW_BYTES_MAX }),
    )) as ClusterOverview
  }

  async vacuum(
    which: Which,
    garbageThreshold: number,
  ): Promise<{ node: string; compacted: boolean; garbageRatio: number }> {
    const reply = await this.#post('vacuum', { ...which, garbageThreshold }, COMPACT_CALL_MS_MAX)
    return {
      node: reply.text('node'),
      compacted: reply.flag('compacted'),
      garbageRatio: reply.share('garbageRatio'),
    }
  }

  async setReadOnly(which: Which, readOnly: boolean): Promise<{ node: string }> {
    const reply = await this.#post('readonly', { ...which, readOnly }, 2 * CLUSTER_CALL_MS_MAX)
    return { node: reply.text('node') }
  }

  async delete(which: Which, force: boolean): Promise<{ node: string; files: number }> {
    const reply = await this.#post('delete', { ...which, force }, 2 * CLUSTER_CALL_MS_MAX)
    return { node: reply.text('node'), files: reply.number('files', COUNT_MAX) }
  }

  async move(
    id: number,
    to: string,
  ): Promise<{ from: string; to: string; bytes: number; recordsDamaged: number }> {
    const reply = await this.#post('move', { id, to }, MOVE_CALL_MS_MAX)
    return {
      from: reply.text('from'),
      to: reply.text('to'),
      bytes: reply.number('bytes', COUNT_MAX),
      recordsDamaged: reply.number('recordsDamaged', COUNT_MAX),
    }
  }

  #post(name: string, request: object, timeoutMs: number): Promise<Fields> {
    return this.#ask({ name, request, timeoutMs }, (sent) => this.#client.post(sent))
  }

  /** The first master that can be connected to answers. */
  async #ask<T>(
    call: { name: string; request: object; timeoutMs: number },
    send: (sent: { hostPort: string; path: string; message: object; timeoutMs: number }) => Promise<T>,
  ): Promise<T> {
    const message = { protocolVersion: PROTOCOL_VERSION, nodeId: this.#nodeId, epoch: EPOCH, ...call.request }
    let failure: unknown = new UsageError('--server names no master')
    for (const hostPort of this.#masters) {
      try {
        return await send({
          hostPort,
          path: CLUSTER_ADMIN_PATH + call.name,
          message,
          timeoutMs: call.timeoutMs,
        })
      } catch (error) {
        failure = error
        if (!(error instanceof StoreError) || error.code !== 'unavailable') break
      }
    }
    throw hinted(failure)
  }
}

/** `cairn server` keeps its secret with its data, where this command does not look by itself. */
function hinted(failure: unknown): unknown {
  if (!(failure instanceof StoreError) || failure.code !== 'unauthorized') return failure
  const hint =
    'name the one of the servers with --cluster-secret-file (cairn server keeps it in its first data directory)'
  return new StoreError('unauthorized', `${failure.message}; ${hint}`, { cause: failure })
}

function readCa(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new UsageError(`--tls-ca: ${(error as Error).message}`)
  }
}

/** Runs with the administration open. */
export async function withCluster<T>(
  config: OnlineConfig,
  context: Context,
  run: (admin: ClusterAdmin) => Promise<T>,
): Promise<T> {
  const admin = new ClusterAdmin(config, context)
  try {
    return await run(admin)
  } finally {
    admin.close()
  }
}

/** Volume ids of the command line. Throws `UsageError`. */
export function volumeIds(args: readonly string[]): number[] {
  return args.map((text) => {
    const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN
    if (!(id <= 0xffffffff)) throw new UsageError(`${text} is no volume id`)
    return id
  })
}

/**
 * Does something with each volume in turn, and prints a line for each: what was done on stdout, what failed on stderr.
 * A failure does not keep the next from its turn. Gives the exit code.
 */
export async function eachVolume(
  ids: readonly number[],
  { config, context }: { config: { json: boolean }; context: Context },
  work: (id: number) => Promise<{ line: string; result: object }>,
): Promise<number> {
  let failed = 0
  for (const id of ids) {
    if (context.signal.aborted) return 1
    try {
      const { line, result } = await work(id)
      context.stdout.write(config.json ? `${JSON.stringify({ volume: id, ...result })}\n` : `${line}\n`)
    } catch (error) {
      const { code, message } = toStoreError(error)
      failed++
      context.stderr.write(`cairn: volume ${id}: ${message} (${code})\n`)
    }
  }
  return failed > 0 ? 1 : 0
}
