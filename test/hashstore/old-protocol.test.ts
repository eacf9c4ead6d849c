/** WRITFILE and FETCFILE byte by byte: what is sent, what is replaced, and what hostile input comes to. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { WritesUnderWay } from '../../src/protocols/hashstore/writes-under-way.ts'
import type { HashstoreKit } from './hashstore-kit.ts'
import { fetchOld, fetchWhole, startHashstore, Wire, writeOld } from './hashstore-kit.ts'

const IDLE_MS = 400
let kit: HashstoreKit
/** The same, for clients that are slow. */
let impatient: HashstoreKit

before(async () => {
  kit = await startHashstore()
  impatient = await startHashstore({ idleTimeoutMs: IDLE_MS, headerTimeoutMs: IDLE_MS })
})

after(async () => {
  await kit.close()
  await impatient.close()
})

/** All that the store has. */
async function stored(): Promise<string[]> {
  const paths: string[] = []
  for await (const page of kit.client.list()) paths.push(...page.map(({ path }) => path))
  return paths.sort()
}

test('a file goes and comes in the bytes that the protocol has, and no others', async () => {
  const bytes = randomBytes(100_000)
  const write = new Wire(kit.port)
  for (const byte of 'WRITFILE,0013') write.send(byte)
  assert.equal((await write.take(2)).toString(), 'OK')
  write.send('e:\\pics', '\\x.gif', bytes.subarray(0, 7))
  write.send(bytes.subarray(7))
  write.socket.end()
  assert.deepEqual(await write.rest(), { bytes: Buffer.alloc(0), end: 'orderly' })
  const fetch = new Wire(kit.port).send('FETCFILE,0013e:\\pics\\x.gif')
  assert.equal((await fetch.take(2)).toString(), 'OK')
  assert.deepEqual(await fetch.rest(), { bytes, end: 'orderly' })
  const missing = new Wire(kit.port).send('FETCFILE,0003n.x')
  assert.deepEqual(await missing.rest(), { bytes: Buffer.from('OK'), end: 'orderly' })
})

test('files of no bytes, of the sizes where the store changes its way, and of many chunks', async () => {
  for (const size of [0, 1, 65_535, 65_536, 65_537, 4 << 20, (9 << 20) + 3]) {
    const bytes = randomBytes(size)
    assert.ok(await writeOld(kit.port, `sizes\\${size}`, bytes))
    assert.ok((await fetchOld(kit.port, `sizes\\${size}`))?.equals(bytes), `${size} bytes`)
  }
})

test('the name is what stands behind the last backslash, or the whole path', async () => {
  assert.ok(await writeOld(kit.port, 'e:\\a\\name', Buffer.from('one')))
  assert.equal(String(await fetchOld(kit.port, 'name')), 'one')
  assert.equal(String(await fetchOld(kit.port, 'f:\\another\\name')), 'one')
  assert.ok(await writeOld(kit.port, 'f:\\b\\name', Buffer.from('two')))
  assert.equal(String(await fetchOld(kit.port, 'e:\\a\\name')), 'two')
  assert.ok(await writeOld(kit.port, 'a/b/whole', Buffer.from('three')))
  assert.equal(String(await fetchOld(kit.port, 'a/b/whole')), 'three')
  assert.equal(String(await fetchOld(kit.port, 'whole')), '')
})

test('a reset and silence replace nothing; an orderly end counts as whole', async () => {
  const path = 'kept.gif'
  const { port } = impatient
  assert.ok(await writeOld(port, path, Buffer.from('old')))
  for (const size of [10, 200_000]) {
    const reset = new Wire(port).send(`WRITFILE,0008${path}`, randomBytes(size))
    await reset.take(2)
    reset.reset()
    const silent = new Wire(port).send(`WRITFILE,0008${path}`, randomBytes(size))
    const { end } = await silent.rest()
    assert.equal(end, 'reset')
    assert.equal(String(await fetchOld(port, path)), 'old')
  }
  const half = new Wire(port).send(`WRITFILE,0008${path}`, 'half a fi')
  half.socket.end()
  assert.equal((await half.rest()).end, 'orderly')
  assert.equal(String(await fetchOld(port, path)), 'half a fi')
})

test('a fetch waits for the writes of its name that began before, but not for ever', async () => {
  const { port } = kit
  for (const size of [3, 300_000]) {
    const bytes = randomBytes(size)
    const write = new Wire(port).send('WRITFILE,0009')
    await write.take(2)
    const fetching = fetchOld(port, 'under way')
    const another = fetchOld(port, 'another')
    write.send('under way', bytes)
    assert.equal(String(await another), '')
    write.socket.end()
    assert.ok((await fetching)?.equals(bytes))
    await write.rest()
  }
  const hanging = new Wire(impatient.port).send('WRITFILE,0009under way', 'half')
  await hanging.take(2)
  assert.equal(String(await fetchOld(impatient.port, 'under way')), '', 'the write was cut')
})

