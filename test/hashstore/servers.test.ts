/**
 * The program as processes: three data servers under the first client (written anew for Python 3), a name server, chunks, a new
 * server and a rebalance while all is read, and a `kill -9` of every server under load.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { StoreError, toStoreError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import { HashstoreClient } from '../../src/protocols/hashstore/client.ts'
import { HashstoreCluster } from '../../src/protocols/hashstore/cluster.ts'
import { parseMachines } from '../../src/protocols/hashstore/placement.ts'
import { Rebalance } from '../../src/protocols/hashstore/rebalance.ts'
import { runCairn } from '../support/cairn-process.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import {
  bytesSource,
  fetchOld,
  fetchWhole,
  portOf,
  startDataServer,
  WAIT_MS_MAX,
  writeOld,
} from './hashstore-kit.ts'

const FIRST_CLIENT = new URL('first_client.py', import.meta.url).pathname
const PICTURE = 'e:\\pics\\tumblr_m0pvvmcIv41r9mp65o1_500.gif'
/** Writes before a kill. */
const ACKNOWLEDGED_MIN = 40
const directory = mkdtempSync(join(tmpdir(), 'cairn-hashstore-'))
/** Where the first client runs, with its machineconf.txt. */
const work = join(directory, 'work')
let servers: RoleProcess[] = []
let nameserver: RoleProcess

before(async () => {
  mkdirSync(work)
  const names = startRole('hashstore nameserver', await freePort(), ['--dir', join(directory, 'names')])
  servers = await Promise.all([1, 2, 3].map((each) => startDataServer(join(directory, `s${each}`))))
  nameserver = await names
})

after(async () => {
  await Promise.all([...servers, nameserver].map((each) => each?.kill()))
  rmSync(directory, { recursive: true, force: true })
})

const lineOf = (server: RoleProcess) => `${server.address.replace(':', ',')}\n`

function nameMachines(...named: RoleProcess[]): string {
  const path = join(work, 'machineconf.txt')
  writeFileSync(path, named.map(lineOf).join(''))
  return path
}

async function firstClient(...args: string[]): Promise<void> {
  const child = spawn('python3', [FIRST_CLIENT, ...args], {
    cwd: work,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: WAIT_MS_MAX,
  })
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  assert.equal(code, 0)
}

