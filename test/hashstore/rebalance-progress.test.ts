/** What `cairn hashstore rebalance` says: how far it is, where a server keeps it waiting for long enough, and what cannot be listed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/base/clock.ts'
import type { TreeEntry } from '../../src/protocols/hashstore/wire.ts'
import { bytesSource, fetchWhole, startHashstore, WAIT_MS_MAX, writeOld } from './hashstore-kit.ts'

const PROGRAM = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const PUT = '"op":"put"'
const FILES = 20
/** A process starts, and five seconds later it says how far it is. */
const SAID_MS_MAX = 3 * WAIT_MS_MAX
const FILE_BYTES = 100_000

/** Passes connections on to a server, but no put before it is opened. */
async function startGate(port: number) {
  const sockets = new Set<Socket>()
  const closed: (() => void)[] = []
  let isOpen = false
  const gate = createServer((client) => {
    const server = connect({ host: '127.0.0.1', port })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
    }
    server.pipe(client)
    const held: Buffer[] = []
    client.on('data', (bytes: Buffer) => {
      if (isOpen) server.write(bytes)
      else if (held.length > 0) held.push(bytes)
      else if (!bytes.includes(PUT)) server.write(bytes)
      else {
        held.push(bytes)
        closed.push(() => server.write(Buffer.concat(held)))
      }
    })
  }).listen(0, '127.0.0.1')
  await once(gate, 'listening')
  return {
    port: (gate.address() as AddressInfo).port,
    open() {
      isOpen = true
      for (const pass of closed) pass()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      gate.close()
    },
  }
}

/** The command as a process, and all that it says. */
function startRebalance(machines: string, ...flags: string[]) {
  const args = ['hashstore', 'rebalance', '--machines', machines, ...flags]
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  const ended = once(child, 'close')
  return { child, said, ended }
}

test('a rebalance shows how far it is while it moves files', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-rebalance-'))
  const [from, to] = [await startHashstore(), await startHashstore()]
  const gate = await startGate(to.port)
  const machines = join(directory, 'machineconf.txt')
  writeFileSync(machines, `127.0.0.1,${from.port}\n127.0.0.1,${gate.port}\n`)
  const bytes = randomBytes(FILE_BYTES)
  for (let at = 0; at < FILES; at++) await from.client.put(Buffer.from(`moved\\${at}`), bytesSource(bytes))
  const { child, said, ended } = startRebalance(machines)
  try {
    const deadline = systemClock.monotonicMs() + SAID_MS_MAX
    while (!said.stderr.includes('\n') && child.exitCode === null && systemClock.monotonicMs() < deadline)
      await systemClock.sleep(20)
    assert.match(said.stderr, /^moving \[\.{24}\] {2}0 % {2}0\/[12] MiB {2}0 MiB\/s\n/)
    gate.open()
    assert.deepEqual(await ended, [0, null], said.stderr)
    const [, moved] = /at another place: (\d+) moved\n$/.exec(said.stdout) ?? []
    const paths: string[] = []
    for await (const page of to.client.list()) paths.push(...page.map(({ path }) => path))
    assert.ok(paths.length > 0 && paths.length === Number(moved), said.stdout)
    assert.ok((await fetchWhole(to.client, paths[0]!)).equals(bytes))
  } finally {
    child.kill('SIGKILL')
    gate.close()
    await from.close()
    await to.close()
    rmSync(directory, { recursive: true, force: true })
  }
})

test('a name that is too long for the name server holds up no rebalance', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-rebalance-'))
  const [from, to] = [await startHashstore(), await startHashstore()]
  const names = await startHashstore({ namesOnly: true })
  try {
    const machines = join(directory, 'machineconf.txt')
    writeFileSync(machines, `127.0.0.1,${to.port}\n`)
    const long = `c:\\${'x'.repeat(1_021)}`
    assert.ok(await writeOld(from.port, long, Buffer.from('long')))
    assert.ok(await writeOld(from.port, 'c:\\short', Buffer.from('short')))
    const flags = ['--leaving', `127.0.0.1:${from.port}`, '--nameserver', `127.0.0.1:${names.port}`]
    const { said, ended } = startRebalance(machines, ...flags)
    assert.deepEqual(await ended, [0, null], said.stderr)
    assert.match(said.stdout, /^2 files, 2 of them .* at another place: 2 moved\n$/)
    assert.match(said.stderr, /the name server cannot list c:\\xxx/)
    assert.equal(String(await fetchWhole(to.client, long)), 'long')
    const listed: TreeEntry[] = []
    for await (const page of names.client.browse(Buffer.from('c:\\'), false)) listed.push(...page)
    assert.deepEqual(
      listed.map((each) => ('path' in each ? each.path : each.directory)),
      ['c:\\short'],
    )
  } finally {
    await Promise.all([from, to, names].map((each) => each.close()))
    rmSync(directory, { recursive: true, force: true })
  }
})
