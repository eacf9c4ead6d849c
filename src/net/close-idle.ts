/** Connections on which nothing has moved for too long. */
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'

/**
 * Closes an idle connection, but not before the loop has looked at the network: where this process itself stood still, bytes wait to
 * be read, and the connection was not idle.
 */
export function closeIdle(socket: Socket, clock: Clock): void {
  const { bytesRead } = socket
  clock.soon(() => {
    if (socket.bytesRead === bytesRead) socket.destroy()
  })
}
