/** Backup and restore, from each engine into each, while others write; damaged and foreign dumps. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { seededRandom, systemRandom } from '../../src/base/random.ts'
import { backupMeta, restoreMeta } from '../../src/meta/backup.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaSource, openMetaStore } from '../../src/meta/open-meta-store.ts'
import { ITEMS, type Item, listItems, putItem, transfer } from '../support/meta-scripts.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

const parts = { clock: systemClock, random: systemRandom, migrations: [ITEMS] }
const NEXT = {
  version: 2,
  name: 'next',
  statements: ['create table next (id {int} not null primary key){clustered}'],
}
const failsWith = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

async function collected(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

/** Items of all kinds of values, some of them large; more than a page of them. */
function itemsOf(seed: number, count: number): Item[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, (_, i) => ({
    key: Buffer.concat([random.bytes(random.below(20)), Buffer.from(`\0${i}`)]),
    n: i === 0 ? Number.MAX_SAFE_INTEGER : random.u32() - 2 ** 31,
    label: ['', 'ÄЖ語🗻', 'plain', '{"a":null}'][i % 4]!,
    data: i % 3 === 0 ? null : random.bytes(i % 97 === 0 ? 200_000 : random.below(60)),
  }))
}

const byKey = (a: Item, b: Item) => Buffer.compare(a.key, b.key)
const fill = async (store: MetaStore, items: Item[]) =>
  void (await Promise.all(items.map((item) => store.write(putItem, item))))

describe('backup and restore', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-backup-'))
  let server: PostgresServer | undefined
  let places = 0
  before(async () => {
    if (noPostgres === false) server = await PostgresServer.start()
  })
  after(async () => {
    await server?.end()
    rmSync(directory, { recursive: true, force: true })
  })
  const fresh = async (engine: string): Promise<string> =>
    engine === 'SQLite' ? join(directory, `${++places}.sqlite`) : await server!.createDatabase(`b${++places}`)

  for (const [from, to] of [
    ['SQLite', 'SQLite'],
    ['SQLite', 'PostgreSQL'],
    ['PostgreSQL', 'SQLite'],
    ['PostgreSQL', 'PostgreSQL'],
  ] as const) {
    const skip = from === to && from === 'SQLite' ? false : noPostgres
    test(`from ${from} into ${to}, row by row`, { skip }, async () => {
      const place = await fresh(from)
      const source = await openMetaStore(place, parts)
      const items = itemsOf(7, 700)
      await fill(source, items)
      const beside = await openMetaSource(place, parts)
      const dump = await collected(backupMeta(beside, systemClock))
      await beside.close()
      const url = await fresh(to)
      const { rows, schema } = await restoreMeta(url, inPieces(dump, 1000), parts)
      assert.deepEqual({ rows, schema }, { rows: 700, schema: 1 })
      const target = await openMetaStore(url, { ...parts, migrations: [ITEMS, NEXT] })
      assert.deepEqual(await target.read(listItems, null), items.sort(byKey))
      assert.deepEqual(await target.read(listItems, null), await source.read(listItems, null))
      await target.close()
      await source.close()
      await assert.rejects(restoreMeta(url, inPieces(dump, 999), parts), failsWith('unsupported'))
    })
  }

  for (const engine of ['SQLite', 'PostgreSQL'] as const) {
    test(`of ${engine} while others write: one moment`, {
      skip: engine === 'SQLite' ? false : noPostgres,
    }, async () => {
      const source = await openMetaStore(await fresh(engine), parts)
      const key = (i: number) => Buffer.from(`k${i % 600}`)
      await fill(
        source,
        Array.from({ length: 600 }, (_, i) => ({ key: key(i), n: 1000, label: '', data: null })),
      )
      let writing = true
      const writer = async () => {
        for (let i = 0; writing; i++) await source.write(transfer, { from: key(i), to: key(i * 31 + 300) })
      }
      const running = Promise.all([writer(), writer()])
      const dump = await collected(backupMeta(source, systemClock))
      writing = false
      await running
      const url = await fresh('SQLite')
      await restoreMeta(url, inPieces(dump, 65_536), parts)
      const target = await openMetaStore(url, parts)
      const total = (await target.read(listItems, null)).reduce((sum, { n }) => sum + n, 0)
      assert.equal(total, 600_000)
      await target.close()
      await source.close()
    })
  }

  test('a damaged, cut or foreign dump is refused, and half a restore is never opened', async () => {
    const source = await openMetaStore(await fresh('SQLite'), parts)
    await fill(source, itemsOf(9, 600))
    const dump = await collected(backupMeta(source, systemClock))
    await source.close()
    const random = seededRandom(4)
    for (let i = 0; i < 12; i++) {
      const damaged = Buffer.from(dump)
      if (i < 4) damaged[8 + random.below(dump.length - 8)]! ^= 1 << random.below(8)
      const bytes = i < 4 ? damaged : damaged.subarray(0, 8 + random.below(dump.length - 8))
      const url = await fresh('SQLite')
      await assert.rejects(restoreMeta(url, inPieces(bytes, 5000), parts), failsWith('corrupt'))
      // Either it did not begin, or what it began is refused.
      const opened = await openMetaStore(url, parts).catch((error: unknown) => error)
      if (opened instanceof Error) assert.ok(failsWith('conflict')(opened))
      else {
        assert.deepEqual(await (opened as MetaStore).read(listItems, null), [])
        await (opened as MetaStore).close()
      }
    }
    await assert.rejects(openMetaSource(await fresh('SQLite'), parts), failsWith('io_error'))
    const text = inPieces(Buffer.from('this is something else'), 7)
    await assert.rejects(restoreMeta(await fresh('SQLite'), text, parts), failsWith('unsupported'))
    const older = { ...parts, migrations: [] }
    await assert.rejects(
      restoreMeta(await fresh('SQLite'), inPieces(dump, 99), older),
      failsWith('unsupported'),
    )
    const url = await fresh('SQLite')
    const full = await openMetaStore(url, parts)
    await full.write(putItem, { key: Buffer.from('a'), n: 1, label: '', data: null })
    await full.close()
    await assert.rejects(restoreMeta(url, inPieces(dump, 99), parts), failsWith('conflict'))
  })
})
