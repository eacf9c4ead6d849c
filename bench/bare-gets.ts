/**
 * What gets cost before any store is there: a bare `node:net` server, one thread, that answers each request with one value from
 * memory, all of a packet by one write. It reads no command: it is told how long one is, and what its answer is. Arguments: port,
 * bytes of a request, the answer.
 */
import process from 'node:process'
import { DirectWriter } from '../src/net/direct-writer.ts'
import { listenCounting } from './counted-requests.ts'

const [port, requestBytes, answer] = process.argv.slice(2) as [string, string, string]
/** So many times, made when they are first needed. */
const answers = new Map<number, Buffer>()

function answerTo(requests: number): Buffer {
  const made = answers.get(requests)
  if (made !== undefined) return made
  const bytes = Buffer.from(answer.repeat(requests), 'latin1')
  answers.set(requests, bytes)
  return bytes
}

listenCounting({ port: Number(port), requestBytes: Number(requestBytes) }, (socket) => {
  const writer = new DirectWriter(socket, () => {})
  return (_, requests) => {
    if (requests > 0) writer.write(answerTo(requests))
  }
})
