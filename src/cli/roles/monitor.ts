/** A door for those who look after a process that has no other for HTTP: its metrics, whether it lives, and what it says of itself. */
import { StoreError } from '../../base/errors.ts'
import { HttpServer } from '../../net/http-server.ts'
import { CommonHeaders, errorOutcome, type Outcome, sendOutcome } from '../../net/reply.ts'
import type { Context } from '../command.ts'
import type { HostPort } from './doors.ts'
import type { MetricsPage } from './thread-data.ts'
import { VERSION } from './version.ts'

export interface MonitorOptions {
  metrics: () => Promise<MetricsPage>
  /** `/`, given the raw headers. */
  about: (rawHeaders: readonly string[]) => Promise<Outcome>
}

export interface Monitor {
  address: HostPort
  close(): Promise<void>
}

/** Throws `in_use`, `bad_request`. */
export async function openMonitor(
  { metrics, about }: MonitorOptions,
  { host, port: wanted }: HostPort,
  { clock, random, log }: Context,
): Promise<Monitor> {
  const common = new CommonHeaders({ clock, random, server: `Cairn/${VERSION}` })
  const answer = async (method: string, path: string, rawHeaders: readonly string[]): Promise<Outcome> => {
    if (method !== 'GET' && method !== 'HEAD')
      return { ...errorOutcome(405, `method ${method} is not allowed`), headers: ['Allow', 'GET, HEAD'] }
    if (path === '/healthz') return { status: 200, headers: [], body: undefined }
    if (path === '/') return await about(rawHeaders)
    if (path !== '/metrics') return errorOutcome(404, 'there are /, /metrics and /healthz')
    const { contentType, text } = await metrics()
    return { status: 200, headers: ['Content-Type', contentType], body: Buffer.from(text) }
  }
  const server = new HttpServer({
    clock,
    async handler(request, response) {
      const [path] = request.url!.split('?')
      sendOutcome(response, await answer(request.method!, path!, request.rawHeaders), common.begin())
    },
    onHandlerError: (error) => log.error({ error }, 'a request to the monitor failed by a bug'),
  })
  const port = await server.listen({ host, port: wanted }).catch((error: unknown) => {
    if (!(error instanceof StoreError) || error.code !== 'in_use') throw error
    throw new StoreError('in_use', `${error.message}: --monitor gives this one's monitor another`, {
      cause: error,
    })
  })
  log.info({ role: 'monitor', address: `${host}:${port}` }, 'monitor is listening')
  return { address: { host, port }, close: () => server.close() }
}
