/** Damaged values, and volumes that take no more writes: who asks for others, or for these, is answered, and what was set last counts. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { damage, type Kit, type KitOptions, named, openKit, set, setMany, value } from './hashed-store-kit.ts'

const LARGE_BYTES = 2 * 1024 * 1024
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const open = (options: Omit<KitOptions, 'after'> = {}) =>
  openKit({ ...options, after: (cleanup) => cleanups.push(cleanup) })

async function damageAndReopen(kit: Kit, ...texts: string[]): Promise<void> {
  for (const text of texts) damage(kit.engine.directory, text)
  await kit.reopen()
}

test('a change of a damaged large value fails alone', async () => {
  const kit = await open()
  await set(kit, 'large', Buffer.alloc(LARGE_BYTES, 'B'))
  await damageAndReopen(kit, 'B'.repeat(1_000))
  const append = kit.store.update(Buffer.from('large'), (present) => present)
  await assert.rejects(append, { code: 'corrupt' })
  await set(kit, 'other', 'x')
  assert.equal(await value(kit, 'other'), 'x')
})

test('what is set behind a value that is asked for is what is there then', async () => {
  // How many turns the get takes is the store's business: the set comes after each number of them.
  for (let turns = 0; turns < 30; turns++) {
    const kit = await open({ cacheBytesMax: 1_000_000 })
    await set(kit, 'first', 'x')
    await kit.reopen()
    const changed = set(kit, 'a', 'old')
    const got = value(kit, 'a')
    for (let turn = 0; turn < turns; turn++) await null
    assert.equal(await setMany(kit.store, [named('a', 'new')]), undefined)
    assert.equal(await got, 'old')
    await changed
    const kept = kit.store.cached(Buffer.from('a'))
    assert.ok(kept === undefined || kept.bytes.toString('utf8', kept.start, kept.end) === 'new', `${turns}`)
    assert.equal(await value(kit, 'a'), 'new')
    await kit.engine.close()
  }
})
