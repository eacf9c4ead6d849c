/** The commands of the hash store as processes: what they refuse, and how they end. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { after, before, test } from 'node:test'
import { crc32c } from '../../src/base/checksum.ts'
import { systemClock } from '../../src/base/clock.ts'
import { HASHSTORE_CHUNKS_SENT_BYTES_MAX } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { Context } from '../../src/cli/command.ts'
import { put } from '../../src/cli/hashstore-actions/put.ts'
import { rm } from '../../src/cli/hashstore-actions/rm.ts'
import { thisMachine } from '../../src/cli/machine.ts'
import { HashstoreClient } from '../../src/protocols/hashstore/client.ts'
import { HashstoreCluster } from '../../src/protocols/hashstore/cluster.ts'
import {
  EXTENDED_OPENING,
  encodeCrc,
  encodeHead,
  type FileEntry,
  OK,
} from '../../src/protocols/hashstore/wire.ts'
import { runCairn, spawnCairn } from '../support/cairn-process.ts'
import type { RoleProcess } from '../support/cluster-processes.ts'
import { bytesSource, fetchWhole, portOf, startDataServer, WAIT_MS_MAX } from './hashstore-kit.ts'

const directory = mkdtempSync(join(tmpdir(), 'cairn-hashstore-commands-'))
const local = (...names: string[]) => join(directory, ...names)
let server: RoleProcess
let client: HashstoreClient

before(async () => {
  server = await startDataServer(local('server'))
  client = new HashstoreClient({ host: '127.0.0.1', port: portOf(server) }, { timeoutMs: WAIT_MS_MAX })
  writeFileSync(local('machines'), `${server.address.replace(':', ',')}\n`)
})

after(async () => {
  client?.close()
  await server?.kill()
  rmSync(directory, { recursive: true, force: true })
})

const argsOf = (action: string, ...args: string[]) => [
  ...['hashstore', action, '--machines', local('machines')],
  ...args,
]
const hashstore = (action: string, ...args: string[]) => runCairn(argsOf(action, ...args))
const store = (path: string, text: string) => client.put(Buffer.from(path), bytesSource(Buffer.from(text)))

test('what is no ordinary file is refused before anything is sent', async () => {
  execFileSync('mkfifo', [local('pipe')])
  writeFileSync(local('ordinary'), 'x')
  const refused = await hashstore('put', local('ordinary'), local('pipe'))
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /^cairn: cannot read .*pipe: it is neither an ordinary file nor a folder\n$/)
  await assert.rejects(client.stat(Buffer.from(local('ordinary'))), { code: 'not_found' })
  const sfss = await runCairn(['sfss-client', '--path', 'pipe', '--filepath', local('pipe')])
  assert.equal(sfss.code, 2)
  assert.match(sfss.stderr, /neither an ordinary file nor a folder/)
})

test('a file that is longer than is said of it replaces nothing', {
  skip: !existsSync('/proc/cpuinfo'),
}, async () => {
  await store('kept', 'as it was')
  const refused = await hashstore('put', '/proc/cpuinfo', '--path', 'kept')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^cairn: kept: the file does not end after 0 bytes/)
  assert.equal(String(await fetchWhole(client, 'kept')), 'as it was')
})

/** A server that takes one request of each connection, and does what it is told with it. Gives its machine file. */
async function startOther(answer: (socket: Socket, op: string) => void) {
  const sockets = new Set<Socket>()
  const other = createServer((socket) => {
    sockets.add(socket)
    let received = Buffer.alloc(0)
    let isAsked = false
    socket.on('error', () => undefined)
    socket.once('data', () => socket.write(OK))
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      const start = EXTENDED_OPENING.length + 4
      if (isAsked || received.length < start) return
      const end = start + received.readUInt32BE(EXTENDED_OPENING.length)
      if (received.length < end) return
      isAsked = true
      answer(socket, JSON.parse(String(received.subarray(start, end))).op)
    })
  })
  await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
  const machines = local(`machines-${(other.address() as AddressInfo).port}`)
  writeFileSync(machines, `127.0.0.1,${(other.address() as AddressInfo).port}\n`)
  const close = () => {
    for (const socket of sockets) socket.destroy()
    other.close()
  }
  return { machines, close }
}

