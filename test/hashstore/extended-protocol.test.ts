/** The extended protocol: errors as replies, lengths and checksums, conditions, listings, the directory tree. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { crc32c } from '../../src/base/checksum.ts'
import { StoreError } from '../../src/base/errors.ts'
import { encodeCrc } from '../../src/protocols/hashstore/wire.ts'
import { bytesSource, fetchWhole, type HashstoreKit, startHashstore, Wire } from './hashstore-kit.ts'

let kit: HashstoreKit

before(async () => {
  kit = await startHashstore()
})

after(() => kit.close())

const put = (path: string, text: string, how = {}) =>
  kit.client.put(Buffer.from(path), bytesSource(Buffer.from(text)), how)

/** A connection behind its opening, and requests on it by hand. */
async function open() {
  const wire = new Wire(kit.port).send('CAIRNEXT,0001')
  assert.equal((await wire.take(2)).toString(), 'OK')
  const ask = (head: object | string, ...bytes: Buffer[]) => {
    const text = typeof head === 'string' ? head : JSON.stringify(head)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(Buffer.byteLength(text))
    return wire.send(length, text, ...bytes)
  }
  const reply = async () => JSON.parse((await wire.take((await wire.take(4)).readUInt32BE())).toString())
  return { wire, ask, reply }
}

test('one connection, many requests: put, get, stat, list, delete', async () => {
  const { wire, ask, reply } = await open()
  const bytes = Buffer.from('the bytes')
  const crc = encodeCrc(crc32c(bytes))
  ask({ op: 'put', path: 'a\\b.txt', size: 9 }, bytes, crc)
  const { ok, entry } = await reply()
  assert.deepEqual([ok, entry.path, entry.size], [true, 'a\\b.txt', 9])
  ask({ op: 'get', path: 'a\\b.txt' })
  assert.deepEqual(await reply(), { ok: true, size: 9, entry })
  assert.deepEqual(await wire.take(13), Buffer.concat([bytes, crc]))
  ask({ op: 'stat', path: 'a\\b.txt' })
  assert.deepEqual(await reply(), { ok: true, size: 0, entry })
  ask({ op: 'list', path: '' })
  const { size } = await reply()
  const listed = JSON.parse((await wire.take(size)).toString())
  assert.deepEqual(listed.entries, [entry])
  await wire.take(4)
  ask({ op: 'delete', path: 'a\\b.txt', tag: entry.tag })
  assert.equal((await reply()).ok, true)
  ask({ op: 'get', path: 'a\\b.txt' })
  assert.equal((await reply()).error, 'not_found')
  wire.socket.end()
  assert.equal((await wire.rest()).end, 'orderly')
})

test('what goes wrong is told, and replaces nothing', async () => {
  await put('kept', 'old')
  const { wire, ask, reply } = await open()
  const bytes = randomBytes(100_000)
  ask({ op: 'put', path: 'kept', size: bytes.length }, bytes, encodeCrc((crc32c(bytes) ^ 1) >>> 0))
  assert.equal((await reply()).error, 'digest_mismatch')
  for (const head of [
    { op: 'put', path: 'x'.repeat(2_000), size: 3 },
    { op: 'put', path: '', size: 3 },
  ]) {
    ask(head, Buffer.from('abc'), Buffer.alloc(4))
    assert.match((await reply()).error, /^(key_too_long|bad_request)$/)
  }
  // The connection goes on behind all of them.
  ask({ op: 'stat', path: 'kept' })
  assert.equal((await reply()).entry.size, 3)
  ask({ op: 'put', path: 'kept', size: 1_000 }, Buffer.from('too few'))
  wire.socket.end()
  await wire.rest()
  const cut = await open()
  cut.ask({ op: 'put', path: 'kept', size: 1_000_000 }, randomBytes(500_000))
  cut.wire.reset()
  assert.equal(String(await fetchWhole(kit.client, 'kept')), 'old')
})

test('a head that cannot be read ends the connection, after a reply', async () => {
  for (const head of [
    'no json',
    '[]',
    '{"op":"format"}',
    '{"op":"get","path":5}',
    '{"op":"put","path":"a","size":-1}',
  ]) {
    const { wire, ask, reply } = await open()
    ask(head)
    assert.equal((await reply()).error, 'bad_request', head)
    assert.equal((await wire.rest()).end, 'orderly', head)
  }
  const { wire, reply } = await open()
  wire.send(Buffer.from([0x7f, 0xff, 0xff, 0xff]))
  assert.equal((await reply()).error, 'bad_request')
  // A path has one way to be written.
  const twice = await open()
  twice.ask({ op: 'stat', path: '%41' })
  assert.equal((await twice.reply()).error, 'bad_request')
})

