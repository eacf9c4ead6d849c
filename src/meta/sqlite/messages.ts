/**
 * What serving threads and the writing thread tell each other, whole batches in a message. Bytes travel as strings: a fourth of
 * the time that they take as they are, or serialized into a buffer that is transferred; and they come back as Buffers.
 */
import type { MessagePort } from 'node:worker_threads'
import type { ErrorCode } from '../../base/errors.ts'

/**
 * A script to run: its number in this port, its name, its arguments, the volume whose bytes it names, 0 for none, and those bytes where the
 * commit is to carry them. Where it does not, the volume is synced before.
 */
export type WriteCall = [
  id: number,
  script: string,
  args: unknown,
  volumeId: number,
  carried?: Uint8Array | undefined,
]

/** What came of it: a result, or the code and the words of an error. */
export type WriteReply = [id: number, result: unknown] | [id: number, code: ErrorCode, message: string]

export function postBatch(port: MessagePort, batch: readonly WriteCall[] | readonly WriteReply[]): void {
  port.postMessage(pack(batch))
}

export function readBatch<T extends WriteCall | WriteReply>(message: unknown): T[] {
  return unpack(message) as T[]
}

/** What a string begins with that stands for bytes, one a character; and one that would else begin with either mark. */
const [BYTES, TEXT] = ['\x00', '\x01']
const [BYTES_CODE, TEXT_CODE] = [0, 1]

function pack(value: unknown): unknown {
  if (typeof value === 'string') return value.charCodeAt(0) <= TEXT_CODE ? TEXT + value : value
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return BYTES + bufferOf(value).toString('latin1')
  if (Array.isArray(value)) return value.map(pack)
  if (!isPlain(value)) return value
  const packed: Record<string, unknown> = { ...value }
  for (const name in packed) {
    const field = packed[name]
    const packedField = pack(field)
    if (packedField !== field) packed[name] = packedField
  }
  return packed
}

/** Changes what it is given. */
function unpack(value: unknown): unknown {
  if (typeof value === 'string') return unpackText(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) value[at] = unpack(value[at])
  } else if (isPlain(value)) {
    const fields = value as Record<string, unknown>
    for (const name in fields) {
      const field = fields[name]
      const unpackedField = unpack(field)
      if (unpackedField !== field) fields[name] = unpackedField
    }
  }
  return value
}

function unpackText(text: string): string | Buffer {
  const mark = text.charCodeAt(0)
  if (mark === BYTES_CODE) return Buffer.from(text.slice(1), 'latin1')
  return mark === TEXT_CODE ? text.slice(1) : text
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const bufferOf = (bytes: Uint8Array) =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
