/** Local files on their way to a hash store and back, in memory that is used again. */
import { renameSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { type LentPiece, PieceBuffers } from '../base/piece-buffers.ts'
import type { Random } from '../base/random.ts'
import type { LocalFile } from '../protocols/hashstore/cluster.ts'
import { UsageError } from './usage-error.ts'

const READ_BYTES = 256 * 1024
const READ_BUFFERS_FREE_MAX = 16

export const readBuffers = () => new PieceBuffers(READ_BYTES, READ_BUFFERS_FREE_MAX)

/** Throws `UsageError`. */
export function localFile(local: string, buffers: PieceBuffers): LocalFile {
  return {
    sizeBytes: statOf(local).size,
    async *read(start, end) {
      const file = await open(local)
      try {
        for (let at = start; at < end; ) {
          const buffer = buffers.take()
          const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at)
          if (bytesRead === 0) return
          at += bytesRead
          yield buffers.lend(buffer, 0, bytesRead)
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
  const partial = `${target}.${random.u32().toString(16)}.part`
  const local = await open(partial, 'w')
  try {
    // One piece is written while the next is on its way.
    let writing: Promise<void> | undefined
    for await (const piece of pieces) {
      await writing
      writing = local.writeFile(piece).then(() => piece.giveBack?.())
      // It is heard when its turn comes.
      writing.catch(() => {})
    }
    await writing
    await local.close()
    renameSync(partial, target)
  } catch (error) {
    await local.close()
    rmSync(partial, { force: true })
    throw error
  }
}

/** Throws `UsageError`. */
export function statOf(local: string) {
  try {
    return statSync(local)
  } catch (error) {
    throw new UsageError(`cannot read ${local}: ${(error as Error).message}`)
  }
}
