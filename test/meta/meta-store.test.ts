/** What both metadata engines promise, in one suite. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { postgresEngine, sqliteAlone, sqliteThreads } from '../support/meta-engines.ts'
import {
  addOnce,
  arithmetic,
  getItem,
  type Item,
  increase,
  insertTwice,
  listItems,
  listLabels,
  putAndFail,
  putItem,
  sumTwice,
  transfer,
} from '../support/meta-scripts.ts'

const item = (key: string | Buffer, n = 1): Item => ({ key: Buffer.from(key), n, label: 'plain', data: null })
const failsWith = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

for (const engine of [sqliteAlone, sqliteThreads, postgresEngine()]) {
  describe(engine.name, { skip: engine.skip }, () => {
    let [store, other]: MetaStore[] = []
    let close = async () => {}
    const write: MetaStore['write'] = (script, args) => store!.write(script, args)
    const read: MetaStore['write'] = async (script, args) => await store!.read(script, args)

    before(() => engine.begin())
    after(() => engine.end())
    beforeEach(async () => {
      const opened = await engine.open()
      ;[store, other] = opened.stores
      close = opened.close
    })
    afterEach(() => close())

    test('a write is seen by every store once it is acknowledged', async () => {
      for (let n = 1; n <= 50; n++) {
        await write(putItem, item('a', n))
        assert.deepEqual(await store!.read(getItem, Buffer.from('a')), item('a', n))
        assert.deepEqual(await other!.read(getItem, Buffer.from('a')), item('a', n))
      }
      assert.equal(await read(getItem, Buffer.from('b')), undefined)
      await store!.check()
    })

    test('values come back as they were: integers to 2^53 - 1, bytes with NUL, texts of any alphabet', async () => {
      const values: Item[] = [
        { key: Buffer.from([0]), n: Number.MAX_SAFE_INTEGER, label: '', data: Buffer.alloc(0) },
        {
          key: Buffer.from([0, 0]),
          n: -Number.MAX_SAFE_INTEGER,
          label: "?'\\",
          data: Buffer.from([0, 255, 0]),
        },
        { key: Buffer.from([255]), n: 0, label: 'ÄЖ語🗻', data: Buffer.alloc(100_000, 7) },
        { key: Buffer.alloc(0), n: 4_294_967_296, label: '{"a":[1,null]}', data: null },
      ]
      await Promise.all(values.map((each) => write(putItem, each)))
      for (const each of values) {
        const found = await read(getItem, each.key)
        assert.deepEqual(found, each)
        assert.ok(Buffer.isBuffer(found!.key))
      }
    })

    test('keys are in the order of their bytes, texts too', async () => {
      const random = seededRandom(5)
      const keys = ['', 'a', 'a/', 'a0', 'A', 'é', 'z', '\u{10000}', '\uffff'].map(
        (text): Buffer => Buffer.from(text),
      )
      for (let i = 0; i < 60; i++) keys.push(random.bytes(random.below(4)))
      const unique = [...new Map(keys.map((key) => [key.toString('hex'), key])).values()]
      await Promise.all(unique.map((key) => write(putItem, item(key))))
      const listed = (await read(listItems, null)).map(({ key }) => key.toString('hex'))
      assert.deepEqual(
        listed,
        unique.sort(Buffer.compare).map((key) => key.toString('hex')),
      )

      const labels = ['b', 'B', 'a', 'é', 'zz', 'Z', '-', '_']
      await Promise.all(unique.map((key, i) => write(putItem, { ...item(key), label: labels[i % 8]! })))
      const expected = unique
        .map((_, i) => labels[i % 8]!)
        .sort((a, b) => Buffer.from(a).compare(Buffer.from(b)))
      assert.deepEqual(await read(listLabels, null), expected)
    })

    test('sums, divisions and conditions are integers', async () => {
      for (const [i, n] of [5, 7, 2_000_000_000_000, -4].entries()) await write(putItem, item(`k${i}`, n))
      assert.deepEqual(await read(arithmetic, null), {
        total: 2_000_000_000_012,
        items: 3,
        half: 1_000_000_000_000,
        some: 1,
      })
    })

    test('a script that throws takes back its own writes only, in the same batch too', async () => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 30 }, (_, i): Promise<unknown> => {
          if (i % 3 === 0) return write(putAndFail, item(`k${i}`))
          if (i % 3 === 1) return write(insertTwice, Buffer.from(`k${i}`))
          return write(putItem, item(`k${i}`))
        }),
      )
      outcomes.forEach((outcome, i) => {
        const code = ['precondition_failed', 'internal', undefined][i % 3]
        assert.equal(outcome.status === 'rejected' ? outcome.reason.code : undefined, code)
      })
      const kept = (await read(listItems, null)).map(({ key }) => key.toString())
      assert.deepEqual(kept, ['k11', 'k14', 'k17', 'k2', 'k20', 'k23', 'k26', 'k29', 'k5', 'k8'])
      await assert.rejects(write(putAndFail, item('alone')), failsWith('precondition_failed'))
      await assert.rejects(write(insertTwice, Buffer.from('alone')), failsWith('internal'))
      assert.equal(await read(getItem, Buffer.from('alone')), undefined)
    })

    test('writers at once lose no update', async () => {
      const key = Buffer.from('counter')
      const lane = async (mine: MetaStore) => {
        const seen: number[] = []
        for (let i = 0; i < 15; i++) seen.push(await mine.write(increase, key))
        return seen
      }
      const lanes = await Promise.all([store!, other!, store!, other!, store!, other!].map(lane))
      assert.deepEqual(
        lanes.flat().sort((a, b) => a - b),
        Array.from({ length: 90 }, (_, i) => i + 1),
      )
      for (const seen of lanes)
        assert.deepEqual(
          seen,
          [...seen].sort((a, b) => a - b),
        )
    })

    test('all statements of a read see one state', async () => {
      for (let i = 0; i < 20; i++) await write(putItem, item(`k${i}`, 100))
      let writing = true
      const writer = async () => {
        for (let i = 0; i < 150; i++)
          await write(transfer, { from: Buffer.from(`k${i % 20}`), to: Buffer.from(`k${(i * 7 + 1) % 20}`) })
        writing = false
      }
      const reader = async () => {
        while (writing) {
          assert.deepEqual(await other!.read(sumTwice, null), [2000, 2000])
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await Promise.all([writer(), reader()])
    })

    test('thousands of writes at once', async () => {
      const counter = Buffer.from('counter')
      // Those that count in one row must wait for each other on PostgreSQL: fewer of them.
      const count = engine.name.startsWith('SQLite') ? 3000 : 200
      const keys = Array.from({ length: count }, (_, i) => Buffer.from(`k${i}`))
      await Promise.all(keys.map((key, i) => [store!, other!][i % 2]!.write(addOnce, { key, counter })))
      assert.equal((await read(getItem, counter))?.n, count)
      for (const { n, label } of await read(listItems, null)) assert.equal(n, label === 'once' ? 1 : count)
    })

    test('a closed store says unavailable', async () => {
      await write(putItem, item('a'))
      const last = write(putItem, item('b'))
      await last
      await store!.close()
      await assert.rejects(write(putItem, item('c')), failsWith('unavailable'))
      await assert.rejects(read(getItem, Buffer.from('a')), failsWith('unavailable'))
    })
  })
}
