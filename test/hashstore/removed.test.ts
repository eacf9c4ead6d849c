/** What was removed stays so: marks of removals, times that only grow, and what happens between the steps of a write. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HASHSTORE_REMOVED_MS } from '../../src/base/limits.ts'
import type { ObjectStore, PutObject } from '../../src/objects/object-store.ts'
import { HashstoreClient } from '../../src/protocols/hashstore/client.ts'
import { HashstoreFiles, type NewFile } from '../../src/protocols/hashstore/files.ts'
import type { FileEntry, TreeEntry } from '../../src/protocols/hashstore/wire.ts'
import {
  bytesSource,
  type HashstoreKit,
  startHashstore,
  WAIT_MS_MAX,
  Wire,
  writeOld,
} from './hashstore-kit.ts'

let kit: HashstoreKit

before(async () => {
  kit = await startHashstore()
})

after(() => kit.close())

const put = async (path: string, how = {}) =>
  (await kit.client.put(Buffer.from(path), bytesSource(Buffer.from('bytes')), how)).entry!

const moveHere = (path: string, time: number) => put(path, { time, unlessNewer: true })

const isThere = (path: string) =>
  kit.client.stat(Buffer.from(path)).then(
    () => true,
    (error) => {
      assert.equal(error.code, 'not_found')
      return false
    },
  )

/** A `delete` by hand; gives the error, if any. */
async function remove(
  path: string,
  which: { time?: number; tag?: string } = {},
): Promise<string | undefined> {
  const wire = new Wire(kit.port).send('CAIRNEXT,0001')
  const head = JSON.stringify({ op: 'delete', path, ...which })
  const length = Buffer.alloc(4)
  length.writeUInt32BE(head.length)
  await wire.take(2)
  wire.send(length, head)
  const reply = JSON.parse((await wire.take((await wire.take(4)).readUInt32BE())).toString())
  wire.socket.destroy()
  return reply.error
}

const marks = async () => {
  const bucket = await kit.objects.bucket('hashstore-removed')
  const page = bucket && (await kit.objects.list({ bucket, limit: 1_000 }))
  return page?.objects.map(({ key }) => key) ?? []
}

test('what was moved or was never there leaves no mark, and may come', async () => {
  const { tag, time } = await moveHere('moved', 5_000)
  assert.equal(await remove('moved', { tag }), undefined)
  assert.equal(await remove('moved'), 'not_found')
  assert.equal((await moveHere('moved', time)).time, 5_000)
  const chunk = `cairn-chunk/${'0'.repeat(32)}/0/${'a'.repeat(64)}`
  await put(chunk, { chunkOf: 'moved' })
  assert.equal(await remove(chunk, { time: 7_000 }), undefined)
  assert.deepEqual(await marks(), [])
  assert.equal(await kit.objects.bucket('hashstore-removed'), undefined)
})

test('what was removed does not come back with its time or an earlier one', async () => {
  await moveHere('a', 5_000)
  assert.equal(await remove('a', { time: 4_000 }), undefined)
  for (const time of [4_000, 5_000]) await assert.rejects(moveHere('a', time), { code: 'conflict' })
  assert.equal((await moveHere('a', 5_001)).time, 5_001)
  assert.equal(await remove('a', { time: 9_000 }), undefined)
  await assert.rejects(moveHere('a', 9_000), { code: 'conflict' })
  assert.ok(!(await isThere('a')))
  // Nor what was never here, but elsewhere.
  assert.equal(await remove('b\\c', { time: 6_000 }), 'not_found')
  await assert.rejects(moveHere('b\\c', 6_000), { code: 'conflict' })
  assert.equal(await remove('b\\c', { time: 3_000 }), 'not_found')
  await assert.rejects(moveHere('b\\c', 6_000), { code: 'conflict' })
  const large = { ...bytesSource(Buffer.alloc(3 << 20)) }
  const refused = kit.client.put(Buffer.from('b\\c'), large, { time: 6_000, unlessNewer: true })
  await assert.rejects(refused, { code: 'conflict', message: /removed since/ })
  // Marks are no files.
  const listed: string[] = []
  for await (const page of kit.client.list()) listed.push(...page.map(({ path }) => path))
  assert.ok(!listed.includes('a') && !listed.includes('b\\c'))
})

