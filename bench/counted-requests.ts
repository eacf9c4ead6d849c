/** Connections of the bare servers that read no command: they are told how long each is, and count. */
import net, { type Socket } from 'node:net'
import { READ_BUFFER_BYTES, readInto } from '../src/net/shared-read-buffer.ts'

/** Told what has come, and how many requests are whole with it. */
export type CountedRequests = (bytes: Buffer, requests: number) => void

/** Listens on loopback; `serve` is asked once for each connection. */
export function listenCounting(
  { port, requestBytes }: { port: number; requestBytes: number },
  serve: (socket: Socket) => CountedRequests,
): void {
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
  const server = net.createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => {
    let received = 0
    const socket: Socket = readInto(buffer, accepted, (bytes) => {
      received += bytes.length
      const requests = Math.floor(received / requestBytes)
      received -= requests * requestBytes
      take(bytes, requests)
    })
    const take = serve(socket)
    socket.on('error', () => socket.destroy())
    socket.resume()
  })
  server.listen({ port, host: '127.0.0.1' })
}
