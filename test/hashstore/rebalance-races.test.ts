/** Rebalances beside others and beside removals, each order by hand; and servers that are named in strange ways. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { HashstoreClient } from '../../src/protocols/hashstore/client.ts'
import { HashstoreCluster } from '../../src/protocols/hashstore/cluster.ts'
import type { Machine } from '../../src/protocols/hashstore/placement.ts'
import { Rebalance } from '../../src/protocols/hashstore/rebalance.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { bytesSource, portOf, startDataServer, WAIT_MS_MAX } from './hashstore-kit.ts'

const directory = mkdtempSync(join(tmpdir(), 'cairn-races-'))
let servers: RoleProcess[] = []
let nameserver: RoleProcess
/** What belongs to the second of two servers, and with one server to the first. */
let next = 0

before(async () => {
  const names = startRole('hashstore nameserver', await freePort(), ['--dir', join(directory, 'names')])
  servers = await Promise.all([1, 2].map((each) => startDataServer(join(directory, `s${each}`))))
  nameserver = await names
})

after(async () => {
  await Promise.all([...servers, nameserver].map((each) => each?.kill()))
  rmSync(directory, { recursive: true, force: true })
})

const machineOf = (server: RoleProcess): Machine => ({ host: '127.0.0.1', port: portOf(server) })

function clusterOf(
  machines: Machine[],
  options: Partial<ConstructorParameters<typeof HashstoreCluster>[0]> = {},
) {
  return new HashstoreCluster({
    ...{ machines, leaving: [], placement: 'modulo', chunkSizeBytes: 0, nameserver: undefined },
    ...{ timeoutMs: WAIT_MS_MAX, clock: systemClock, random: systemRandom },
    ...options,
  })
}

const one = () => clusterOf([machineOf(servers[0]!)])
const both = () => clusterOf(servers.map(machineOf))

/** A path that two servers have on the second. */
function newPath(): Buffer {
  const cluster = both()
  try {
    for (;;) {
      const path = Buffer.from(`races\\${next++}`)
      if (cluster.serverOf(path) === cluster.servers[1]) return path
    }
  } finally {
    cluster.close()
  }
}

function rebalanceOf(cluster: HashstoreCluster) {
  return new Rebalance({ cluster, clock: systemClock, signal: new AbortController().signal })
}

async function move(cluster: HashstoreCluster) {
  const work = rebalanceOf(cluster)
  await work.move()
  return work.counts
}

async function textOf(cluster: HashstoreCluster, path: Buffer): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of (await cluster.get(path)).pieces()) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces).toString()
}

const fileOf = (text: string) => ({
  sizeBytes: text.length,
  async *read() {
    yield Buffer.from(text)
  },
})

/** Runs `work` before the next call of a client's method, once. */
function beforeNext<Name extends 'put' | 'remove'>(
  client: HashstoreClient,
  name: Name,
  work: () => Promise<unknown>,
): void {
  const method = client[name].bind(client) as (...args: unknown[]) => Promise<never>
  client[name] = (async (...args: unknown[]) => {
    client[name] = method as HashstoreClient[Name]
    await work()
    return await method(...args)
  }) as HashstoreClient[Name]
}

async function withClusters(work: (alone: HashstoreCluster, two: HashstoreCluster) => Promise<void>) {
  const [alone, two] = [one(), both()]
  try {
    await work(alone, two)
  } finally {
    for (const each of [alone, two]) each.close()
  }
}

test('a second rebalance runs to its end between the copy and the removal of the first', () =>
  withClusters(async (alone, two) => {
    const path = newPath()
    await alone.put(path, fileOf('stays'))
    const [source] = two.servers
    const other = both()
    beforeNext(source!, 'remove', async () => void (await move(other)))
    await move(two)
    assert.equal(await textOf(other, path), 'stays')
    assert.equal((await other.statAll(path)).length, 1)
    other.close()
  }))

test('what is removed while it is moved does not come back, also when its old server is gone then', () =>
  withClusters(async (alone, two) => {
    const [source, target] = two.servers
    const remover = both()
    for (const isGone of [false, true]) {
      const path = newPath()
      await alone.put(path, fileOf('removed'))
      beforeNext(target!, 'put', () => remover.remove(path))
      const gone = async () => {
        throw new StoreError('unavailable', 'it is gone')
      }
      if (isGone) beforeNext(source!, 'remove', gone)
      await move(two)
      await assert.rejects(remover.get(path), { code: 'not_found' })
      await move(remover)
      await assert.rejects(remover.get(path), { code: 'not_found' })
      await remover.put(path, fileOf('new'))
      assert.equal(await textOf(remover, path), 'new', 'it may be stored again')
      await remover.remove(path)
    }
    remover.close()
  }))