/** The first client does not wait until a file is stored. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonicMs() + WAIT_MS_MAX
  while (!(await holds())) {
    assert.ok(systemClock.monotonicMs() < deadline, 'it does not come true')
    await systemClock.sleep(20)
  }
}

async function hashstore(action: string, ...args: string[]) {
  const machines = join(work, 'machineconf.txt')
  const result = await runCairn(['hashstore', action, '--machines', machines, ...args])
  assert.equal(result.code, 0, result.stderr)
  return result
}

function clusterOf(
  named: RoleProcess[],
  options: Partial<ConstructorParameters<typeof HashstoreCluster>[0]> = {},
) {
  return new HashstoreCluster({
    machines: parseMachines(named.map(lineOf).join('')),
    ...{ leaving: [], placement: 'modulo', chunkSizeBytes: 0, nameserver: undefined },
    ...{ timeoutMs: WAIT_MS_MAX, clock: systemClock, random: systemRandom },
    ...options,
  })
}

test('the first client stores and fetches through three servers', async () => {
  nameMachines(...servers)
  const files = [PICTURE, 'e:\\pics\\x.gif', 'C:\\Dokumente\\grüße.txt', 'e:\\图片\\空.gif']
  const contents = files.map((_, at) => randomBytes(at === 3 ? 0 : 50_000 * (at + 1)))
  for (const [at, file] of files.entries()) writeFileSync(join(work, file), contents[at]!)
  await firstClient('write', ...files)
  for (const [at, file] of files.entries()) {
    const digits = createHash('md5').update(file).digest('hex').slice(-4)
    const place = Number.parseInt(digits, 16) % 3
    const port = portOf(servers[place]!)
    if (at < 3) await until(async () => (await fetchOld(port, file))?.equals(contents[at]!) === true)
    for (const other of servers) {
      if (other !== servers[place]) assert.equal((await fetchOld(portOf(other), file))?.length, 0)
    }
  }
  await firstClient('fetch', ...files)
  for (const [at, file] of files.entries())
    assert.ok(readFileSync(join(work, file.split('\\').at(-1)!)).equals(contents[at]!), file)
})

test('the first client fetches right behind what it writes, as its document has it', async () => {
  const flags = ['--dir', join(directory, 'many'), '--workers', '3', '--ballast', '0']
  const server = await startRole('hashstore serve', await freePort(), flags)
  try {
    nameMachines(server)
    const files = [PICTURE, ...Array.from({ length: 30 }, (_, at) => `e:\\pics\\behind ${at}`)]
    const contents = files.map((_, at) => randomBytes(1 + at * 50_000))
    for (const [at, file] of files.entries()) writeFileSync(join(work, file), contents[at]!)
    await firstClient('both', ...files)
    for (const [at, file] of files.entries())
      assert.ok(readFileSync(join(work, file.split('\\').at(-1)!)).equals(contents[at]!), file)
  } finally {
    await server.kill()
  }
})

test('commands: folders, chunks, the name server, and what the first client sees of it', async () => {
  const machines = nameMachines(servers[0]!, servers[1]!)
  const folder = join(work, 'photos')
  mkdirSync(join(folder, 'sub'), { recursive: true })
  for (let at = 0; at < 19; at++) writeFileSync(join(folder, 'sub', `${at}.txt`), `file ${at}`)
  writeFileSync(join(folder, 'sub', '50 %25.txt'), 'percent')
  const large = randomBytes(2_500_000)
  writeFileSync(join(folder, 'large.bin'), large)
  const names = ['--nameserver', nameserver.address]
  const stored = await hashstore('put', '-r', folder, '--chunk-size', '1MiB', ...names)
  assert.equal(stored.stdout.split('\n').length, 22)
  const listed = await hashstore('ls', `${folder}/`, '--json', ...names)
  const entries = listed.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    entries.map(({ path, directory: dir, size }) => [path ?? dir, size]),
    [
      [`${folder}/sub/`, undefined],
      [`${folder}/large.bin`, 2_500_000],
    ],
  )
  const withoutNames = await hashstore('ls', '-r', folder)
  assert.equal(withoutNames.stdout.trim().split('\n').length, 21)
  const elsewhere = await hashstore('put', '-r', folder, '--path', 'else/where')
  assert.equal(elsewhere.code, 0, elsewhere.stderr)
  assert.match(elsewhere.stdout, /^else\/where\/sub\/7\.txt$/m)
  const moved = await hashstore('ls', '-r', 'else/')
  assert.equal(moved.stdout.trim().split('\n').length, 21)
  const percent = await hashstore('ls', `${folder}/sub/5`, ...names)
  assert.deepEqual(percent.stdout.match(/[^/]+\.txt$/gm), ['5.txt', '50 %25.txt'], 'as get and rm take them')
  const escaped = await hashstore('ls', `${folder}/sub/50 %25`, '--json')
  assert.equal(JSON.parse(escaped.stdout).path, `${folder}/sub/50 %2525.txt`)
  const target = join(work, 'back.bin')
  await hashstore('get', join(folder, 'large.bin'), '-o', target)
  assert.ok(readFileSync(target).equals(large))
  const [small, none] = [join(folder, 'sub', '7.txt'), join(folder, 'none')]
  const get = (...args: string[]) => runCairn(['hashstore', 'get', '--machines', machines, ...args])
  // Nothing keeps it from ending, though the server would wait for longer.
  const lost = await get(small, '-o', join(work, 'nowhere', 'x'), '--timeout', '10m')
  assert.equal(lost.code, 1)
  assert.match(lost.stderr, /^cairn: .*7\.txt: ENOENT.*\n$/)
  const partly = await get(none, small, '--output-dir', work)
  assert.deepEqual([partly.code, readFileSync(join(work, '7.txt'), 'utf8')], [1, 'file 7'])
  assert.match(partly.stderr, /^cairn: .*none: there is no file/)
  // The first client stores over it; the chunks that are left are for a rebalance.
  writeFileSync(join(work, 'e:\\new'), 'by hand')
  await hashstore('put', join(work, 'e:\\new'), '--path', 'e:\\new', ...names)
  await firstClient('fetch', 'e:\\new')
  assert.equal(readFileSync(join(work, 'new'), 'utf8'), 'by hand')
  const unheard = await hashstore('put', target, '--path', 'alone', '--nameserver', '127.0.0.1:1')
  assert.match(unheard.stderr, /the name server was not told/)
  await hashstore('get', 'alone', '-o', join(work, 'alone'))
  await hashstore('rm', join(folder, 'large.bin'), 'e:\\new', ...names)
  assert.equal((await runCairn(['hashstore', 'get', 'e:\\new', '--machines', machines])).code, 1)
  let left = 0
  for (const { address } of servers) {
    const [host, port] = address.split(':') as [string, string]
    const client = new HashstoreClient({ host, port: Number(port) }, { timeoutMs: WAIT_MS_MAX })
    for await (const page of client.list()) left += page.filter(({ chunkOf }) => chunkOf !== undefined).length
    client.close()
  }
  assert.equal(left, 0, 'chunks go with their file')
})

const memoryFile = (bytes: Buffer) => ({
  sizeBytes: bytes.length,
  async *read(start: number, end: number) {
    yield Buffer.from(bytes.subarray(start, end))
  },
})

test('a file in chunks that is replaced or removed while it is read says so, and get begins anew', async () => {
  const cluster = clusterOf(servers, { chunkSizeBytes: 20_000 })
  const path = Buffer.from('replaced')
  nameMachines(...servers)
  await cluster.put(path, memoryFile(randomBytes(50_000)))
  const changes = [() => cluster.put(path, memoryFile(randomBytes(50_000))), () => cluster.remove(path)]
  for (const change of changes) {
    const read = (await cluster.get(path)).pieces()[Symbol.asyncIterator]()
    await read.next()
    await change()
    await assert.rejects(async () => {
      while (!(await read.next()).done);
    }, /replaced or removed while it was read/)
  }
  // Each file is of one byte, over and over.
  const contents = (at: number) => Buffer.alloc(400_000, at)
  await cluster.put(path, memoryFile(contents(0)))
  let isReading = true
  const replace = async () => {
    for (let at = 1; isReading; at++) {
      await cluster.put(path, memoryFile(contents(at % 256)))
      // So often that it meets readers, and so seldom that each of them ends.
      await systemClock.sleep(systemRandom.below(300))
    }
  }
  const readSome = async () => {
    try {
      for (let at = 0; at < 3; at++) {
        const target = join(work, `replaced-${at}`)
        await hashstore('get', 'replaced', '-o', target)
        const got = readFileSync(target)
        assert.ok(got.equals(contents(got[0]!)), 'one of the files, whole')
      }
    } finally {
      isReading = false
    }
  }
  await Promise.all([replace(), readSome()])
  cluster.close()
})

/** Undefined: there is no such file. */
async function wholeOf(cluster: HashstoreCluster, name: string): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of (await cluster.get(Buffer.from(name))).pieces()) pieces.push(Buffer.from(piece))
  } catch (error) {
    const { code } = toStoreError(error)
    if (code === 'not_found') return undefined
    if (code === 'conflict') return await wholeOf(cluster, name)
    throw error
  }
  return Buffer.concat(pieces)
}

