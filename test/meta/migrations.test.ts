/** The schema: forward only, by several processes at once, and never by an older program. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import { query, type Script } from '../../src/meta/meta-store.ts'
import { isPostgresUrl, openMetaStore } from '../../src/meta/open-meta-store.ts'
import { getItem, ITEMS, putItem } from '../support/meta-scripts.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

const parts = { clock: systemClock, random: systemRandom }
const more = {
  version: 2,
  name: 'more',
  statements: ['create table more (id {int} not null primary key){clustered}'],
}
const broken = {
  version: 2,
  name: 'broken',
  statements: [...more.statements, 'create table item (id {int})'],
}
const item = { key: Buffer.from('a'), n: 1, label: '', data: null }

const countMore: Script<null, number> = {
  name: 'test.count-more',
  *steps() {
    const [row] = yield query('select count(*) as n from more')
    return Number(row!.n)
  },
}

const applied: Script<null, unknown[]> = {
  name: 'test.applied',
  *steps() {
    const rows = yield query('select version, name from schema_migration order by version')
    return rows.map(({ version, name }) => [version, name])
  },
}

const flagged: Script<null, number> = {
  name: 'test.flagged',
  *steps() {
    const rows = yield query('select key from version where bucket_id = ? and (flags & 1) = 1', 1)
    return rows.length
  },
}

const addBucket: Script<{ bucketId: number; name: string }, null> = {
  name: 'test.add-bucket',
  *steps({ bucketId, name }) {
    yield query(
      `insert into bucket (bucket_id, name, owner, created_ms, versioning, object_lock, quota_bytes, moves, revision)
       values (?, ?, 'o', 0, 0, 0, 0, 0, 1)`,
      bucketId,
      name,
    )
    return null
  },
}

const countBuckets: Script<null, number> = {
  name: 'test.count-buckets',
  *steps() {
    const [row] = yield query('select count(*) as n from bucket')
    return Number(row!.n)
  },
}

/** Tables are made within milliseconds, so that it takes some rounds to meet all the ways to collide. */
const ROUNDS = 6
const STORES_AT_ONCE = 16

interface Place {
  name: string
  skip: string | false
  begin(): Promise<void>
  end(): Promise<void>
  fresh(name: string): Promise<string>
}

function sqlite(): Place {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-migrations-'))
  return {
    name: 'SQLite',
    skip: false,
    begin: async () => {},
    end: async () => rmSync(directory, { recursive: true, force: true }),
    fresh: async (name) => join(directory, `${name}.sqlite`),
  }
}

function postgres(): Place {
  let server: PostgresServer
  return {
    name: 'PostgreSQL',
    skip: noPostgres,
    async begin() {
      server = await PostgresServer.start()
    },
    end: async () => await server?.end(),
    fresh: (name) => server.createDatabase(name),
  }
}

for (const place of [sqlite(), postgres()]) {
  describe(`migrations on ${place.name}`, { skip: place.skip }, () => {
    before(() => place.begin())
    after(() => place.end())

    test("the program's own schema, and what the metadata already has stays", async () => {
      const url = await place.fresh('own')
      const store = await openMetaStore(url, parts)
      const versions = (await store.read(applied, null)) as [number, string][]
      assert.deepEqual(versions[0], [1, 'names'])
      assert.equal(await store.read(flagged, null), 0)
      await store.close()
      await (await openMetaStore(url, parts)).close()
    })

    test('they run in their order, once, and each as a whole', async () => {
      const url = await place.fresh('steps')
      const first = await openMetaStore(url, { ...parts, migrations: [ITEMS] })
      await first.write(putItem, item)
      await first.close()
      await assert.rejects(openMetaStore(url, { ...parts, migrations: [ITEMS, broken] }))
      const again = await openMetaStore(url, { ...parts, migrations: [ITEMS] })
      assert.deepEqual(await again.read(applied, null), [[1, 'items']])
      await again.close()
      const second = await openMetaStore(url, { ...parts, migrations: [ITEMS, more] })
      assert.equal(await second.read(countMore, null), 0)
      assert.deepEqual(await second.read(getItem, item.key), item)
      assert.deepEqual(await second.read(applied, null), [
        [1, 'items'],
        [2, 'more'],
      ])
      await second.close()
    })

    test('a newer schema is refused', async () => {
      const url = await place.fresh('newer')
      await (await openMetaStore(url, { ...parts, migrations: [ITEMS, more] })).close()
      await assert.rejects(
        openMetaStore(url, { ...parts, migrations: [ITEMS] }),
        (error: unknown) => error instanceof StoreError && error.code === 'unsupported',
      )
    })

    test('several processes start at once', async () => {
      const url = await place.fresh('several')
      const open = () => openMetaStore(url, { ...parts, migrations: [ITEMS, more] })
      const count = isPostgresUrl(url) ? 6 : 1
      const stores = await Promise.all(Array.from({ length: count }, open))
      for (const store of stores) assert.equal(await store.read(countMore, null), 0)
      for (const store of stores) await store.close()
    })
  })
}

describe('an empty database of PostgreSQL', { skip: noPostgres }, () => {
  const place = postgres()
  before(() => place.begin())
  after(() => place.end())

  test('many stores that open it at once all succeed, and use one schema', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const url = await place.fresh(`empty${round}`)
      const stores = await Promise.all(
        Array.from({ length: STORES_AT_ONCE }, () => openMetaStore(url, parts)),
      )
      const versions = await Promise.all(stores.map((store) => store.read(applied, null)))
      for (const each of versions) assert.deepEqual(each, versions[0])
      const added = stores.map((store, i) => store.write(addBucket, { bucketId: i + 1, name: `bucket-${i}` }))
      await Promise.all(added)
      assert.equal(await stores[0]!.read(countBuckets, null), STORES_AT_ONCE)
      await Promise.all(stores.map((store) => store.close()))
    }
  })
})