const entryOf = (path: string, size: number, time = 1): FileEntry => ({ path, size, time, tag: 'x' })

async function until(holds: () => boolean): Promise<void> {
  const deadline = systemClock.monotonicMs() + WAIT_MS_MAX
  while (!holds()) {
    assert.ok(systemClock.monotonicMs() < deadline, 'it does not come true')
    await systemClock.sleep(20)
  }
}

test('get writes no file over another one of its own, nor over what is no file', async () => {
  const target = local('targets')
  mkdirSync(join(target, 'folder'), { recursive: true })
  for (const path of ['a/n.txt', 'b/n.txt', 'a/folder']) await store(path, path)
  const get = (...args: string[]) => hashstore('get', '--output-dir', target, ...args)
  const same = await get('a/n.txt', 'b/n.txt')
  assert.equal(same.code, 2)
  assert.match(same.stderr, /^cairn: a\/n\.txt and b\/n\.txt would both be written to .*n\.txt\n$/)
  const folder = await get('a/n.txt', 'a/folder')
  assert.deepEqual([folder.code, /folder is there, and is no ordinary file/.test(folder.stderr)], [2, true])
  assert.equal((await get('a/n.txt', '..')).code, 2)
  assert.deepEqual(readdirSync(target), ['folder'], 'nothing is fetched before')
  const longName = 'n'.repeat(255)
  await store(longName, 'long name')
  assert.equal((await get('a/n.txt', longName)).code, 0)
  assert.equal(readFileSync(join(target, 'n.txt'), 'utf8'), 'a/n.txt')
  assert.equal(readFileSync(join(target, longName), 'utf8'), 'long name')
})

test('ls shows times that no calendar has as a dash', async () => {
  const entries = [9e15, 1e15, 0].map((time, at) => entryOf(`file ${at}`, at, time))
  const other = await startOther((socket) => {
    const page = Buffer.from(JSON.stringify({ entries }))
    socket.write(Buffer.concat([encodeHead({ ok: true, size: page.length }), page, encodeCrc(crc32c(page))]))
  })
  try {
    const listed = await runCairn(['hashstore', 'ls', '--machines', other.machines])
    assert.equal(listed.code, 0, listed.stderr)
    assert.deepEqual(listed.stdout.trimEnd().split('\n'), [
      '   0  -                       file 0',
      '   1  +033658-09-27 01:46:40  file 1',
      '   2  1970-01-01 00:00:00     file 2',
    ])
  } finally {
    other.close()
  }
})

test('the first signal ends get and ls, also where a server keeps them waiting', async () => {
  let asked = 0
  const other = await startOther((socket, op) => {
    asked++
    if (op !== 'get') return
    socket.write(encodeHead({ ok: true, size: 1_000_000, entry: entryOf('half', 1_000_000) }))
    socket.write(Buffer.alloc(500_000))
  })
  const target = local('half')
  mkdirSync(target)
  const start = (...args: string[]) =>
    spawnCairn(['hashstore', ...args, '--machines', other.machines, '--timeout', '10m'])
  try {
    const get = start('get', 'half', 'second', '--output-dir', target)
    await until(() => readdirSync(target).some((name) => statSync(join(target, name)).size > 0))
    get.child.kill('SIGINT')
    const ended = await get.ended
    assert.deepEqual([ended.code, ended.stderr], [1, 'cairn: interrupted: 0 of 2 files are here\n'])
    assert.deepEqual(readdirSync(target), [])
    assert.equal(asked, 1)
    const shown = start('get', 'half', '-o', '-')
    await new Promise((resolve) => shown.child.stdout!.once('data', resolve))
    shown.child.kill('SIGINT')
    const { code, stderr } = await shown.ended
    assert.deepEqual([code, stderr], [1, 'cairn: interrupted: 0 of 1 files are here\n'])
    const ls = start('ls')
    await until(() => asked === 3)
    ls.child.kill('SIGINT')
    const listed = await ls.ended
    assert.deepEqual([listed.code, listed.stderr], [1, 'cairn: interrupted\n'])
  } finally {
    other.close()
  }
})

