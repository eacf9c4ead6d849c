/** A TCP proxy before PostgreSQL that breaks connections at the moment of a commit. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of a commit: it is not sent on; its answer is not passed back; or nobody waits for the answer. */
export type Break = 'before' | 'after' | 'meanwhile'

const COMMIT = Buffer.from('commit\0')

export class BreakingProxy {
  readonly port: number
  /** How often each happened. */
  readonly broken = { before: 0, after: 0, meanwhile: 0 }
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as { port: number }).port
  }

  /** `choose` is asked at each commit. */
  static async start(targetPort: number, choose: () => Break | undefined): Promise<BreakingProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new BreakingProxy(server)
    server.on('connection', (client) => proxy.#serve(client, targetPort, choose))
    return proxy
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(client: Socket, targetPort: number, choose: () => Break | undefined): void {
    const server = connect(targetPort, '127.0.0.1')
    let muted = false
    const end = () => {
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', end)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    client.on('data', (data: Buffer) => {
      const what = data.includes(COMMIT) ? choose() : undefined
      if (what !== undefined) this.broken[what]++
      if (what === 'before') return end()
      if (what === 'after') muted = true
      server.write(data, () => {
        if (what === 'meanwhile') client.destroy()
      })
    })
    server.on('data', (data) => (muted ? end() : client.write(data)))
  }
}
