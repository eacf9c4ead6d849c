/** Safety copies of SQLite metadata: what the journal has, and what can be rebuilt from it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { META_SNAPSHOT_PERIOD_MS } from '../../src/base/limits.ts'
import { type Random, seededRandom, systemRandom } from '../../src/base/random.ts'
import { type MetaStore, query, type Script } from '../../src/meta/meta-store.ts'
import { openMetaClient, openMetaStore, openMetaWriter } from '../../src/meta/open-meta-store.ts'
import { rebuildFromJournal } from '../../src/meta/rebuild.ts'
import { MemorySink } from '../support/memory-sink.ts'
import {
  ITEMS,
  type Item,
  insertTwice,
  listItems,
  putAndFail,
  putItem,
  TEST_SCRIPTS,
} from '../support/meta-scripts.ts'

const failsWith = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

const remove: Script<Buffer, null> = {
  name: 'test.remove',
  *steps(key) {
    yield query('delete from item where key = ?', key)
    return null
  },
}
const scripts = [...TEST_SCRIPTS, remove as unknown as Script<never, unknown>]

/** Its periods pass when the test says so, and its days too. */
class HandClock implements Clock {
  shiftMs = 0
  readonly ticks = new Set<() => void>()
  nowMs = () => systemClock.nowMs() + this.shiftMs
  monotonicMs = systemClock.monotonicMs
  after = systemClock.after
  soon = systemClock.soon
  sleep = systemClock.sleep
  every(_periodMs: number, run: () => void): () => void {
    this.ticks.add(run)
    return () => this.ticks.delete(run)
  }
  tick(): void {
    for (const run of this.ticks) run()
  }
}

/** Lets periods pass until it has come to that. */
async function ticking(clock: HandClock, holds: () => boolean): Promise<void> {
  while (!holds()) {
    clock.shiftMs += 1_000
    clock.tick()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const byKey = (a: Item, b: Item) => Buffer.compare(a.key, b.key)

/** What the metadata must hold, changed along with it. */
class Model {
  readonly items = new Map<string, Item>()
  readonly #random: Random

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** Puts, overwrites, removes and fails at random, many in a commit. */
  async change(store: MetaStore, count: number, dataBytes = 50): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#one(store, dataBytes)))
  }

  sorted(): Item[] {
    return [...this.items.values()].sort(byKey)
  }

  async #one(store: MetaStore, dataBytes: number): Promise<void> {
    const random = this.#random
    const key = Buffer.from(`\0k${random.below(200)}`)
    const data = random.below(4) === 0 ? null : random.bytes(random.below(dataBytes))
    const item: Item = { key, n: random.u32() * 1000, label: `ä${random.below(9)}`, data }
    const kind = random.below(10)
    if (kind === 0) return void (await assert.rejects(store.write(putAndFail, item)))
    if (kind === 1) return void (await assert.rejects(store.write(insertTwice, key)))
    if (kind <= 3) {
      this.items.delete(key.toString())
      await store.write(remove, key)
    } else {
      this.items.set(key.toString(), item)
      await store.write(putItem, item)
    }
  }
}