test('of files in chunks, however many go at once, only so much is in memory', async () => {
  const chunkSizeBytes = 100 * 1024 * 1024
  const cluster = new HashstoreCluster({
    machines: [client.machine],
    ...{ leaving: [], placement: 'modulo', chunkSizeBytes, nameserver: undefined },
    ...{ timeoutMs: WAIT_MS_MAX, clock: systemClock, random: systemRandom },
  })
  let [reads, bytes, mostBytes] = [0, 0, 0]
  const file = {
    sizeBytes: 5 * chunkSizeBytes,
    async *read(start: number, end: number) {
      reads++
      bytes += end - start
      mostBytes = Math.max(mostBytes, bytes)
      try {
        for (let turn = 0; turn < 10; turn++) await new Promise<void>((done) => systemClock.soon(done))
        // So none of it is ever sent.
        if (end > 0) throw new Error('cannot be read')
        yield Buffer.alloc(0)
      } finally {
        bytes -= end - start
      }
    },
  }
  const puts = Array.from({ length: 16 }, (_, at) => cluster.put(Buffer.from(`memory ${at}`), file))
  const results = await Promise.allSettled(puts)
  assert.ok(results.every((each) => each.status === 'rejected' && each.reason.message === 'cannot be read'))
  assert.ok(reads >= 16)
  assert.equal(mostBytes, 2 * chunkSizeBytes)
  assert.ok(mostBytes <= HASHSTORE_CHUNKS_SENT_BYTES_MAX)
  cluster.close()
})

/** The world of a command in this process. `onOutput` is told of each write to standard output. */
function contextOf(args: string[], stop: AbortController, onOutput: () => void) {
  const written = { stdout: '', stderr: '' }
  const writerTo = (name: keyof typeof written) =>
    new Writable({
      write(bytes, _encoding, done) {
        written[name] += bytes
        if (name === 'stdout') onOutput()
        done()
      },
    })
  const context: Context = {
    ...{ args, signal: stop.signal, log: silentLog, clock: systemClock, random: systemRandom },
    ...{ machine: thisMachine({}, false), stdin: process.stdin },
    ...{ stdout: writerTo('stdout'), stderr: writerTo('stderr') },
  }
  return { context, written }
}

const configOf = (machines: string) => ({
  ...{ machines, leaving: [], placement: 'modulo', nameserver: '', timeoutMs: WAIT_MS_MAX },
  ...{ chunkSizeBytes: 0, path: '', recurse: false, concurrency: 1 },
})

test('after the first signal rm and put begin no other file', async () => {
  const paths = ['first', 'second', 'third'].map((name) => local(name))
  for (const path of paths) writeFileSync(path, 'x')
  const there = async () => {
    const found: boolean[] = []
    for (const path of paths)
      found.push(
        await client.stat(Buffer.from(path)).then(
          () => true,
          () => false,
        ),
      )
    return found
  }
  const stopAfterFirst = async (command: typeof put) => {
    const stop = new AbortController()
    const { context, written } = contextOf(paths, stop, () => stop.abort())
    assert.equal(await command.run(configOf(local('machines')) as never, context), 1)
    assert.equal(written.stdout, `${paths[0]}\n`)
    return written.stderr
  }
  assert.equal(await stopAfterFirst(put), 'cairn: interrupted: 1 of 3 files are stored\n')
  assert.deepEqual(await there(), [true, false, false])
  assert.equal((await hashstore('put', ...paths)).code, 0)
  assert.equal(await stopAfterFirst(rm), 'cairn: interrupted: 1 of 3 files are removed\n')
  assert.deepEqual(await there(), [false, true, true])
})

test('the first signal breaks off a long put', async () => {
  const stop = new AbortController()
  const other = await startOther(() => stop.abort())
  const path = local('long')
  writeFileSync(path, Buffer.alloc(50_000_000))
  try {
    const { context, written } = contextOf([path], stop, () => undefined)
    assert.equal(await put.run(configOf(other.machines) as never, context), 1)
    assert.equal(written.stderr, 'cairn: interrupted: 0 of 1 files are stored\n')
  } finally {
    other.close()
  }
})
