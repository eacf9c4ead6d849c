/** Answers of the memcached-protocol server: in their order, and only as many of them in memory as a client reads. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { afterEach, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { BodyBudget } from '../../src/net/body.ts'
import { MemcachedCounters } from '../../src/protocols/memcached/memcached-counters.ts'
import { MemcachedServer } from '../../src/protocols/memcached/server.ts'
import { damage, type Kit, openKit, set } from './hashed-store-kit.ts'

const WAIT_MS_MAX = 20_000
const KIB = 1024
const MIB = 1024 * KIB
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const open = (cacheBytesMax?: number) =>
  openKit({ after: (cleanup) => cleanups.push(cleanup), cacheBytesMax })

/** Serves the kit's store; gives the port. */
async function serve({ store }: Kit, bodyBytesMax = 64 * MIB): Promise<number> {
  const server = new MemcachedServer({
    ...{ store, clock: systemClock, log: silentLog, version: '0' },
    counters: new MemcachedCounters(MemcachedCounters.share()),
    ...{ valueBytesMax: 4 * MIB, allowsFlush: true },
    bodyBudget: new BodyBudget(new SharedArrayBuffer(4), bodyBytesMax),
  })
  cleanups.push(() => server.close())
  return await server.listen({ host: '127.0.0.1', port: 0 })
}

/** Sends all at once; gives what comes back until the server closes. `read` is told how many bytes came. */
function ask(port: number, sent: string, read = (_bytes: number) => {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(WAIT_MS_MAX, () => socket.destroy(new Error('no answer')))
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece)
      read(piece.length)
    })
    socket.once('end', () => resolve(Buffer.concat(pieces)))
    socket.once('error', reject)
    socket.end(sent)
  })
}

const text = async (port: number, sent: string) => (await ask(port, sent)).toString('latin1')

/** The most values that were asked of the store and had not come to the client, in bytes. */
async function mostWaiting(
  kit: Kit,
  sent: string,
  valueBytes: number,
): Promise<{ most: number; answer: Buffer }> {
  const { store } = kit
  let [waiting, most] = [0, 0]
  const asked = () => {
    waiting += valueBytes
    most = Math.max(most, waiting)
  }
  const [get, update] = [store.get.bind(store), store.update.bind(store)]
  store.get = (name) => {
    asked()
    return get(name)
  }
  store.update = (name, ...rest) => {
    asked()
    return update(name, ...rest)
  }
  const answer = await ask(await serve(kit), sent, (bytes) => {
    waiting -= bytes
  })
  return { most, answer }
}

for (const { what, sent, count, valueBytes, mostBytes } of [
  ...['get', 'gets'].map((name) => ({
    what: `one line of ${name}`,
    sent: `${name}${' a'.repeat(200)}\r\n`,
    ...{ count: 200, valueBytes: 1000 * KIB, mostBytes: 64 * MIB },
  })),
  {
    what: 'many gets of values that are read in pieces',
    sent: 'get a\r\n'.repeat(60),
    ...{ count: 60, valueBytes: 4 * MIB, mostBytes: 96 * MIB },
  },
  {
    what: 'one line of gat',
    sent: `gat 100${' a'.repeat(50)}\r\n`,
    ...{ count: 50, valueBytes: 1000 * KIB, mostBytes: 30 * MIB },
  },
  {
    what: 'many gats',
    sent: 'gats 100 a\r\n'.repeat(50),
    ...{ count: 50, valueBytes: 1000 * KIB, mostBytes: 30 * MIB },
  },
])
  test(`${what}: the values come to memory as the client reads`, async () => {
    const kit = await open()
    await set(kit, 'a', Buffer.alloc(valueBytes, 'v'))
    const { most, answer } = await mostWaiting(kit, sent, valueBytes)
    assert.ok(answer.length > count * valueBytes)
    assert.equal(answer.toString('latin1').split('VALUE a 0 ').length - 1, count)
    assert.ok(answer.subarray(-5).equals(Buffer.from('END\r\n')))
    assert.ok(most <= mostBytes, `${most} bytes were under way`)
  })