describe('the journal of SQLite metadata', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-journal-'))
  const open: { close(): Promise<void> }[] = []
  let places = 0
  after(() => rmSync(directory, { recursive: true, force: true }))
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close()
  })
  const place = () => join(directory, `${++places}.sqlite`)

  /** A writer with its journal, and a client. */
  function start(path: string, clock = new HandClock(), migrations = [ITEMS]) {
    const { port1, port2 } = new MessageChannel()
    const writer = openMetaWriter(path, { clock, random: systemRandom, migrations, scripts, journal: true })
    writer.serve(port1)
    const store = openMetaClient(path, port2, { clock })
    open.push(store, writer)
    return { store, writer, clock }
  }

  async function rebuilt(sink: MemorySink, migrations = [ITEMS]) {
    const path = place()
    const report = await rebuildFromJournal(sink, path, {
      clock: systemClock,
      random: systemRandom,
      migrations,
    })
    const store = await openMetaStore(path, { clock: systemClock, random: systemRandom, migrations })
    const items = await store.read(listItems, null)
    await store.close()
    return { items, report, path }
  }

  const settled = (sink: MemorySink, changes: number) =>
    sink.until(() => sink.of('snapshot').length === 1 && sink.of('changes').length >= changes)

  test('what is committed is in it after the next tick, row by row', async () => {
    const [sink, model] = [new MemorySink(), new Model(1)]
    const { store, writer, clock } = start(place())
    await model.change(store, 100)
    await writer.ship(sink)
    await settled(sink, 0)
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
    for (let round = 1; round <= 5; round++) {
      await model.change(store, 150, round === 3 ? 20_000 : 50)
      clock.tick()
      await settled(sink, round)
      const { items, report } = await rebuilt(sink)
      assert.deepEqual(items, model.sorted())
      assert.equal(report.changes, round)
      assert.equal(report.stopped, undefined)
    }
    clock.tick()
    assert.equal(sink.entries.size, 6, 'nothing is stored when nothing has changed')
  })

  test('metadata without anything in them have no copy', async () => {
    const [sink, model, path] = [new MemorySink(), new Model(9), place()]
    const first = start(path)
    await first.writer.ship(sink)
    first.clock.tick()
    await first.store.close()
    await first.writer.close()
    assert.equal(sink.entries.size, 0)
    const second = start(path)
    await second.writer.ship(sink)
    await model.change(second.store, 20)
    second.clock.tick()
    await sink.until(() => sink.of('snapshot').length === 1)
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
  })

  test('what is stopped before the first period has passed has a copy', async () => {
    const [sink, model] = [new MemorySink(), new Model(10)]
    const { store, writer } = start(place())
    await writer.ship(sink)
    await model.change(store, 20)
    await store.close()
    await writer.close()
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
  })

  test('a commit during the snapshot is in the changes after it', async () => {
    const [sink, model] = [new MemorySink(), new Model(2)]
    const { store, writer, clock } = start(place())
    await model.change(store, 200)
    await writer.ship(sink)
    for (let i = 0; i < 20; i++) {
      await model.change(store, 20)
      clock.tick()
    }
    await sink.until(() => sink.of('snapshot').length === 1)
    await store.close()
    await writer.close()
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
  })

  test('after a clean stop it goes on; after a kill, or changes by others, there is a snapshot first', async () => {
    const [sink, model, path] = [new MemorySink(), new Model(3), place()]
    const first = start(path)
    await model.change(first.store, 100)
    await first.writer.ship(sink)
    await settled(sink, 0)
    await model.change(first.store, 100)
    await first.store.close()
    await first.writer.close()
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())

    const second = start(path)
    await model.change(second.store, 50)
    await second.writer.ship(sink)
    second.clock.tick()
    await sink.until(() => sink.of('changes').length === 2)
    assert.deepEqual(sink.of('snapshot').length, 1)
    const { items, report } = await rebuilt(sink)
    assert.deepEqual(items, model.sorted())
    assert.equal(report.changes, 2)

    // As a kill does it: the next writer comes while this one has told nobody of its last changes.
    await model.change(second.store, 50)
    const before = sink.of('snapshot')[0]!.sequence
    const third = start(path)
    await third.writer.ship(sink)
    await sink.until(() => sink.of('snapshot').length === 1 && sink.of('snapshot')[0]!.sequence > before)
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
    assert.deepEqual(sink.of('changes'), [])
    await third.store.close()
    await third.writer.close()

    const parts = { clock: systemClock, random: systemRandom, migrations: [ITEMS] }
    const tool = await openMetaStore(path, parts)
    await model.change(tool, 20)
    await tool.close()
    const fourth = start(path)
    await fourth.writer.ship(sink)
    const last = sink.of('snapshot')[0]!.sequence
    await sink.until(() => sink.of('snapshot').length === 1 && sink.of('snapshot')[0]!.sequence > last)
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
  })

  test('a sink that fails is caught up with; one that fails for too long gets a snapshot', async () => {
    const [sink, model] = [new MemorySink(), new Model(4)]
    const { store, writer, clock } = start(place())
    sink.failing = true
    await model.change(store, 50)
    await writer.ship(sink)
    await sink.until(() => sink.failures === 1)
    sink.failing = false
    await ticking(clock, () => sink.of('snapshot').length === 1)

    sink.failing = true
    for (let i = 0; i < 3; i++) {
      await model.change(store, 50)
      clock.tick()
    }
    await sink.until(() => sink.failures > 1)
    sink.failing = false
    await ticking(clock, () => sink.of('changes').length === 3)
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())

    sink.failing = true
    const before = sink.of('snapshot')[0]!.sequence
    const large = Buffer.alloc(20_000_000, 1)
    for (let i = 0; i < 4; i++) {
      const item: Item = {
        key: Buffer.from('large'),
        n: i,
        label: '',
        data: Buffer.from(large).fill(i, 0, 9),
      }
      model.items.set('large', item)
      await store.write(putItem, item)
      clock.tick()
    }
    sink.failing = false
    await ticking(clock, () => sink.of('snapshot').some(({ sequence }) => sequence > before))
    await sink.until(() => sink.of('snapshot').length === 1)
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
  })

  test('snapshots come daily, and when the changes are larger; what they replace is removed', async () => {
    const [sink, model] = [new MemorySink(), new Model(5)]
    const { store, writer, clock } = start(place())
    await model.change(store, 10)
    await writer.ship(sink)
    await settled(sink, 0)
    const newer = (than: number) =>
      ticking(clock, () => sink.of('snapshot').length === 1 && sink.of('snapshot')[0]!.sequence > than)
    await model.change(store, 50)
    clock.tick()
    await settled(sink, 1)
    const first = sink.of('snapshot')[0]!.sequence
    clock.shiftMs += META_SNAPSHOT_PERIOD_MS
    await newer(first)
    assert.deepEqual(sink.of('changes'), [])
    const second = sink.of('snapshot')[0]!.sequence
    for (let i = 0; i < 12; i++) {
      await model.change(store, 50, 30_000)
      clock.tick()
    }
    await newer(second)
    await store.close()
    await writer.close()
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
  })

  test('metadata made anew does not replace the copies of what was there', async () => {
    const [sink, model] = [new MemorySink(), new Model(6)]
    const { store, writer } = start(place())
    await model.change(store, 50)
    await writer.ship(sink)
    await settled(sink, 0)
    await store.close()
    await writer.close()
    const anew = start(place())
    await assert.rejects(anew.writer.ship(sink), failsWith('conflict'))
    const { items, path } = await rebuilt(sink)
    assert.deepEqual(items, model.sorted())
    // What was rebuilt goes on as the same database.
    const before = sink.of('snapshot')[0]!.sequence
    const again = start(path)
    await again.writer.ship(sink)
    await model.change(again.store, 20)
    await sink.until(() => sink.of('snapshot').length === 1 && sink.of('snapshot')[0]!.sequence > before)
    again.clock.tick()
    await sink.until(() => sink.of('changes').length === 1)
    assert.deepEqual((await rebuilt(sink)).items, model.sorted())
  })

  test('damage: what comes before it is rebuilt, and it is said', async () => {
    const [sink, model] = [new MemorySink(), new Model(7)]
    const { store, writer, clock } = start(place())
    await model.change(store, 10)
    await writer.ship(sink)
    await settled(sink, 0)
    const states: Item[][] = []
    for (let i = 0; i < 4; i++) {
      await model.change(store, 50)
      clock.tick()
      await settled(sink, i + 1)
      states.push(model.sorted())
    }
    const [, second, third] = sink.of('changes')
    const { bytes } = sink.entries.get(third!.id)!
    bytes[bytes.length >> 1]! ^= 4
    const damaged = await rebuilt(sink)
    assert.deepEqual(damaged.items, states[1])
    assert.match(damaged.report.stopped!, /changes/)
    sink.entries.delete(second!.id)
    const gap = await rebuilt(sink)
    assert.deepEqual(gap.items, states[0])
    assert.match(gap.report.stopped!, /missing/)
    const [snapshot] = sink.of('snapshot')
    sink.entries.get(snapshot!.id)!.bytes[20]! ^= 1
    await assert.rejects(rebuilt(sink), failsWith('not_found'))
    await assert.rejects(rebuilt(new MemorySink()), failsWith('not_found'))
  })

  test('a new schema begins with a snapshot', async () => {
    const [sink, model, path] = [new MemorySink(), new Model(8), place()]
    const { store, writer } = start(path)
    await model.change(store, 50)
    await writer.ship(sink)
    await settled(sink, 0)
    await store.close()
    await writer.close()
    const statements = ['create table next (id {int} not null primary key){clustered}']
    const migrations = [ITEMS, { version: 2, name: 'next', statements }]
    const before = sink.of('snapshot')[0]!.sequence
    const newer = start(path, new HandClock(), migrations)
    await newer.writer.ship(sink)
    await sink.until(() => sink.of('snapshot').length === 1 && sink.of('snapshot')[0]!.sequence > before)
    assert.deepEqual((await rebuilt(sink, migrations)).items, model.sorted())
    await assert.rejects(rebuilt(sink), failsWith('unsupported'))
  })
})
