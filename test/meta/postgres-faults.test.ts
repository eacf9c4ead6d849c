/** Metadata in PostgreSQL while the server is killed, stopped and started, and while connections break at the commit. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { seededRandom, systemRandom } from '../../src/base/random.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaStore } from '../../src/meta/open-meta-store.ts'
import { type Break, BreakingProxy } from '../support/breaking-proxy.ts'
import { addOnce, getItem, ITEMS, listItems } from '../support/meta-scripts.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

const parts = { clock: systemClock, random: systemRandom, migrations: [ITEMS], connectionsMax: 6 }
const LANES = 8

/** Adds rows from several lanes until told to stop; each call's outcome is noted. */
class Load {
  readonly acknowledged: string[] = []
  readonly refused: string[] = []
  readonly #store: MetaStore
  #next = 0
  #stopped = false
  #watchers: { at: number; resolve: () => void }[] = []

  constructor(store: MetaStore) {
    this.#store = store
  }

  /** Resolves when all lanes have ended. */
  async run(): Promise<void> {
    const lane = async (counter: Buffer) => {
      while (!this.#stopped) await this.#one(counter)
    }
    await Promise.all(Array.from({ length: LANES }, (_, i) => lane(Buffer.from(`counter${i}`))))
  }

  stop(): void {
    this.#stopped = true
  }

  /** Resolves when `count` more have been acknowledged. */
  more(count: number): Promise<void> {
    const at = this.acknowledged.length + count
    return new Promise((resolve) => this.#watchers.push({ at, resolve }))
  }

  /** Nothing acknowledged is lost, nothing refused is there, nothing was done twice. */
  async verify(): Promise<void> {
    const rows = await this.#store.read(listItems, null)
    const once = rows.filter(({ label }) => label === 'once')
    for (const { key, n } of once) assert.equal(n, 1, `${key} was written twice`)
    const kept = new Set(once.map(({ key }) => key.toString()))
    assert.deepEqual(
      this.acknowledged.filter((key) => !kept.has(key)),
      [],
    )
    assert.equal(kept.size, this.acknowledged.length, 'something is there that was refused')
    const counted = rows.filter(({ label }) => label === 'counter').reduce((sum, { n }) => sum + n, 0)
    assert.equal(counted, kept.size)
  }

  async #one(counter: Buffer): Promise<void> {
    const key = `k${this.#next++}`
    try {
      await this.#store.write(addOnce, { key: Buffer.from(key), counter })
      this.acknowledged.push(key)
    } catch (error) {
      // Nothing but this may come of a server that is gone.
      assert.ok(error instanceof StoreError && error.code === 'unavailable', String(error))
      this.refused.push(key)
    }
    const due = this.#watchers.filter(({ at }) => at <= this.acknowledged.length)
    this.#watchers = this.#watchers.filter((each) => !due.includes(each))
    for (const { resolve } of due) resolve()
  }
}

describe('PostgreSQL metadata', { skip: noPostgres }, () => {
  let server: PostgresServer
  before(async () => {
    server = await PostgresServer.start()
  })
  after(() => server?.end())

  test('the server is stopped, killed and started under load: writes wait, nothing is lost or done twice', async () => {
    const store = await openMetaStore(await server.createDatabase('stopped'), parts)
    const load = new Load(store)
    const running = load.run()
    for (const signal of ['SIGQUIT', 'SIGKILL', 'SIGINT'] as const) {
      await load.more(150)
      await server.stop(signal)
      await server.run()
    }
    await load.more(100)
    load.stop()
    await running
    assert.deepEqual(load.refused, [])
    await load.verify()
    await store.close()
  })

  test('a server that stays away is unavailable after the limit, and used again when it is back', async () => {
    const url = await server.createDatabase('away')
    const store = await openMetaStore(url, { ...parts, unavailableMsMax: 300 })
    const load = new Load(store)
    const running = load.run()
    await load.more(50)
    await server.stop('SIGQUIT')
    await assert.rejects(store.check(), (error: StoreError) => error.code === 'unavailable')
    await assert.rejects(
      async () => await store.read(getItem, Buffer.from('k0')),
      (error: StoreError) => error.code === 'unavailable',
    )
    await assert.rejects(
      openMetaStore(url, { ...parts, unavailableMsMax: 100 }),
      (error: StoreError) => error.code === 'unavailable',
    )
    await server.run()
    await load.more(50)
    load.stop()
    await running
    await store.check()
    await load.verify()
    await store.close()
  })

  test('connections are terminated at random: nothing is lost or done twice', async () => {
    const store = await openMetaStore(await server.createDatabase('terminated'), parts)
    const load = new Load(store)
    const running = load.run()
    let killed = 0
    while (load.acknowledged.length < 600) {
      await load.more(10)
      const rows = await server.admin(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = 'terminated' and state <> 'idle' order by random() limit 2`,
      )
      killed += rows.length
    }
    load.stop()
    await running
    assert.ok(killed > 20, `${killed} connections were terminated`)
    assert.deepEqual(load.refused, [])
    await load.verify()
    await store.close()
  })

  test('the connection is lost at the commit: its outcome is found out', async () => {
    await server.createDatabase('commits')
    const random = seededRandom(3)
    const kinds: (Break | undefined)[] = ['before', 'after', 'meanwhile', ...Array(9).fill(undefined)]
    const proxy = await BreakingProxy.start(server.port, () => kinds[random.below(kinds.length)])
    const url = server.url('commits').replace(`:${server.port}/`, `:${proxy.port}/`)
    const store = await openMetaStore(url, { ...parts, unavailableMsMax: 60_000 })
    const load = new Load(store)
    const running = load.run()
    await load.more(400)
    load.stop()
    await running
    assert.deepEqual(load.refused, [])
    for (const count of Object.values(proxy.broken)) assert.ok(count > 20, JSON.stringify(proxy.broken))
    await load.verify()
    await store.close()
    await proxy.close()
  })

  test('a wrong user, or a database that is not there, is said at once', async () => {
    const nobody = server.url('postgres').replace('cairn@', 'nobody@')
    await assert.rejects(openMetaStore(nobody, parts), (error: StoreError) => error.code === 'unauthorized')
    await assert.rejects(
      openMetaStore(server.url('none'), parts),
      (error: StoreError) => error.code === 'not_found',
    )
  })
})
