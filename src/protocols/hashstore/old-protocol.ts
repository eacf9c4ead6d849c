/**
 * WRITFILE and FETCFILE. The old protocol has one word for the client, `OK`, before it sends the path; what became of the file it
 * can only tell by how the connection ends: orderly when a file is stored, and by a reset when it is not.
 */
import { StoreError, toStoreError } from '../../base/errors.ts'
import { oneAhead } from '../../base/one-ahead.ts'
import { type ByteStream, inTime } from '../../net/byte-stream.ts'
import type { HashstoreFiles } from './files.ts'
import { IncomingBody } from './incoming.ts'
import { nameOfPath } from './paths.ts'
import type { SessionParts } from './session.ts'
import { OK, type Opening } from './wire.ts'

/** Serves the one request of a connection, and ends it. Throws what went wrong; the connection is to be reset then. */
export async function serveOldClient(
  stream: ByteStream,
  { kind, pathBytes }: Exclude<Opening, { kind: 'extended' }>,
  parts: SessionParts,
): Promise<void> {
  const { files, writes } = parts
  if (files === undefined) throw new StoreError('unsupported', 'this server has names only')
  if (pathBytes === 0) throw new StoreError('bad_request', 'a file has a name')
  if (kind === 'fetch') {
    const path = await takePath(stream, pathBytes, parts)
    await stream.unhurried(writes.settled(nameOfPath(path), parts.clock))
    await fetch(stream, path, { ...parts, files })
    // Until then the connection can still be reset: a client that stands still does not take a part for the file.
    await stream.flush()
  } else {
    const write = writes.begin()
    try {
      const path = await takePath(stream, pathBytes, parts)
      write.named(nameOfPath(path))
      await store(stream, path, { ...parts, files })
    } catch (error) {
      const { code, message } = toStoreError(error)
      parts.log.warn({ code, reason: message }, 'a file was not stored; its client cannot be told why')
      throw error
    } finally {
      write.end()
    }
  }
  stream.end()
}

async function takePath(
  stream: ByteStream,
  pathBytes: number,
  { clock, headerTimeoutMs: timeoutMs }: SessionParts,
): Promise<Buffer> {
  await stream.write(OK)
  const path = await inTime(stream.take(pathBytes), { stream, clock, timeoutMs })
  if (nameOfPath(path).length === 0) throw new StoreError('bad_request', 'a file has a name')
  return path
}

async function store(
  stream: ByteStream,
  path: Buffer,
  { files, counters, clock }: SessionParts & { files: HashstoreFiles },
): Promise<void> {
  counters.add('writes')
  const incoming = new IncomingBody({ stream, clock, sizeBytes: undefined })
  try {
    await files.put(path, { kind: 'name', body: await incoming.body(), check: incoming.check })
  } finally {
    counters.add('bytesReceived', incoming.receivedBytes)
  }
}

/** Nothing for a missing file, and for one whose bytes are on several servers. */
async function fetch(
  stream: ByteStream,
  path: Buffer,
  { files, counters }: SessionParts & { files: HashstoreFiles },
): Promise<void> {
  counters.add('reads')
  const file = await files.findByName(path)
  if (file === undefined || file.entry.manifest !== undefined) return
  const bytes = await file.found.read(0, file.entry.size)
  for await (const piece of Buffer.isBuffer(bytes) ? [bytes] : oneAhead(bytes.pieces())) {
    counters.add('bytesSent', piece.length)
    await stream.write(piece)
  }
}
