/**
 * What any copy through loopback costs before there is a store: a bare `node:net` server, one thread, that reads one file and
 * sends it, and keeps small ones behind each other in another. It checks nothing, has no names and no format. A request is a letter and
 * four bytes: `F` the whole file; `P` with that many bytes behind it, to be appended and answered when an fdatasync, shared by all who wait,
 * is done; `G` the small file of that number. Arguments: file, where small ones go, their length, port.
 */
import fs from 'node:fs'
import net, { type Socket } from 'node:net'
import process from 'node:process'
import { sharedSync } from './shared-sync.ts'

const [file, small, smallBytes, port] = process.argv.slice(2) as [string, string, string, string]
/** Fits the cache of a processor's core, so that what was read is sent from there. */
const PIECE_BYTES = 256 * 1024
const HEAD_BYTES = 5
const SMALL_BYTES = Number(smallBytes)
const DONE = Buffer.from('K')

const whole = fs.openSync(file, 'r')
const kept = fs.openSync(small, 'w+')
let keptBytes = 0
const answerOnDisk = sharedSync<Socket>(kept, (served) => {
  for (const socket of served) socket.write(DONE)
})

function sendWhole(socket: Socket): void {
  const free: Buffer[] = []
  let at = 0
  const more = () => {
    for (let goesOn = true; goesOn; ) {
      const buffer = free.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
      const count = fs.readSync(whole, buffer, 0, PIECE_BYTES, at)
      if (count === 0) {
        socket.end()
        return
      }
      at += count
      goesOn = socket.write(buffer.subarray(0, count), () => free.push(buffer))
    }
    socket.once('drain', more)
  }
  more()
}

function keep(body: Buffer, socket: Socket): void {
  fs.writeSync(kept, body, 0, body.length, keptBytes)
  keptBytes += body.length
  answerOnDisk(socket)
}

/** Serves the request at the front; gives its length, or 0 while it has not come whole. */
function serve(bytes: Buffer, socket: Socket): number {
  if (bytes.length < HEAD_BYTES) return 0
  const [letter, number] = [String.fromCharCode(bytes[0]!), bytes.readUInt32BE(1)]
  if (letter === 'F') sendWhole(socket)
  else if (letter === 'G') {
    const reply = Buffer.allocUnsafe(SMALL_BYTES)
    fs.readSync(kept, reply, 0, SMALL_BYTES, number * SMALL_BYTES)
    socket.write(reply)
  } else {
    if (bytes.length < HEAD_BYTES + number) return 0
    keep(bytes.subarray(HEAD_BYTES, HEAD_BYTES + number), socket)
    return HEAD_BYTES + number
  }
  return HEAD_BYTES
}

net
  .createServer({ noDelay: true }, (socket) => {
    let unserved: Buffer = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      unserved = unserved.length === 0 ? bytes : Buffer.concat([unserved, bytes])
      for (let length = serve(unserved, socket); length > 0; length = serve(unserved, socket))
        unserved = unserved.subarray(length)
    })
  })
  .listen({ port: Number(port), host: '127.0.0.1' })
