/**
 * What a durable POST costs before any store is there: a bare `node:net` server, one thread, that appends each request
 * to one file and 16 bytes to another, and answers when an fdatasync, shared by all who wait, is done. It checks
 * nothing, keeps no index and serves nothing back. With `names` it gives each request a row in SQLite, under the request's path, in a
 * commit that all who wait share, and that has their bytes too, as the store's own: so the file is synced now and then. That is what a PUT
 * by name costs before anybody signs, looks or counts. Arguments: directory, port, `none`, `batch` or `names`.
 */
import fs from 'node:fs'
import net, { type Socket } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { sharedSync } from './shared-sync.ts'

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

interface Waiting {
  socket: Socket
  /** Of those who get names. */
  named: { path: string; record: Buffer } | undefined
}

const FILE_SYNC_MS = 250

/** As the store's own: its settings, and a table like that of objects. */
function openNames(): (served: readonly Waiting[]) => void {
  const database = new DatabaseSync(join(directory, 'bare.sqlite'))
  database.exec(
    `pragma page_size = 8192; pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -65536;
     create table object (
       bucket_id integer not null, key blob not null, rank integer not null, flags integer not null, size integer not null,
       modified_ms integer not null, etag text not null, content_id blob, blobs blob, attributes text not null, tags text,
       lock_until_ms integer not null, primary key (bucket_id, key)) strict, without rowid;
     create table carried (records blob not null) strict`,
  )
  const carry = database.prepare('insert into carried (rowid, records) values (?, ?)')
  const drop = database.prepare('delete from carried where rowid <= ?')
  let row = 0
  setInterval(() => {
    const last = row
    fs.fdatasync(records, () => drop.run(last))
  }, FILE_SYNC_MS)
  const insert = database.prepare(
    `insert or replace into object values (1, ?, 0, 1, 1024, 1700000000000, '0123456789abcdef0123456789abcdef', null, ?, ?, null, 0)`,
  )
  const blobs = Buffer.alloc(20, 1)
  const attributes = '{"contentType":"application/octet-stream"}'
  return (served) => {
    database.exec('begin immediate')
    for (const { named } of served) insert.run(Buffer.from(named!.path), blobs, attributes)
    carry.run(++row, Buffer.concat(served.map(({ named }) => named!.record)))
    database.exec('commit')
  }
}

const putNames = sync === 'names' ? openNames() : undefined
const answerAll = (served: readonly Waiting[]) => {
  for (const { socket } of served) socket.write(REPLY, 'latin1')
}
const answerOnDisk = putNames === undefined ? sharedSync(records, answerAll) : sharedCommit(putNames)

/** For those who come in one turn of the loop; the thread waits meanwhile. */
function sharedCommit(commit: (those: readonly Waiting[]) => void): (who: Waiting) => void {
  let waiting: Waiting[] = []
  return (who) => {
    if (waiting.push(who) > 1) return
    setImmediate(() => {
      const those = waiting
      waiting = []
      commit(those)
      answerAll(those)
    })
  }
}

function store(request: Buffer, socket: Socket): void {
  fs.writeSync(records, request, 0, Math.min(RECORD_BYTES, request.length), count * RECORD_BYTES)
  fs.writeSync(entries, ENTRY, 0, ENTRY.length, count * ENTRY.length)
  count++
  if (sync === 'none') {
    socket.write(REPLY, 'latin1')
    return
  }
  const named = putNames && { path: pathOf(request), record: Buffer.from(request.subarray(0, RECORD_BYTES)) }
  answerOnDisk({ socket, named })
}

function pathOf(request: Buffer): string {
  const start = request.indexOf(' ') + 1
  return request.toString('latin1', start, request.indexOf(' ', start))
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