test('writes under way: each is waited for by its name, and only by those who come after it', async () => {
  const shared = WritesUnderWay.share()
  const [writes, others] = [new WritesUnderWay(shared), new WritesUnderWay(shared)]
  const [a, b] = [Buffer.from('a'), Buffer.from('b')]
  const isSettled = async (name: Buffer) => {
    let isOver = false
    const settled = others.settled(name, systemClock).then(() => {
      isOver = true
    })
    await systemClock.sleep(20)
    return { isOver, settled }
  }
  const first = writes.begin()
  assert.ok(!(await isSettled(a)).isOver, 'its name may be any')
  first.named(a)
  const waiting = await isSettled(a)
  assert.ok(!waiting.isOver)
  assert.ok((await isSettled(b)).isOver)
  const later = writes.begin()
  later.named(a)
  first.end()
  await waiting.settled
  assert.ok(!(await isSettled(a)).isOver)
  later.end()
  assert.ok((await isSettled(a)).isOver)
})

test('names are names, whatever is in them', async () => {
  const before = await stored()
  const names: (string | Buffer)[] = [
    '..\\..\\etc\\passwd',
    '../../etc/shadow',
    '/',
    '/etc/hosts',
    '.',
    '..',
    'CON',
    'NUL',
    'a\0b',
    'name with space\r\n',
    '__proto__',
    '100%',
    '%00',
    Buffer.from([0xc4, 0xe3, 0xba, 0xc3]),
    Buffer.from([0xff, 0x00, 0x25, 0xf0, 0x9f]),
    'x'.repeat(1024),
  ]
  for (const name of names) assert.ok(await writeOld(kit.port, name, Buffer.from(name)), String(name))
  for (const name of names) assert.deepEqual(await fetchOld(kit.port, name), Buffer.from(name), String(name))
  const more = (await stored()).filter((path) => !before.includes(path))
  assert.equal(more.length, names.length)
  assert.ok(more.includes('%C4%E3%BA%C3') && more.includes('100%25') && more.includes('a%00b'))
  const keys = (
    await kit.objects.list({ bucket: (await kit.objects.bucket('hashstore-names'))!, limit: 1000 })
  ).objects
  assert.ok(keys.some(({ key }) => key === 'passwd') && keys.some(({ key }) => key === '../../etc/shadow'))
})

test('what is no request is closed without a word, or without a file', async () => {
  const before = await stored()
  const nothing = { bytes: Buffer.alloc(0), end: 'orderly' }
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    'WRITFILE,00x1a',
    'WRITFILE;0001a',
    'writfile,0001a',
    'WRITFILE,-001a',
  ])
    assert.deepEqual(await new Wire(kit.port).send(bytes).rest(), nothing, bytes)
  assert.equal((await new Wire(kit.port).send('WRITFILE,0000').rest()).bytes.length, 0)
  // An opening that never ends, a path that never comes, and one that is shorter than was said.
  for (const bytes of ['W', 'WRITFILE,000', 'WRITFILE,0010', 'WRITFILE,9999abc'])
    assert.equal((await new Wire(impatient.port).send(bytes).rest()).end, 'reset', bytes)
  const short = new Wire(kit.port).send('WRITFILE,0010abc')
  short.socket.end()
  assert.equal((await short.rest()).end, 'reset')
  for (const path of [Buffer.alloc(9_999, 'n'), Buffer.from('folder\\'), Buffer.alloc(1_025, 'x')])
    assert.equal(await writeOld(kit.port, path, Buffer.from('x')), false)
  assert.equal(await fetchOld(kit.port, Buffer.alloc(9_999, 'n')), undefined)
  assert.deepEqual(await stored(), before)
})

test('both protocols see one file: what was written last', async () => {
  const path = 'e:\\mixed\\file'
  assert.ok(await writeOld(kit.port, path, Buffer.from('1 old')))
  assert.equal(String(await fetchWhole(kit.client, path)), '1 old')
  const put = (text: string) =>
    kit.client.put(Buffer.from(path), {
      sizeBytes: text.length,
      async *pieces() {
        yield Buffer.from(text)
      },
    })
  await put('2 extended')
  assert.equal(String(await fetchOld(kit.port, path)), '2 extended')
  assert.equal((await stored()).filter((each) => each === path).length, 1)
  assert.ok(await writeOld(kit.port, 'f:\\other\\file', Buffer.from('3 of another folder')))
  assert.equal(String(await fetchOld(kit.port, path)), '2 extended')
  assert.equal(String(await fetchWhole(kit.client, path)), '2 extended')
  assert.ok(await writeOld(kit.port, path, Buffer.from('4 old')))
  assert.equal(String(await fetchWhole(kit.client, path)), '4 old')
  await kit.client.remove(Buffer.from(path))
  await assert.rejects(kit.client.stat(Buffer.from(path)), { code: 'not_found' })
})
