/** Local files on their way to a hash store and back, in memory that is used again. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type LentPiece, PieceBuffers } from '../base/piece-buffers.ts'
import type { Random } from '../base/random.ts'
import type { LocalFile } from '../protocols/hashstore/cluster.ts'
import { Interrupted } from './file-work.ts'
import { statOf, wrongEnd } from './local-files.ts'

const READ_BYTES = 256 * 1024
const READ_BUFFERS_FREE_MAX = 16
const PARTIAL_NAME_BYTES = 16

export const readBuffers = () => new PieceBuffers(READ_BYTES, READ_BUFFERS_FREE_MAX)

/** Throws `UsageError`; while it is read, `conflict` where it does not end where it should, and `Interrupted`. */
export function localFile(local: string, buffers: PieceBuffers, signal: AbortSignal): LocalFile {
  const sizeBytes = statOf(local).size
  return {
    sizeBytes,
    async *read(start, end) {
      const file = await open(local)
      // A byte behind the last one shows that there are more.
      const limit = end === sizeBytes ? end + 1 : end
      try {
        for (let at = start; at < limit; ) {
          if (signal.aborted) throw new Interrupted()
          const buffer = buffers.take()
          const asked = Math.min(buffer.length, limit - at)
          const { bytesRead } = await file.read(buffer, 0, asked, at)
          at += bytesRead
          const isEnd = bytesRead < asked && at === end
          if (at > end || (bytesRead === 0 && !isEnd)) throw wrongEnd(sizeBytes)
          if (bytesRead > 0) yield buffers.lend(buffer, 0, bytesRead)
          else buffers.giveBack(buffer)
          if (isEnd) return
        }
      } finally {
        await file.close()
      }
    },
  }
}

/** A file appears under its name when all of it is here. */
export async function saveTo(
  target: string,
  pieces: AsyncIterable<LentPiece>,
  random: Random,
): Promise<void> {
  // Short, since a name may be as long as the disk allows.
  const partial = join(dirname(target), `.${random.bytes(PARTIAL_NAME_BYTES).toString('hex')}.part`)
  try {
    await writeAll(partial, pieces)
    renameSync(partial, target)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}

async function writeAll(path: string, pieces: AsyncIterable<LentPiece>): Promise<void> {
  const file = openSync(path, 'wx')
  try {
    // On this thread: the piece is in its processor's cache. The system takes in more of the connection meanwhile.
    for await (const piece of pieces) {
      for (let done = 0; done < piece.length; ) done += writeSync(file, piece, done)
      piece.giveBack?.()
    }
  } finally {
    closeSync(file)
  }
}
