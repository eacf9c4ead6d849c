/** What other doors and faulty clients can put among the files: it is found as it is listed, or not listed, and stops nobody. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { crc32c } from '../../src/base/checksum.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { HashstoreCluster } from '../../src/protocols/hashstore/cluster.ts'
import { Rebalance } from '../../src/protocols/hashstore/rebalance.ts'
import { encodeCrc, type FileEntry, type TreeEntry } from '../../src/protocols/hashstore/wire.ts'
import {
  bytesSource,
  fetchWhole,
  type HashstoreKit,
  startHashstore,
  WAIT_MS_MAX,
  Wire,
} from './hashstore-kit.ts'

let kit: HashstoreKit

before(async () => {
  kit = await startHashstore()
  // The buckets are made by the first files.
  const [path, time] = [Buffer.from('first'), 5]
  await kit.client.put(path, bytesSource(path))
  await kit.client.enter(path, { size: path.length, time })
  const wire = new Wire(kit.port).send('WRITFILE,0003', 'old', 'old')
  wire.socket.end()
  await wire.rest()
})

after(() => kit.close())

async function store(bucketName: string, key: string, userMetadata: [string, string][] = []): Promise<void> {
  const bucket = (await kit.objects.bucket(bucketName))!
  const body = { sizeBytes: 1, whole: Buffer.from('s'), async *pieces() {} }
  await kit.objects.put({ bucket, key, body, attributes: { userMetadata } })
}

async function listed(): Promise<FileEntry[]> {
  const entries: FileEntry[] = []
  for await (const page of kit.client.list()) entries.push(...page)
  return entries
}

test('objects that came through another door', async () => {
  const paths = 'hashstore'
  await store(paths, 'plain')
  await store(paths, 'escaped%25')
  await store(paths, '100%.txt')
  await store(paths, 'bad path', [['path', '%25zz']])
  await store(paths, 'copied', [['path', 'first']])
  await store(paths, 'far', [['time', '9000000000000000']])
  await store(paths, 'marks', [
    ['manifest', 'none'],
    ['chunk-of', '%25zz'],
  ])
  const names = 'hashstore-names'
  await store(names, 'n-plain')
  await store(names, 'n-bad', [['path', '%25zz']])
  await store(names, 'n-other', [['path', encodeURIComponent('e:\\another')]])
  await store(names, 'n-good', [['path', encodeURIComponent('e:\\n-good')]])
  await store(names, 'e:\\n-path')
  await store(names, '100%.txt')
  const there = (await listed()).map(({ path }) => path)
  const wanted = ['first', 'old', 'plain', 'escaped%25', 'bad path', 'copied', 'far', 'marks']
  assert.deepEqual(there.sort(), [...wanted, 'n-plain', 'n-bad', 'n-other', 'e:\\n-good'].sort())
  for (const { path, time, manifest, chunkOf } of await listed()) {
    assert.ok(!Number.isNaN(new Date(time).getTime()), path)
    assert.deepEqual([manifest, chunkOf], [undefined, undefined])
    const bytes = path === 'escaped%25' ? Buffer.from('escaped%') : Buffer.from(path)
    assert.equal((await kit.client.stat(bytes)).path, path)
  }
  assert.equal(String(await fetchWhole(kit.client, 'copied')), 's')
  await kit.client.put(Buffer.from('bad path'), bytesSource(Buffer.from('put')))
  assert.equal(String(await fetchWhole(kit.client, 'bad path')), 'put')
  await kit.client.remove(Buffer.from('e:\\n-good'))
})

test('names that came through another door', async () => {
  const tree = 'hashstore-tree'
  await store(tree, '100%')
  await store(tree, 'no\\separator')
  await store(tree, 'bad/x%', [['size', 'x']])
  await store(tree, 'odd', [
    ['time', '9000000000000000'],
    ['size', '-'],
  ])
  const found: TreeEntry[] = []
  for await (const page of kit.client.browse(Buffer.alloc(0), true)) found.push(...page)
  assert.deepEqual(found, [
    { path: 'first', size: 5, time: 5 },
    { path: 'odd', size: 0, time: 0 },
  ])
})

test('a rebalance is not stopped by any of them', async () => {
  const other = await startHashstore()
  const machines = [kit, other].map(({ port }) => ({ host: '127.0.0.1', port }))
  const cluster = new HashstoreCluster({
    ...{ machines, leaving: [], placement: 'modulo', chunkSizeBytes: 0, timeoutMs: WAIT_MS_MAX },
    ...{ nameserver: machines[0], clock: systemClock, random: systemRandom },
  })
  try {
    const { signal } = new AbortController()
    const rebalance = new Rebalance({ cluster, clock: systemClock, signal })
    await rebalance.count()
    await rebalance.move()
    const { moved, left } = rebalance.counts
    assert.deepEqual([moved > 0, left, rebalance.lastFailure], [true, 0, undefined])
  } finally {
    cluster.close()
    await other.close()
  }
})

test('a put whose marks or time nobody could use is refused', async () => {
  const wire = new Wire(kit.port).send('CAIRNEXT,0001')
  await wire.take(2)
  const ask = async (head: object) => {
    const text = JSON.stringify({ op: 'put', path: 'p', size: 1, ...head })
    const length = Buffer.alloc(4)
    length.writeUInt32BE(text.length)
    wire.send(length, text, 'p', encodeCrc(crc32c(Buffer.from('p'))))
    return JSON.parse((await wire.take((await wire.take(4)).readUInt32BE())).toString()).error
  }
  for (const head of [
    { chunkOf: '%zz' },
    { chunkOf: '' },
    { manifest: 'none' },
    { manifest: `${'0'.repeat(32)}.` },
  ])
    assert.equal(await ask(head), 'bad_request', JSON.stringify(head))
  assert.equal(
    await ask({ time: 8_640_000_000_000_000, chunkOf: 'a%25', manifest: `${'0'.repeat(32)}.7` }),
    undefined,
  )
  // As any other head that cannot be read.
  assert.equal(await ask({ time: 8_640_000_000_000_001 }), 'bad_request')
  assert.equal((await wire.rest()).end, 'orderly')
})