test('a file that is refused while it comes', async () => {
  const large = randomBytes(8 << 20)
  await put('later', 'x', { time: 5_000 })
  const refused = kit.client.put(Buffer.from('later'), bytesSource(large), { time: 4_000, unlessNewer: true })
  await assert.rejects(refused, { code: 'conflict' })
  await kit.client.put(Buffer.from('later'), bytesSource(large), { time: 6_000, unlessNewer: true })
  assert.ok((await fetchWhole(kit.client, 'later')).equals(large))
  const short = {
    sizeBytes: 10,
    async *pieces() {
      yield Buffer.from('five5')
    },
  }
  await assert.rejects(kit.client.put(Buffer.from('later'), short), StoreError)
  assert.ok((await fetchWhole(kit.client, 'later')).equals(large))
})

test('deletes by tag, and what they hit', async () => {
  const path = Buffer.from('tagged')
  const first = (await put('tagged', '1')).entry!
  const second = (await put('tagged', '2')).entry!
  await assert.rejects(kit.client.remove(path, first.tag), { code: 'precondition_failed' })
  await kit.client.remove(path, second.tag)
  await assert.rejects(kit.client.remove(path), { code: 'not_found' })
})

test('a delete without a tag ends well whatever is stored meanwhile', async () => {
  const path = Buffer.from('contended')
  let isOver = false
  const replace = async () => {
    for (let turn = 0; !isOver; turn++) await put('contended', String(turn))
  }
  const remove = async () => {
    for (let turn = 0; turn < 200; turn++) {
      await kit.client.remove(path).catch((error) => assert.equal(error.code, 'not_found'))
    }
    isOver = true
  }
  await Promise.all([replace(), replace(), remove()])
  await put('contended', 'last')
  await kit.client.remove(path)
  await assert.rejects(kit.client.stat(path), { code: 'not_found' })
})

test('pages of more files than one holds, in both buckets', async () => {
  const small = await startHashstore()
  try {
    for (let at = 0; at < 1_050; at += 50) {
      const batch = Array.from({ length: 50 }, (_, each) => Buffer.from(`dir/${at + each}`))
      await Promise.all(batch.map((path) => small.client.put(path, bytesSource(path))))
    }
    const wire = new Wire(small.port).send('WRITFILE,0005c\\oldbytes')
    wire.socket.end()
    await wire.rest()
    const paths = new Set<string>()
    let pages = 0
    for await (const page of small.client.list()) {
      pages++
      for (const { path } of page) paths.add(path)
    }
    assert.deepEqual([paths.size, pages, paths.has('c\\old')], [1_051, 3, true])
  } finally {
    await small.close()
  }
})

test('the tree: names in folders of either separator, with the latest that was told', async () => {
  const names = await startHashstore({ namesOnly: true })
  try {
    const { client } = names
    for (const [path, time] of [
      ['e:\\pics\\x.gif', 5],
      ['e:\\pics\\sub\\y', 6],
      ['photos/1', 7],
      ['top', 8],
    ] as const)
      await client.enter(Buffer.from(path), { size: time * 10, time })
    await client.enter(Buffer.from('top'), { size: 1, time: 3 })
    const list = async (prefix: string, all = false) => {
      const found: string[] = []
      for await (const page of client.browse(Buffer.from(prefix), all))
        found.push(...page.map((each) => ('path' in each ? `${each.path} ${each.size}` : each.directory)))
      return found.sort()
    }
    assert.deepEqual(await list(''), ['e:\\', 'photos/', 'top 80'])
    assert.deepEqual(await list('e:\\pics\\'), ['e:\\pics\\sub\\', 'e:\\pics\\x.gif 50'])
    assert.deepEqual(await list('e:\\', true), ['e:\\pics\\sub\\y 60', 'e:\\pics\\x.gif 50'])
    await client.leave(Buffer.from('top'))
    assert.deepEqual(await list('t'), [])
    await assert.rejects(client.stat(Buffer.from('top')), { code: 'unsupported' })
    assert.equal((await new Wire(names.port).send('WRITFILE,0001a').rest()).bytes.length, 0)
  } finally {
    await names.close()
  }
})

test('closing waits for transfers that are under way, and cuts what does not end', async () => {
  const other = await startHashstore()
  const bytes = randomBytes(300_000)
  const wire = new Wire(other.port).send('WRITFILE,0001', 'p', bytes.subarray(0, 1_000))
  await wire.take(2)
  const idle = new Wire(other.port).send('CAIRNEXT,0001')
  await idle.take(2)
  const closed = other.close()
  wire.send(bytes.subarray(1_000))
  wire.socket.end()
  assert.deepEqual(await wire.rest(), { bytes: Buffer.alloc(0), end: 'orderly' })
  assert.equal((await idle.rest()).end, 'orderly')
  await closed
})