test('a new server takes its files while all are read, replaced and removed; interrupted, it goes on', async () => {
  const placement = 'ring' as const
  const two = clusterOf(servers.slice(0, 2), { placement, chunkSizeBytes: 20_000 })
  const three = clusterOf(servers, { placement, chunkSizeBytes: 20_000 })
  /** What each may hold: what was stored, then what it is changed to; undefined: nothing. */
  const contents = new Map<string, (Buffer | undefined)[]>()
  const names = Array.from({ length: 60 }, (_, at) => `move\\${at}`)
  for (const name of names) {
    const bytes = randomBytes(name.endsWith('7') ? 50_000 : 1_000)
    contents.set(name, [bytes])
    await two.put(Buffer.from(name), memoryFile(bytes))
  }
  assert.ok(await writeOld(portOf(servers[0]!), 'd:\\old one', Buffer.from('old')))
  const abort = new AbortController()
  const common = { cluster: three, clock: systemClock }
  const first = new Rebalance({ ...common, signal: abort.signal })
  let isMoving = true
  const readAll = async () => {
    for (let at = 0; isMoving || at < names.length; at++) {
      if (at === 10) abort.abort()
      const name = names[at % names.length]!
      const allowed = contents.get(name)!
      if (allowed.length > 1) continue
      const got = await wholeOf(three, name)
      // A change that came meanwhile is allowed by now.
      const isWhole = allowed.some((bytes) => (bytes === undefined ? got === undefined : got?.equals(bytes)))
      assert.ok(isWhole, `${name} is whole`)
    }
  }
  const writeSome = async () => {
    for (const name of names.slice(0, 10)) {
      const bytes = randomBytes(1_500)
      contents.get(name)!.push(bytes)
      await three.put(Buffer.from(name), memoryFile(bytes))
      contents.set(name, [bytes])
    }
    for (const name of names.slice(10, 15)) {
      contents.get(name)!.push(undefined)
      await three.remove(Buffer.from(name))
    }
  }
  const move = async () => {
    try {
      await first.count()
      await first.move().catch(() => undefined)
      const second = new Rebalance({ ...common, signal: new AbortController().signal })
      await second.count()
      await second.move()
    } finally {
      isMoving = false
    }
  }
  await Promise.all([move(), readAll(), writeSome()])
  // What was changed while it was to be moved was left where it is.
  const final = new Rebalance({ ...common, signal: new AbortController().signal })
  await final.move()
  await final.count()
  assert.equal(final.counts.misplaced, 0)
  for (const name of names) {
    const path = Buffer.from(name)
    if (contents.get(name)!.at(-1) !== undefined) await three.serverOf(path).stat(path)
    else await assert.rejects(three.get(path), { code: 'not_found' })
  }
  assert.equal(String(await fetchWhole(three.serverOf(Buffer.from('d:\\old one')), 'd:\\old one')), 'old')
  two.close()
  three.close()
})

