/** Ports for processes that tests start, and start again where they were. */
import { createServer } from 'node:net'

/** Below those that the system gives by itself, to listeners and to connections that are opened. */
const PORT_MIN = 15_000
const PORT_MAX = 32_000
const TRIES_MAX = 1_000

/**
 * A port on which nobody listens, and that is given to no other test file while this one runs: a server that is not up yet, or
 * that was killed, finds it free.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))
    if ((await reserve(port)) && (await isFree(port))) return port
  }
  throw new Error('no port is free')
}

/** By a name that the system forgets when this process ends. False: another test has it. */
function reserve(port: number): Promise<boolean> {
  const holder = createServer().unref()
  return new Promise((resolve) => {
    // Where the system has no such names, there is only chance.
    holder.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'))
    holder.listen(`\0cairn-test-port-${port}`, () => resolve(true))
  })
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
