/** Copies of files on memcached: nothing old replaces something newer, and what is refused leaves what there is. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, describe, test } from 'node:test'
import { crc32c } from '../../src/base/checksum.ts'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { encodeFileRecord, type FileRecord } from '../../src/protocols/sfss/file-record.ts'
import { VersionClock } from '../../src/protocols/sfss/version-clock.ts'
import { Network, openFiles, recordAt, storeAt, stores, valueAt } from './copies-kit.ts'
import { debianNode, keyOf, type Node, noMemcached, until } from './nodes-kit.ts'

const KIB = 1024
const HOUR_MS = 3_600_000
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startNodes(flags: string[] = []): Promise<Node[]> {
  const nodes = await Promise.all([0, 1, 2].map(() => debianNode(flags)))
  for (const node of nodes) cleanups.push(() => node.kill())
  return nodes
}

async function networkTo(node: Node): Promise<Network> {
  const network = await Network.to(node)
  cleanups.push(() => network.close())
  return network
}

function opened(...args: Parameters<typeof openFiles>) {
  const files = openFiles(...args)
  cleanups.push(() => files.close())
  return files
}

const portsOf = (nodes: readonly { port: number }[]) => nodes.map(({ port }) => port)
const textAt = async (node: Node, path: string) => (await recordAt(node, path))?.data?.toString()
/** The same, as a later version of sfss may write it. */
function inLaterFormat(record: FileRecord): Buffer {
  const bytes = encodeFileRecord(record)
  bytes.writeUInt8(2, 8)
  bytes.writeUInt32BE(crc32c(bytes.subarray(8)), 4)
  return bytes
}

const isA = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

describe('writes', { skip: noMemcached }, () => {
  test('what arrives late replaces nothing newer', async () => {
    const nodes = await startNodes()
    const network = await networkTo(nodes[2]!)
    const [one, other] = [opened([...portsOf(nodes.slice(0, 2)), network.port]), opened(portsOf(nodes))]
    await one.put('k', 'version 0')
    await until(async () => (await textAt(nodes[2]!, 'k')) === 'version 0')
    network.holds = stores
    await one.put('k', 'version 1')
    await until(() => network.held.length > 0, 'a write on its way')
    await other.put('k', 'version 2')
    await until(async () => (await textAt(nodes[2]!, 'k')) === 'version 2')
    network.release()
    await until(() => network.answered > 0, 'an answer')
    for (const node of nodes) assert.equal(await textAt(node, 'k'), 'version 2')
  })

  test('what is tried again replaces nothing newer', async () => {
    const nodes = await startNodes()
    const networks = [await networkTo(nodes[1]!), await networkTo(nodes[2]!)]
    const [one, other] = [opened(portsOf([nodes[0]!, ...networks])), opened(portsOf(nodes))]
    await one.put('k', 'version 0')
    for (const network of networks) network.holds = stores
    const late = one.put('k', 'version 1')
    await until(() => networks.every(({ held }) => held.length > 0), 'writes on their way')
    await other.put('k', 'version 2')
    for (const network of networks) network.holds = () => false
    await late
    assert.equal(await other.get('k'), 'version 2')
    assert.equal(await one.get('k'), 'version 2')
    for (const network of networks) network.release()
    await until(() => networks.every(({ answered }) => answered > 0), 'answers')
    assert.equal(await other.get('k'), 'version 2')
  })

  test('a clock that was set back makes no write old, nor a removal', async () => {
    const nodes = await startNodes()
    const network = await networkTo(nodes[2]!)
    const before = opened(portsOf(nodes))
    for (const path of ['changed', 'removed']) await before.put(path, 'old')
    for (const node of nodes) await until(async () => (await textAt(node, 'removed')) === 'old')
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() - HOUR_MS }
    const after = opened([...portsOf(nodes.slice(0, 2)), network.port], clock)
    network.holds = () => true
    await after.put('changed', 'new')
    await after.files.remove('removed', undefined)
    assert.equal(await textAt(nodes[2]!, 'changed'), 'old')
    // Those that have met it all.
    assert.equal(await before.get('changed'), 'new')
    await assert.rejects(before.get('removed'), isA('not_found'))
    await until(async () => (await textAt(nodes[2]!, 'changed')) === 'new', 'a repair')
    await until(async () => (await recordAt(nodes[2]!, 'removed'))!.data === undefined, 'a repair')
  })

  test('many at once leave one file, everywhere the same', async () => {
    const nodes = await startNodes()
    const doors = [opened(portsOf(nodes)), opened(portsOf(nodes))]
    const texts = Array.from({ length: 40 }, (_, at) => `version ${at}`)
    await Promise.all(texts.map((text, at) => doors[at % 2]!.put('k', text)))
    const text = await doors[0]!.get('k')
    assert.ok(texts.includes(text))
    for (const node of nodes) await until(async () => (await textAt(node, 'k')) === text)
    const records = await Promise.all(nodes.map((node) => recordAt(node, 'k')))
    assert.equal(new Set(records.map((record) => `${record!.version} ${record!.writer}`)).size, 1)
  })

  test('what full servers refuse leaves the file that there is', async () => {
    const nodes = await startNodes(['-M', '-m', '4'])
    const files = opened(portsOf(nodes))
    await files.put('kept', 'kept')
    const filling = async () => {
      for (let at = 0; ; at++) await files.put(`filling ${at}`, Buffer.alloc(60 * KIB))
    }
    await assert.rejects(filling(), isA('disk_full'))
    await assert.rejects(files.put('kept', Buffer.alloc(60 * KIB)), isA('disk_full'))
    assert.equal(await files.get('kept'), 'kept')
    for (const node of nodes) assert.equal(await textAt(node, 'kept'), 'kept')
  })

  test('what is too large for servers that were not reached before leaves the file that there is', async () => {
    const nodes = await startNodes()
    await opened(portsOf(nodes)).put('kept', 'kept')
    const networks = await Promise.all(nodes.map(networkTo))
    for (const network of networks) network.holds = () => true
    const files = opened(portsOf(networks))
    await until(() => files.clients.every(({ state }) => state === 'down'), 'servers that do not answer')
    for (const network of networks) network.holds = () => false
    await assert.rejects(files.put('kept', randomBytes(1_500 * KIB)), isA('too_large'))
    assert.equal(await files.get('kept'), 'kept')
    for (const node of nodes) assert.equal(await textAt(node, 'kept'), 'kept')
  })
})

