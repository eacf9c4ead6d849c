/**
 * What durable sets cost before any store is there: a bare `node:net` server, one thread, that appends what each packet
 * brings to a file, whole, with one write, and answers when an fdatasync, shared by all who wait, is done. It reads no
 * command: it is told how long one is. It keeps no index and serves nothing back. Arguments: directory, port, bytes of a request.
 */
import fs from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { listenCounting } from './counted-requests.ts'

const [directory, port, requestBytes] = process.argv.slice(2) as [string, string, string]
const STORED = 'STORED\r\n'
/** Then it is emptied: no store keeps everything for ever. */
const FILE_BYTES_MAX = 1024 ** 3

const file = fs.openSync(join(directory, 'bare-sets.dat'), 'w')
let sizeBytes = 0
let waiting = new Map<Socket, number>()
let isSyncing = false

function store(bytes: Buffer, socket: Socket, requests: number): void {
  fs.writeSync(file, bytes, 0, bytes.length, sizeBytes)
  sizeBytes += bytes.length
  if (requests === 0) return
  waiting.set(socket, (waiting.get(socket) ?? 0) + requests)
  if (isSyncing) return
  isSyncing = true
  setImmediate(syncAll)
}

function syncAll(): void {
  const served = waiting
  waiting = new Map()
  fs.fdatasync(file, (error) => {
    if (error !== null) throw error
    if (waiting.size > 0) syncAll()
    else rest()
    for (const [socket, requests] of served) socket.write(STORED.repeat(requests), 'latin1')
  })
}

/** Nobody waits. */
function rest(): void {
  isSyncing = false
  if (sizeBytes < FILE_BYTES_MAX) return
  fs.ftruncateSync(file, 0)
  sizeBytes = 0
}

listenCounting(
  { port: Number(port), requestBytes: Number(requestBytes) },
  (socket) => (bytes, requests) => store(bytes, socket, requests),
)