test('what is removed before it is moved counts as done; what is replaced at its old place is moved as it is then', () =>
  withClusters(async (alone, two) => {
    const [source] = two.servers
    const path = newPath()
    await alone.put(path, fileOf('first'))
    beforeNext(source!, 'remove', () => alone.put(path, fileOf('second')))
    const counts = await move(two)
    assert.deepEqual([counts.moved, counts.left], [1, 0])
    assert.equal(await textOf(two, path), 'second')
    assert.equal((await two.statAll(path)).length, 1)
    const gone = newPath()
    await alone.put(gone, fileOf('gone'))
    const get = source!.get.bind(source)
    source!.get = async (wanted) => {
      if (wanted.equals(gone)) await alone.remove(gone)
      return await get(wanted)
    }
    const { moved, left } = await move(two)
    assert.deepEqual([moved, left], [0, 0])
  }))

test('one server under two names loses nothing, and a line that stands twice is a larger share', async () => {
  const [first] = servers.map(machineOf)
  const paths = Array.from({ length: 12 }, (_, at) => Buffer.from(`alias\\${at}`))
  const alone = one()
  for (const path of paths) await alone.put(path, fileOf(String(path)))
  const alias = clusterOf([first!], { leaving: [{ host: 'localhost', port: first!.port }] })
  await assert.rejects(move(alias), /are one server/)
  const twice = clusterOf([first!, first!])
  const { misplaced, moved } = await move(twice)
  assert.deepEqual([misplaced, moved, twice.servers.length], [0, 0, 1])
  for (const path of paths) {
    assert.equal(await textOf(alone, path), String(path))
    await alone.remove(path)
  }
  for (const each of [alone, alias, twice]) each.close()
})

test('a reader takes the latest version, also from a server that is leaving', () =>
  withClusters(async (alone, two) => {
    const path = newPath()
    await alone.put(path, fileOf('old'))
    // Which is later their clocks say, in milliseconds.
    await systemClock.sleep(5)
    await two.put(path, fileOf('new'))
    const leaving = clusterOf([machineOf(servers[0]!)], { leaving: [machineOf(servers[1]!)] })
    assert.equal(await textOf(leaving, path), 'new')
    assert.ok((await move(leaving)).moved >= 1)
    assert.equal(await textOf(alone, path), 'new')
    await leaving.remove(path)
    leaving.close()
  }))

test('names of files that are gone are forgotten, those of others are not', async () => {
  const names = { host: '127.0.0.1', port: portOf(nameserver) }
  const cluster = clusterOf(servers.map(machineOf), { nameserver: names })
  const paths = ['forgotten', 'kept', 'back'].map((name) => Buffer.from(name))
  for (const path of paths) await cluster.put(path, fileOf('x'))
  const deaf = both()
  await deaf.remove(paths[0]!)
  await deaf.remove(paths[2]!)
  // It is stored again while its name is being taken away.
  const leave = cluster.nameserver!.leave.bind(cluster.nameserver)
  cluster.nameserver!.leave = async (path) => {
    if (path.equals(paths[2]!)) await deaf.put(path, fileOf('xyz'))
    await leave(path)
  }
  const work = rebalanceOf(cluster)
  await work.count()
  await work.move()
  await work.forget()
  assert.equal(work.counts.forgotten, 1)
  const entries: [string, number][] = []
  for await (const page of cluster.nameserver!.browse(Buffer.alloc(0), true))
    for (const entry of page)
      if ('path' in entry && !entry.path.startsWith('races')) entries.push([entry.path, entry.size])
  assert.deepEqual(entries.sort(), [
    ['back', 3],
    ['kept', 1],
  ])
  for (const each of [cluster, deaf]) each.close()
})

test('a source that is closed ends the connections that come back to it', async () => {
  const cluster = one()
  const path = Buffer.from('closed')
  await cluster.servers[0]!.put(path, bytesSource(randomBytes(10)))
  const stat = cluster.servers[0]!.stat(path)
  cluster.close()
  assert.equal((await stat).size, 10)
  await one().remove(path)
})
