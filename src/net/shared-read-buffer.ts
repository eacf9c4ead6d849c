/**
 * Connections of a server that are read into one buffer, instead of a new one for every read, which costs a tenth of a
 * small request. Node has this for sockets that connect (`onread`), not for those that a server accepts: so an accepted
 * socket's handle is given to a socket that is made with that option. This leans on a few fields of Node's that are not
 * documented, as the pinned Node has them.
 */
import { type OnReadOpts, Socket } from 'node:net'
import { assert } from '../base/assert.ts'

interface AcceptedSocket {
  _handle: { reading: boolean; readStop(): void } | null
  _server: unknown
  server: unknown
}

/** What one read may bring: as much as Node takes by itself. */
export const READ_BUFFER_BYTES = 64 * 1024

/**
 * Gives the socket to be used from now on in place of `accepted`, which has not been read from. It reads as `onread` says, which
 * a socket can be told when it is made, and in no other way.
 */
export function takeOver(accepted: Socket, onread: OnReadOpts): Socket {
  const old = accepted as unknown as AcceptedSocket
  const handle = old._handle
  assert(handle !== null && old._server !== null, 'the socket was accepted by a server of this thread')
  handle.reading = false
  handle.readStop()
  const options = { handle, onread, allowHalfOpen: accepted.allowHalfOpen, readable: true, writable: true }
  const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
  // The server counts its connections, and stops waiting for one when that is destroyed.
  Object.assign(socket, { _server: old._server, server: old.server })
  old._handle = null
  old._server = null
  return socket
}

/**
 * The same, where all is read into one buffer; a function says before each read which. `onBytes` gets bytes that are valid until
 * it returns.
 */
export function readInto(
  buffer: Buffer | (() => Buffer),
  accepted: Socket,
  onBytes: (bytes: Buffer) => void,
): Socket {
  return takeOver(accepted, {
    buffer: typeof buffer === 'function' ? whenChanged(buffer) : buffer,
    callback(lengthBytes: number, bytes: Uint8Array) {
      onBytes((bytes as Buffer).subarray(0, lengthBytes))
      return true
    },
  })
}

/** Node keeps to the last buffer where it is given none: handing over the same one again costs a tenth of a small request. */
function whenChanged(next: () => Buffer): () => Buffer {
  let present: Buffer | undefined
  return () => {
    const buffer = next()
    if (buffer === present) return undefined as unknown as Buffer
    present = buffer
    return buffer
  }
}
