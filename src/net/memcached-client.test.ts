import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { systemRandom } from '../base/random.ts'
import { MemcachedClient } from './memcached-client.ts'

const WAIT_MS_MAX = 20_000

/** A server without values, which says nothing of itself. */
async function startServer(answers: (line: string) => boolean = () => true) {
  const connections: Socket[] = []
  const server = createServer((socket) => {
    connections.push(socket)
    socket.on('error', () => {})
    createInterface(socket)
      .on('line', (line) => answers(line) && socket.write('END\r\n'))
      .on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    for (const each of connections) each.destroy()
    server.close()
  }
  return { connections, port: (server.address() as AddressInfo).port, close }
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = systemClock.monotonicMs() + WAIT_MS_MAX
  while (!holds()) {
    assert.ok(systemClock.monotonicMs() < deadline, 'it does not come true')
    await systemClock.sleep(5)
  }
}

test('a connection that ends because nothing was asked for long is no server that is down', async () => {
  const server = await startServer()
  let atMs = 0
  const clock = { ...systemClock, monotonicMs: () => atMs }
  const states: string[] = []
  const client = new MemcachedClient({
    ...{ host: '127.0.0.1', port: server.port, clock, random: systemRandom },
    ...{ timeoutMs: WAIT_MS_MAX, valueBytesMax: 1_024 },
    onState: (state, reason) => states.push(`${state} ${reason}`.trim()),
  })
  try {
    assert.equal(await client.gets('a'), undefined)
    atMs += 120_000
    server.connections[0]!.end()
    await until(() => server.connections.length === 2)
    assert.equal(await client.gets('a'), undefined)
    assert.deepEqual(states, ['up'])
    // One that hangs up on everybody is.
    server.connections[1]!.end()
    await until(() => states.length === 3)
    assert.deepEqual(states, ['up', 'down it closed the connection', 'up'])
  } finally {
    client.close()
    server.close()
  }
})

/** Time that stands, and what was asked of it. */
function standingClock() {
  const state = { atMs: 0, sweep: () => {}, soon: [] as (() => void)[] }
  const clock = {
    ...systemClock,
    monotonicMs: () => state.atMs,
    every(_periodMs: number, run: () => void) {
      state.sweep = run
      return () => {}
    },
    soon: (run: () => void) => void state.soon.push(run),
  }
  return { clock, state }
}

test('a request is given up only when the network was looked at after its time, and nothing of it arrives then', async () => {
  let waits = true
  const server = await startServer((line) => !waits || line.startsWith('stats'))
  const { clock, state } = standingClock()
  const client = new MemcachedClient({
    ...{ host: '127.0.0.1', port: server.port, clock, random: systemRandom },
    ...{ timeoutMs: 1_000, valueBytesMax: 1_024 },
  })
  try {
    await until(() => client.state === 'up')
    const answered = client.gets('a')
    state.atMs += 2_000
    state.sweep()
    server.connections[0]!.write('END\r\n')
    assert.equal(await answered, undefined)
    for (const run of state.soon.splice(0)) run()
    assert.equal(client.state, 'up')
    const given = assert.rejects(client.gets('a'), /no answer in 1000 ms/)
    const reset = once(server.connections[0]!, 'error')
    state.atMs += 2_000
    state.sweep()
    for (const run of state.soon.splice(0)) run()
    await given
    assert.equal(client.state, 'down')
    assert.equal(((await reset)[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
    waits = false
    await client.retry()
    assert.equal(await client.gets('a'), undefined)
  } finally {
    client.close()
    server.close()
  }
})
