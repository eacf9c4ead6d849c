/**
 * What a durable POST costs before any store is there: a bare `node:net` server, one thread, that appends each request
 * to one file and 16 bytes to another, and answers when an fdatasync, shared by all who wait, is done. It checks
 * nothing, keeps no index and serves nothing back. Arguments: directory, port, `none` or `batch`.
 */
import fs from 'node:fs'
import net, { type Socket } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'

const [directory, port, sync] = process.argv.slice(2) as [string, string, string]
const RECORD_BYTES = 1104
const ENTRY = Buffer.alloc(16)
const BODY = '{"name":"b","size":1024,"eTag":"00000000"}'
const REPLY = `HTTP/1.1 201 Created
Server: bare
Date: Thu, 01 Jan 1970 00:00:00 GMT
X-Amz-Request-Id: 000000001234567
Content-Type: application/json
X-Content-Type-Options: nosniff
ETag: "00000000"
Content-Length: ${BODY.length}

${BODY}`.replaceAll('\n', '\r\n')

const records = fs.openSync(join(directory, 'bare.dat'), 'w')
const entries = fs.openSync(join(directory, 'bare.idx'), 'w')
let count = 0
let waiting: Socket[] = []
let isSyncing = false

function store(request: Buffer, socket: Socket): void {
  fs.writeSync(records, request, 0, Math.min(RECORD_BYTES, request.length), count * RECORD_BYTES)
  fs.writeSync(entries, ENTRY, 0, ENTRY.length, count * ENTRY.length)
  count++
  if (sync === 'none') {
    socket.write(REPLY, 'latin1')
    return
  }
  waiting.push(socket)
  if (isSyncing) return
  isSyncing = true
  setImmediate(syncAll)
}

function syncAll(): void {
  const served = waiting
  waiting = []
  fs.fdatasync(records, (error) => {
    if (error !== null) throw error
    if (waiting.length > 0) syncAll()
    else isSyncing = false
    for (const socket of served) socket.write(REPLY, 'latin1')
  })
}

net
  .createServer({ noDelay: true }, (socket) => {
    let missingBytes = 0
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      if (missingBytes === 0) {
        const headBytes = bytes.indexOf('\r\n\r\n') + 4
        const length = /Content-Length: (\d+)/.exec(bytes.toString('latin1', 0, headBytes))?.[1]
        missingBytes = headBytes + Number(length ?? 0)
      }
      missingBytes -= bytes.length
      if (missingBytes <= 0) store(bytes, socket)
      missingBytes = Math.max(0, missingBytes)
    })
  })
  .listen({ port: Number(port), host: '127.0.0.1' })
