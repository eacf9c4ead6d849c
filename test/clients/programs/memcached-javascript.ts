/** The package `memcached` on a node of ours: DIRECTORY of its packages, HOST:PORT. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [directory = '', address = ''] = process.argv.slice(2)
const Memcached = createRequire(join(directory, 'package.json'))('memcached')
const client = new Memcached(address, { timeout: 20_000, retries: 0, maxValue: 8 * 1024 * 1024 })

/** A method of the client as a promise. */
// biome-ignore lint/suspicious/noExplicitAny: a library without types
const call = (method: string, ...words: unknown[]): Promise<any> =>
  new Promise((resolve, reject) => {
    client[method](...words, (error: Error | undefined, data: unknown) =>
      error ? reject(error) : resolve(data),
    )
  })

assert.equal(await call('set', 'text', 'grüße', 100), true)
assert.equal(await call('get', 'text'), 'grüße')
assert.equal(await call('set', 'json', { a: [1, 'b'] }, 0), true)
assert.deepEqual(await call('get', 'json'), { a: [1, 'b'] })
const bytes = Buffer.alloc(1_000_000, Buffer.from([0, 13, 10, 255, 1]))
assert.equal(await call('set', 'bytes', bytes, 0), true)
assert.ok((await call('get', 'bytes')).equals(bytes))
await assert.rejects(call('add', 'text', 'other', 0), /not stored/i)
assert.equal(await call('replace', 'text', 'replaced', 0), true)
assert.equal(await call('append', 'text', '!'), true)
assert.equal(await call('prepend', 'text', '> '), true)
assert.equal(await call('get', 'text'), '> replaced!')
const { cas } = await call('gets', 'text')
assert.equal(await call('cas', 'text', 'swapped', cas, 0), true)
assert.equal(await call('cas', 'text', 'again', cas, 0), false)
assert.equal(await call('set', 'number', 41, 0), true)
assert.equal(await call('incr', 'number', 1), 42)
assert.equal(await call('decr', 'number', 2), 40)
assert.equal(await call('touch', 'number', 100), true)
assert.deepEqual(await call('getMulti', ['text', 'number', 'missing']), { text: 'swapped', number: 40 })
assert.equal(await call('del', 'text'), true)
assert.equal(await call('get', 'text'), undefined)
const many = Array.from({ length: 200 }, (_, at) => `many.${at}`)
await Promise.all(many.map((key) => call('set', key, key, 0)))
assert.deepEqual(await call('getMulti', many), Object.fromEntries(many.map((key) => [key, key])))
const [stats] = await call('stats')
assert.equal(stats.curr_items > 200, true)
assert.match((await call('version'))[0].version, /^1\./)
// It gives no reason.
assert.notEqual(await call('set', 'large', Buffer.alloc(5_000_000), 0), true)
client.end()
console.log('ok')
// What it tried to reach again would keep it alive.
process.exit(0)
