/**
 * `npm run long -- tree [--no-large] [DIRECTORY...]`: a tree of files, or 20,000 made ones, goes in with `cairn cp -r`, through a `kill -9` in the
 * middle and one at the end, and comes out byte for byte, on SQLite and on PostgreSQL; and a file of 5 GiB.
 */
import assert from 'node:assert/strict'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertSameTree, makeTree } from '../names-faults/trees.ts'
import { type ServerProcess, spawnCairn, startServer } from '../support/cairn-process.ts'
import { dataOf, KIB, MIB } from '../support/needles.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

const FILES_MADE = 20_000
const KILL_AFTER_MS = 15_000
const LARGE_BYTES = 5 * 1024 * MIB
const COMMAND_MS_MAX = 1_800_000
const ATTEMPTS_MAX = 5
const MEMORY_GROWTH_MAX = 400 * MIB

const root = mkdtempSync(join(tmpdir(), 'cairn-tree-'))
const words = process.argv.slice(2)
const hasLarge = !words.includes('--no-large')
const sources = words.filter((word) => word !== '--no-large').map((path) => resolve(path))
async function run(engine: string, flags: string[]): Promise<void> {
  const [data, out] = [join(root, 'data'), join(root, 'out')]
  let server = await startServer(data, flags)
  const say = (text: string) => console.log(`${engine}: ${text}`)
  try {
    const first = cairn(server, ['cp', '-r', ...sources, 'cairn:/tree/'])
    await Promise.race([first, sleep(KILL_AFTER_MS)])
    await server.kill()
    const interrupted = await first
    say(`killed in the middle; cp: ${lastLine(interrupted.stdout)}, code ${interrupted.code}`)
    server = await startServer(data, flags)
    say(`cp again in ${await timed(() => succeed(server, ['cp', '-r', ...sources, 'cairn:/tree/']))}`)
    await server.kill()
    server = await startServer(data, flags)
    mkdirSync(out)
    say(`killed at the end; out in ${await timed(() => succeed(server, ['get', '-r', '/tree/', out]))}`)
    let [files, bytes] = [0, 0]
    for (const source of sources) {
      const counts = assertSameTree(join(out, basename(source)), source)
      files += counts.files
      bytes += counts.bytes
    }
    say(`${files} files, ${bytes} bytes, the same byte for byte`)
    rmSync(out, { recursive: true })
    if (hasLarge) await largeFile(server, say)
    await server.stop()
    // What was in flight at a kill: where others could still be writing, the server itself would wait an hour.
    const fsck = ['fsck', '--data', data, ...flags]
    if (flags.length > 0)
      say(`repair: ${lastLine((await spawnCairn([...fsck, '--repair'], COMMAND_MS_MAX).ended).stdout)}`)
    const check = await spawnCairn(fsck, COMMAND_MS_MAX).ended
    say(`fsck: ${lastLine(check.stdout)}, code ${check.code}`)
    assert.equal(check.code, 0, check.stdout + check.stderr)
  } finally {
    await server.kill()
    for (const path of [data, out]) rmSync(path, { recursive: true, force: true })
  }
}

async function largeFile(server: ServerProcess, say: (text: string) => void): Promise<void> {
  const [path, back] = [join(root, 'large'), join(root, 'back')]
  const file = openSync(path, 'w')
  for (let at = 0; at < LARGE_BYTES; at += MIB) writeSync(file, dataOf(at / MIB, 64 * KIB), 0, 64 * KIB, at)
  writeSync(file, Buffer.from('end'), 0, 3, LARGE_BYTES - 3)
  closeSync(file)
  const before = memoryPeak(server)
  say(`5 GiB in: ${await timed(() => succeed(server, ['cp', path, 'cairn:/large']))}`)
  say(`5 GiB out: ${await timed(() => succeed(server, ['get', '/large', back]))}`)
  const growth = memoryPeak(server) - before
  say(`memory of the server: peak ${before / MIB} MiB before, ${growth / MIB} MiB more after`)
  compareFiles(path, back)
  assert.ok(growth < MEMORY_GROWTH_MAX, `${growth} bytes more`)
  for (const each of [path, back]) rmSync(each)
}

const memoryPeak = (server: ServerProcess) =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))![1]) * KIB

function compareFiles(one: string, other: string): void {
  const [a, b] = [openSync(one, 'r'), openSync(other, 'r')]
  const [bytesA, bytesB] = [Buffer.alloc(4 * MIB), Buffer.alloc(4 * MIB)]
  for (let at = 0; ; ) {
    const count = readSync(a, bytesA, 0, bytesA.length, at)
    assert.equal(readSync(b, bytesB, 0, bytesB.length, at), count)
    if (count === 0) break
    assert.ok(bytesA.subarray(0, count).equals(bytesB.subarray(0, count)), `at ${at}`)
    at += count
  }
  closeSync(a)
  closeSync(b)
}

function cairn(server: ServerProcess, args: string[]) {
  return spawnCairn([...args, '--filer', server.filer], COMMAND_MS_MAX).ended
}

/** What was interrupted, as on a machine that stood still for a while, goes on when it is called again. */
async function succeed(server: ServerProcess, args: string[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { code, stdout, stderr } = await cairn(server, args)
    if (code === 0) return
    assert.ok(attempt < ATTEMPTS_MAX, stdout + stderr)
    console.log(`once more: ${lastLine(stderr)}`)
  }
}

async function timed(work: () => Promise<void>): Promise<string> {
  const startMs = performance.now()
  await work()
  return `${((performance.now() - startMs) / 1000).toFixed(1)} s`
}

const lastLine = (text: string) => text.trim().split('\n').at(-1)

try {
  if (sources.length === 0) {
    makeTree(join(root, 'made'), FILES_MADE)
    sources.push(join(root, 'made'))
  }
  await run('SQLite', [])
  if (noPostgres === false) {
    const postgres = await PostgresServer.start()
    try {
      await run('PostgreSQL', ['--metadata', await postgres.createDatabase('tree')])
    } finally {
      await postgres.end()
    }
  } else console.log(`PostgreSQL: left out, ${noPostgres}`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