test('chunks that nothing names are removed a week later where that is asked for, those of a file never', async () => {
  const cluster = clusterOf(servers, { chunkSizeBytes: 1_000 })
  const bytes = randomBytes(3_500)
  for (const name of ['whole', 'overwritten']) await cluster.put(Buffer.from(name), memoryFile(bytes))
  const owner = Buffer.from('overwritten')
  assert.ok(await writeOld(cluster.serverOf(owner).machine.port, owner, Buffer.from('by an old client')))
  const signal = new AbortController().signal
  const later = { ...systemClock, nowMs: () => systemClock.nowMs() + 8 * 24 * 3_600_000 }
  const counted = async (clock: Clock, removesChunks: boolean) => {
    const rebalance = new Rebalance({ cluster, clock, signal, removesChunks })
    await rebalance.move()
    return rebalance.counts
  }
  const today = await counted(systemClock, true)
  assert.deepEqual([today.looseChunks, today.removedChunks], [0, 0])
  const unasked = await counted(later, false)
  assert.ok(unasked.looseChunks >= 4)
  assert.equal(unasked.removedChunks, 0)
  const asked = await counted(later, true)
  assert.deepEqual([asked.looseChunks, asked.removedChunks], [unasked.looseChunks, unasked.looseChunks])
  const owners: (string | undefined)[] = []
  for (const server of cluster.servers)
    for await (const page of server.list()) owners.push(...page.map(({ chunkOf }) => chunkOf))
  const chunksOf = (name: string) => owners.filter((each) => each === name).length
  assert.deepEqual(['whole', 'overwritten'].map(chunksOf), [4, 0])
  assert.ok((await wholeOf(cluster, 'whole'))?.equals(bytes))
  cluster.close()
})

