/**
 * What serving threads and the writing thread tell each other: whole batches in one transferred buffer. Serializing is
 * twice as fast as having the values cloned, copies of a Buffer only the part that is seen, and gives Buffers back.
 */
import { deserialize, serialize } from 'node:v8'
import type { MessagePort } from 'node:worker_threads'
import type { ErrorCode } from '../../base/errors.ts'

/**
 * A script to run: its number in this port, its name, its arguments, the volume whose bytes it names, 0 for none, and those bytes where the
 * commit is to carry them. Where it does not, the volume is synced before.
 */
export type WriteCall = [id: number, script: string, args: unknown, volumeId: number, carried?: Uint8Array]

/** What came of it: a result, or the code and the words of an error. */
export type WriteReply = [id: number, result: unknown] | [id: number, code: ErrorCode, message: string]

export function postBatch(port: MessagePort, batch: readonly WriteCall[] | readonly WriteReply[]): void {
  const bytes = serialize(batch)
  port.postMessage(bytes, [bytes.buffer as ArrayBuffer])
}

export function readBatch<T extends WriteCall | WriteReply>(message: Uint8Array): T[] {
  return deserialize(message)
}