test('times of a path only grow, also by a clock that was set back', async () => {
  const inTenDaysMs = kit.clock.nowMs() + 10 * 86_400_000
  await moveHere('grows', inTenDaysMs)
  assert.equal((await put('grows')).time, inTenDaysMs + 1)
  assert.ok(await writeOld(kit.port, 'grows', Buffer.from('old')))
  assert.equal((await kit.client.stat(Buffer.from('grows'))).time, inTenDaysMs + 2)
  assert.equal((await put('grows')).time, inTenDaysMs + 3)
  assert.equal(await remove('grows'), undefined)
  assert.equal((await put('grows')).time, inTenDaysMs + 4)
  assert.equal(await remove('grows'), undefined)
  assert.ok(await writeOld(kit.port, 'grows', Buffer.from('old')))
  assert.equal((await kit.client.stat(Buffer.from('grows'))).time, inTenDaysMs + 5)
  // Nobody is refused who tells no time, whatever was removed.
  assert.equal(await remove('last', { time: 8_640_000_000_000_000 }), 'not_found')
  await put('last')
  assert.ok(await isThere('last'))
})

test('a mark goes by itself', async () => {
  const other = await startHashstore()
  try {
    const { client, clock, objects } = other
    await client.put(Buffer.from('old'), bytesSource(Buffer.from('1')), { time: 5_000 })
    await client.remove(Buffer.from('old'))
    const again = () =>
      client.put(Buffer.from('old'), bytesSource(Buffer.from('1')), { time: 5_000, unlessNewer: true })
    clock.aheadMs = HASHSTORE_REMOVED_MS - WAIT_MS_MAX
    await assert.rejects(again(), { code: 'conflict' })
    clock.aheadMs = HASHSTORE_REMOVED_MS + 1
    const bucket = (await objects.bucket('hashstore-removed'))!
    assert.ok(bucket.configs.has('expiring'))
    assert.equal(await objects.expireFiles(bucket, () => false), 1)
    assert.equal((await again()).entry!.time, 5_000)
  } finally {
    await other.close()
  }
})

const bodyOf = (text: string): NewFile['body'] => ({
  sizeBytes: text.length,
  whole: Buffer.from(text),
  async *pieces() {},
})

/** The files, of which a put stops once: behind its last look, before it is committed. */
function stoppedFiles(meanwhile: (files: HashstoreFiles) => Promise<unknown>): HashstoreFiles {
  const { clock, objects } = kit
  const others = new HashstoreFiles({ objects, clock, owner: 'root' })
  let hasStopped = false
  const stopping = new Proxy(objects, {
    get(target, name: keyof ObjectStore) {
      const value = target[name]
      if (name !== 'put') return value
      return (request: PutObject) => {
        const late =
          request.late &&
          (async () => {
            const put = await request.late!()
            if (!hasStopped) {
              hasStopped = true
              await meanwhile(others)
            }
            return put
          })
        return target.put({ ...request, ...(late && { late }) })
      }
    },
  })
  return new HashstoreFiles({ objects: stopping, clock, owner: 'root' })
}

const file = (text: string, how: Partial<NewFile> = {}): NewFile => ({
  kind: 'path',
  body: bodyOf(text),
  ...how,
})

test('a copy that arrives while the file is removed does not stay', async () => {
  const path = Buffer.from('removed while it comes')
  const files = stoppedFiles((others) =>
    assert.rejects(others.remove(path, { timeMs: 5_000 }), { code: 'not_found' }),
  )
  await assert.rejects(files.put(path, file('copy', { timeMs: 5_000, unlessNewer: true })), {
    code: 'conflict',
  })
  assert.ok(!(await isThere(String(path))))
  // By both at once, over connections.
  for (let turn = 0; turn < 40; turn++) {
    const name = `both ${turn}`
    await Promise.all([
      moveHere(name, 5_000).catch(({ code }) => assert.equal(code, 'conflict')),
      remove(name, { time: 5_000 }),
    ])
    assert.ok(!(await isThere(name)), name)
  }
})