test('commands behind a long line wait for all of its keys', async () => {
  const kit = await open()
  await set(kit, 'a', Buffer.alloc(2 * MIB, 'v'))
  await set(kit, 'b', '1')
  const answer = await text(
    await serve(kit),
    `get b${' a'.repeat(20)} none b\r\nset b 0 0 1\r\n2\r\nget b\r\nquit\r\n`,
  )
  const value = `VALUE a 0 ${2 * MIB}\r\n${'v'.repeat(2 * MIB)}\r\n`
  const b = (as: string) => `VALUE b 0 1\r\n${as}\r\n`
  assert.ok(answer === `${b('1')}${value.repeat(20)}${b('1')}END\r\nSTORED\r\n${b('2')}END\r\n`)
})

test('a line with damaged values ends with the first of them, and the connection goes on', async () => {
  const kit = await open(0)
  await set(kit, 'large', Buffer.alloc(2 * MIB, 'B'))
  await set(kit, 'small', 'S'.repeat(100))
  await set(kit, 'fine', 'x')
  for (const damaged of ['B'.repeat(1_000), 'S'.repeat(100)]) damage(kit.engine.directory, damaged)
  await kit.reopen()
  const failure = 'SERVER_ERROR damaged record: its data does not match its checksum\r\n'
  const fine = 'VALUE fine 0 1\r\nx\r\n'
  const port = await serve(kit)
  assert.equal(
    await text(
      port,
      'get large small\r\nget fine large fine small\r\nget small\r\nget fine none\r\nget fine\r\n',
    ),
    `${failure}${fine}${failure}${failure}${fine}END\r\n${fine}END\r\n`,
  )
  assert.equal(
    await text(port, 'touch small 0\r\nset small 0 0 3 \r\nnew\r\ndelete large\r\nget small large\r\n'),
    `${failure}STORED\r\nDELETED\r\nVALUE small 0 3\r\nnew\r\nEND\r\n`,
  )
})

test('a line may have thousands of keys', async () => {
  const kit = await open()
  await set(kit, 'key-of-17-bytes-9', 'x')
  const port = await serve(kit)
  const keys = Array.from({ length: 5_000 }, (_, at) => `key-of-17-bytes-${at % 10}`).join(' ')
  const values = 'VALUE key-of-17-bytes-9 0 1\r\nx\r\n'.repeat(500)
  assert.equal(await text(port, `get ${keys}\r\ngat 0 ${keys}\r\nquit\r\n`), `${values}END\r\n`.repeat(2))
  assert.equal(await text(port, `get ${keys} ${keys} ${keys}\r\n`), 'CLIENT_ERROR line too long\r\n')
  assert.equal(await text(port, `delete ${keys}\r\n`), 'CLIENT_ERROR line too long\r\n')
})

test('a value for which there is no room now is refused otherwise than one that is too large', async () => {
  const kit = await open()
  const port = await serve(kit, 64 * KIB)
  const setOf = (bytes: number) => `set a 0 0 ${bytes}\r\n${'v'.repeat(bytes)}\r\n`
  assert.equal(
    await text(port, `${setOf(100_000)}${setOf(4 * MIB + 1)}get a\r\n`),
    'SERVER_ERROR out of memory storing object\r\nSERVER_ERROR object too large for cache\r\nEND\r\n',
  )
})

test('touch and gat keep the number that cas asks for', async () => {
  const kit = await open()
  const port = await serve(kit)
  const first = await text(port, 'set a 0 0 1\r\n1\r\ngets a\r\n')
  const unique = / (\d+)\r\n1\r\nEND/.exec(first)![1]
  const value = `VALUE a 0 1 ${unique}\r\n1\r\nEND\r\n`
  assert.equal(
    await text(
      port,
      `touch a 100\r\ngats 200 a\r\ngets a\r\ncas a 0 0 1 ${unique}\r\n2\r\ncas a 0 0 1 ${unique}\r\n3\r\n`,
    ),
    `TOUCHED\r\n${value}${value}STORED\r\nEXISTS\r\n`,
  )
})
