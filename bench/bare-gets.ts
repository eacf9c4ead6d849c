/**
 * What gets cost before any store is there: a bare `node:net` server, one thread, that answers each request with one value from
 * memory, all of a packet by one write. It reads no command: it is told how long one is, and what its answer is. Arguments: port,
 * bytes of a request, the answer.
 */
import net, { type Socket } from 'node:net'
import process from 'node:process'
import { DirectWriter } from '../src/net/direct-writer.ts'
import { READ_BUFFER_BYTES, readInto } from '../src/net/shared-read-buffer.ts'

const [port, requestBytes, answer] = process.argv.slice(2) as [string, string, string]
const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
/** So many times, made when they are first needed. */
const answers = new Map<number, Buffer>()

function answerTo(requests: number): Buffer {
  const made = answers.get(requests)
  if (made !== undefined) return made
  const bytes = Buffer.from(answer.repeat(requests), 'latin1')
  answers.set(requests, bytes)
  return bytes
}

net
  .createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => {
    let received = 0
    const socket: Socket = readInto(buffer, accepted, (bytes) => {
      received += bytes.length
      const requests = Math.floor(received / Number(requestBytes))
      received -= requests * Number(requestBytes)
      if (requests > 0) writer.write(answerTo(requests))
    })
    const writer = new DirectWriter(socket, () => {})
    socket.on('error', () => socket.destroy())
    socket.resume()
  })
  .listen({ port: Number(port), host: '127.0.0.1' })