test('a copy that loses against a later file is told so, and takes the place of an earlier one', async () => {
  const path = Buffer.from('copied twice')
  const put = (timeMs: number) => file(String(timeMs), { timeMs, unlessNewer: true })
  const later = stoppedFiles((others) => others.put(path, put(6_000)))
  await assert.rejects(later.put(path, put(5_000)), { code: 'conflict' })
  const earlier = stoppedFiles((others) => others.put(path, put(7_000)))
  await earlier.put(path, put(8_000))
  assert.equal((await kit.client.stat(path)).time, 8_000)
})

test('of two writes at once, by either protocol, one is left, with the later time', async () => {
  for (const [one, other] of [
    ['path', 'path'],
    ['path', 'name'],
    ['name', 'path'],
    ['name', 'name'],
  ] as const) {
    const path = Buffer.from(`${one} and ${other}`)
    let second: Awaited<ReturnType<HashstoreFiles['put']>> | undefined
    const files = stoppedFiles(async (others) => {
      second = await others.put(path, file('second', { kind: other }))
    })
    const first = await files.put(path, file('first', { kind: one }))
    const there = await kit.client.stat(path)
    const winner = first.entry.time > second!.entry.time ? first : second!
    if (one === other) assert.equal(winner, first, 'it was committed last')
    assert.equal(there.time, winner.entry.time)
    let count = 0
    for await (const page of kit.client.list())
      count += page.filter((each) => each.path === String(path)).length
    assert.equal(count, 1, `${one}, ${other}`)
  }
})

test('of a long upload the time is that of its end: what is stored while it comes is earlier', async () => {
  const long = Buffer.alloc(300_000, 'L')
  const path = 'e:\\long'
  const wire = new Wire(kit.port).send(`WRITFILE,${String(path.length).padStart(4, '0')}`, path)
  wire.send(long.subarray(0, 200_000))
  await wire.take(2)
  const short = await put(path)
  wire.send(long.subarray(200_000))
  wire.socket.end()
  assert.equal((await wire.rest()).end, 'orderly')
  const entry = await kit.client.stat(Buffer.from(path))
  assert.ok(entry.time > short.time)
  assert.equal(entry.size, long.length)
  // By the extended protocol; and so the tree, which keeps what has the later time, has the right size.
  let between: FileEntry | undefined
  const source = {
    sizeBytes: long.length,
    async *pieces() {
      yield long.subarray(0, 200_000)
      between = await put(path)
      await kit.client.enter(Buffer.from(path), between)
      yield long.subarray(200_000)
    },
  }
  const last = (await kit.client.put(Buffer.from(path), source)).entry!
  assert.ok(last.time > between!.time)
  await kit.client.enter(Buffer.from(path), last)
  await kit.client.enter(Buffer.from(path), between!)
  const names: TreeEntry[] = []
  for await (const page of kit.client.browse(Buffer.from(path), true)) names.push(...page)
  assert.deepEqual(names, [{ path, size: long.length, time: last.time }])
})

test('of names that are told at once, the latest stays', async () => {
  const other = new HashstoreClient({ host: '127.0.0.1', port: kit.port }, { timeoutMs: WAIT_MS_MAX })
  try {
    const each = Array.from({ length: 40 }, (_, at) => Buffer.from(`told/${at}`))
    for (const path of each)
      await Promise.all([
        kit.client.enter(path, { size: 2, time: 2 }),
        other.enter(path, { size: 1, time: 1 }),
      ])
    const sizes: unknown[] = []
    for await (const page of kit.client.browse(Buffer.from('told/'), true))
      sizes.push(...page.map((name) => 'path' in name && name.size))
    assert.deepEqual(
      sizes,
      each.map(() => 2),
    )
  } finally {
    other.close()
  }
})
