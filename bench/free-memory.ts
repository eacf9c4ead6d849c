/** Memory that a virtual machine has, for what is measured next. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const PIECE_BYTES = 256 * 1024
/** Linux tells the host of memory two seconds after it was freed. */
const TOLD_TO_HOST_MS = 2_600

/**
 * Takes memory for so many bytes of files, and gives it back. What a virtual machine has not used for two seconds its host may have
 * taken, and to get it back costs several times as much as filling it: so what writes files begins with memory that is there. That the
 * host takes what was freed before is waited for first, or it would take this with it, from under the writer.
 */
export async function freeMemory(directory: string, bytes: number): Promise<void> {
  await sleep(TOLD_TO_HOST_MS)
  const path = join(directory, 'memory')
  const piece = Buffer.alloc(PIECE_BYTES, 1)
  const file = openSync(path, 'w')
  for (let done = 0; done < bytes; done += piece.length) writeSync(file, piece)
  closeSync(file)
  rmSync(path)
}