describe('removals', { skip: noMemcached }, () => {
  test('a server that missed them gets them when it answers, also those of paths that nobody reads', async () => {
    const nodes = await startNodes()
    const network = await networkTo(nodes[2]!)
    const files = opened([...portsOf(nodes.slice(0, 2)), network.port])
    const paths = Array.from({ length: 20 }, (_, at) => `path ${at}`)
    for (const path of paths) await files.put(path, 'before')
    for (const path of paths) await until(async () => (await textAt(nodes[2]!, path)) === 'before')
    network.holds = () => true
    for (const path of paths) await files.files.remove(path, undefined)
    // One that cannot be done holds up none.
    await storeAt(nodes[2]!, paths[2]!, inLaterFormat((await recordAt(nodes[2]!, paths[2]!))!))
    await files.put(paths[0]!, 'anew')
    assert.equal(await textAt(nodes[2]!, paths[1]!), 'before')
    network.holds = () => false
    for (const path of paths.toSpliced(2, 1))
      await until(async () => (await recordAt(nodes[2]!, path))!.data === undefined, path)
    assert.equal(await files.get(paths[0]!), 'anew')
    await until(async () => (await textAt(nodes[2]!, paths[0]!)) === 'anew', 'a repair')
  })
})

describe('repairs', { skip: noMemcached }, () => {
  test('what too few know is not written over damaged copies', async () => {
    const nodes = await startNodes()
    const files = opened(portsOf(nodes))
    await files.put('k', 'version 1')
    for (const node of nodes) await until(async () => (await textAt(node, 'k')) === 'version 1')
    const damaged = Buffer.from('damaged')
    for (const node of nodes.slice(0, 2)) await storeAt(node, 'k', damaged)
    for (let at = 0; at < 3; at++) await assert.rejects(files.get('k'), isA('corrupt'))
    for (const node of nodes.slice(0, 2)) assert.deepEqual(await valueAt(node, 'k'), damaged)
    await files.put('k', 'version 2')
    assert.equal(await files.get('k'), 'version 2')
  })

  test('copies in a later format are neither read nor replaced', async () => {
    const nodes = await startNodes()
    const files = opened(portsOf(nodes))
    await files.put('k', 'version 1')
    for (const node of nodes) await until(async () => (await textAt(node, 'k')) === 'version 1')
    const later = inLaterFormat((await recordAt(nodes[0]!, 'k'))!)
    await storeAt(nodes[0]!, 'k', later)
    for (let at = 0; at < 2; at++) assert.equal(await files.get('k'), 'version 1')
    await files.put('k', 'version 2')
    assert.equal(await files.get('k'), 'version 2')
    await storeAt(nodes[1]!, 'k', later)
    await assert.rejects(files.get('k'), isA('unavailable'))
    await assert.rejects(files.put('k', 'version 3'), isA('unavailable'))
    for (const node of nodes.slice(0, 2)) assert.deepEqual(await valueAt(node, 'k'), later, keyOf('k'))
  })
})

test('versions rise above the last one, and above what others wrote, whatever the clock says', () => {
  let nowMs = 1_000
  const shared = new SharedArrayBuffer(VersionClock.BYTES)
  const [one, other] = [0, 1].map(() => new VersionClock(shared, { ...systemClock, nowMs: () => nowMs }))
  assert.equal(one!.next(), 1_000_000)
  nowMs = 500
  assert.equal(other!.next(), 1_000_001)
  assert.equal(one!.next(7_000_000), 7_000_001)
  assert.equal(other!.next(7_000_000), 7_000_002)
  nowMs = 8_000
  assert.equal(one!.next(7_000_000), 8_000_000)
})