test('an upload of which a chunk fails ends there, and leaves nothing', async () => {
  const cluster = clusterOf(servers, { chunkSizeBytes: 1_000 })
  let puts = 0
  for (const server of cluster.servers) {
    const put = server.put.bind(server)
    server.put = async (...args) => {
      puts++
      if (puts === 3) throw new StoreError('disk_full', 'this one')
      return await put(...args)
    }
  }
  await assert.rejects(cluster.put(Buffer.from('failed'), memoryFile(randomBytes(100_000))), /this one/)
  assert.ok(puts < 10, 'the other lane ends too')
  for (const server of cluster.servers)
    for await (const page of server.list()) assert.ok(page.every(({ chunkOf }) => chunkOf !== 'failed'))
  cluster.close()
})

test('kill -9 of every server under load loses nothing that was acknowledged', async () => {
  for (const [at, server] of servers.entries()) {
    const port = portOf(server)
    const client = new HashstoreClient({ host: '127.0.0.1', port }, { timeoutMs: WAIT_MS_MAX })
    const acknowledged = new Map<string, Buffer>()
    let isKilled = false
    const write = async (writer: number) => {
      for (let turn = 0; !isKilled; turn++) {
        const name = `kill\\${at}-${writer}-${turn % 20}`
        const bytes = randomBytes(turn % 5 === 0 ? 200_000 : 2_000)
        acknowledged.delete(name)
        try {
          const isOld = writer % 2 === 0
          const isStored = isOld
            ? await writeOld(port, name, bytes)
            : (await client.put(Buffer.from(name), bytesSource(bytes))).entry !== undefined
          // The system ends the connections of a killed process in an orderly way.
          if (isStored && !(isOld && isKilled)) acknowledged.set(name, bytes)
        } catch {
          // The server is gone.
        }
      }
    }
    const writers = Array.from({ length: 6 }, (_, writer) => write(writer))
    await until(async () => acknowledged.size >= ACKNOWLEDGED_MIN)
    isKilled = true
    await server.kill()
    await Promise.all(writers)
    client.close()
    servers[at] = await startRole('hashstore serve', port, [
      ...['--dir', join(directory, `s${at + 1}`), '--workers', '1', '--ballast', '0'],
    ])
    const again = new HashstoreClient({ host: '127.0.0.1', port }, { timeoutMs: WAIT_MS_MAX })
    for (const [name, bytes] of acknowledged) {
      assert.ok((await fetchWhole(again, name)).equals(bytes), `${name} after the kill`)
      assert.ok((await fetchOld(port, name))?.equals(bytes))
    }
    again.close()
  }
  assert.ok(!existsSync(join(directory, 'kill')))
})

test('kill -9 of the name server loses no name that was acknowledged', async () => {
  const port = portOf(nameserver)
  const client = new HashstoreClient({ host: '127.0.0.1', port }, { timeoutMs: WAIT_MS_MAX })
  const acknowledged: string[] = []
  let isKilled = false
  const enter = async (writer: number) => {
    for (let turn = 0; !isKilled; turn++) {
      const path = `names\\${writer}\\${turn}`
      const isEntered = await client.enter(Buffer.from(path), { size: 1, time: 1 }).then(
        () => true,
        () => false,
      )
      if (isEntered) acknowledged.push(path)
    }
  }
  const writers = Array.from({ length: 6 }, (_, writer) => enter(writer))
  await until(async () => acknowledged.length >= ACKNOWLEDGED_MIN)
  isKilled = true
  await nameserver.kill()
  await Promise.all(writers)
  client.close()
  nameserver = await startRole('hashstore nameserver', port, ['--dir', join(directory, 'names')])
  const again = new HashstoreClient({ host: '127.0.0.1', port }, { timeoutMs: WAIT_MS_MAX })
  const known = new Set<string>()
  for await (const page of again.browse(Buffer.from('names'), true))
    for (const each of page) if ('path' in each) known.add(each.path)
  again.close()
  assert.deepEqual(
    acknowledged.filter((path) => !known.has(path)),
    [],
  )
})

test('a name server keeps its names where --metadata says', async () => {
  const kept = join(directory, 'kept')
  const flags = ['--dir', join(directory, 'unused'), '--metadata', kept]
  const other = await startRole('hashstore nameserver', await freePort(), flags)
  try {
    assert.ok(existsSync(join(kept, 'metadata.sqlite')))
    assert.ok(!existsSync(join(directory, 'unused')))
  } finally {
    await other.kill()
  }
})
