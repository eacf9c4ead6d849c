/** `kill -9` of the server in the middle of an upload in steps: after the next start it goes on where it was. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { digest, hash } from './door-kit.ts'

const MIB = 1024 * 1024

async function received(server: ServerProcess, location: string): Promise<number> {
  const reply = await fetch(`http://${server.objects}${location}`, { method: 'HEAD' })
  assert.equal(reply.status, 200)
  return Number(reply.headers.get('content-length'))
}

/** Sends what it can until the server is gone; `onSent` is told how much it was. */
function sendUntilGone(
  server: ServerProcess,
  location: string,
  bytes: Buffer,
  onSent: (count: number) => void,
): Promise<void> {
  const [host, port] = server.objects.split(':') as [string, string]
  return new Promise((resolve) => {
    const socket = connect(Number(port), host, () => {
      socket.write(
        `PUT ${location} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\nContent-Length: ${bytes.length}\r\n\r\n`,
      )
      const write = (at: number) => {
        if (at >= bytes.length || socket.destroyed) return
        socket.write(bytes.subarray(at, at + MIB), () => {
          onSent(at + MIB)
          write(at + MIB)
        })
      }
      write(0)
    })
    socket.once('error', () => {})
    socket.once('close', () => resolve())
  })
}

test('an upload in steps goes on after kill -9', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-objects-kill-'))
  const bytes = randomBytes(40 * MIB)
  let server = await startServer(join(directory, 'data'))
  try {
    const headers = { digest: digest(bytes), size: String(bytes.length) }
    const begun = await fetch(`http://${server.objects}/objects/big`, { method: 'POST', headers })
    assert.equal(begun.status, 201)
    const location = begun.headers.get('location')!
    let killed: Promise<void> | undefined
    await sendUntilGone(server, location, bytes, (count) => {
      if (count >= 30 * MIB) killed ??= server.kill()
    })
    await killed
    server = await startServer(join(directory, 'data'))
    const kept = await received(server, location)
    // What waited for the rest of its part is lost, never more.
    assert.ok(kept >= 8 * MIB && kept < bytes.length, String(kept))
    const rest = {
      method: 'PUT',
      headers: { range: `bytes=${kept}-` },
      body: new Uint8Array(bytes.subarray(kept)),
    }
    assert.equal((await fetch(`http://${server.objects}${location}`, rest)).status, 200)
    for (const name of ['big', encodeURIComponent(hash(bytes))]) {
      const found = await fetch(`http://${server.objects}/objects/${name}`)
      assert.ok(Buffer.from(await found.arrayBuffer()).equals(bytes))
    }
  } finally {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  }
})
