/** A small table and transactions on it, by which the metadata engines are tested. */
import { StoreError } from '../../src/base/errors.ts'
import { query, type Row, type Script } from '../../src/meta/meta-store.ts'

export const ITEMS = {
  version: 1,
  name: 'items',
  statements: [
    `create table item (
      key {bytes} not null primary key,
      n {int} not null,
      label {text} not null,
      data {bytes},
      flags {int} not null
    ){clustered}`,
    'create index item_flagged on item (label, key) where (flags & 1) = 1',
  ],
}

export interface Item {
  key: Buffer
  n: number
  label: string
  data: Buffer | null
}

const PUT = `insert into item (key, n, label, data, flags) values (?, ?, ?, ?, 0)
  on conflict (key) do update set n = excluded.n, label = excluded.label, data = excluded.data`
const INSERT = 'insert into item (key, n, label, data, flags) values (?, 1, ?, null, 0)'

export const putItem: Script<Item, null> = {
  name: 'test.put',
  *steps({ key, n, label, data }) {
    yield query(PUT, key, n, label, data)
    return null
  },
}

export const getItem: Script<Buffer, Item | undefined> = {
  name: 'test.get',
  *steps(key) {
    const [row] = yield query('select key, n, label, data from item where key = ?', key)
    return row && { ...(row as unknown as Item) }
  },
}

/** All rows in the order of their keys. */
export const listItems: Script<null, Item[]> = {
  name: 'test.list',
  *steps() {
    const rows = yield query('select key, n, label, data from item order by key')
    return rows.map((row) => ({ ...(row as unknown as Item) }))
  },
}

/** Labels in the engine's order of texts. */
export const listLabels: Script<null, string[]> = {
  name: 'test.labels',
  *steps() {
    const rows = yield query('select label from item order by label')
    return rows.map(({ label }) => String(label))
  },
}

/** Reads a number and writes the next one in a second statement; gives it back. */
export const increase: Script<Buffer, number> = {
  name: 'test.increase',
  *steps(key) {
    const rows: Row[] = yield query('select n from item where key = ?', key)
    const next = Number(rows[0]?.n ?? 0) + 1
    yield query(PUT, key, next, 'counter', null)
    return next
  },
}

/** A row that must not be there yet, and one more in a counter: applied twice it shows in both. */
export const addOnce: Script<{ key: Buffer; counter: Buffer }, number> = {
  name: 'test.add-once',
  *steps({ key, counter }) {
    const [row] = yield query('select n from item where key = ?', key)
    yield query(PUT, key, Number(row?.n ?? 0) + 1, 'once', null)
    const [total] = yield query(
      `insert into item (key, n, label, data, flags) values (?, 1, 'counter', null, 0)
       on conflict (key) do update set n = item.n + 1 returning n`,
      counter,
    )
    return Number(total!.n)
  },
}

/** Writes, and takes it back. */
export const putAndFail: Script<Item, never> = {
  name: 'test.put-and-fail',
  *steps({ key, n, label, data }) {
    yield query(PUT, key, n, label, data)
    throw new StoreError('precondition_failed', 'thrown by the script')
  },
}

/** Breaks a constraint with its second statement. */
export const insertTwice: Script<Buffer, null> = {
  name: 'test.insert-twice',
  *steps(key) {
    yield query(INSERT, key, 'first')
    yield query(INSERT, key, 'second')
    return null
  },
}

/** Two statements, which must see one state: all counters, one by one. */
export const sumTwice: Script<null, [number, number]> = {
  name: 'test.sum-twice',
  *steps() {
    const [first] = yield query('select sum(n) as total from item')
    const rows = yield query('select n from item')
    return [Number(first!.total ?? 0), rows.reduce((sum, { n }) => sum + Number(n), 0)]
  },
}

/** Moves one from a counter to another: the sum of all stays. */
export const transfer: Script<{ from: Buffer; to: Buffer }, null> = {
  name: 'test.transfer',
  *steps({ from, to }) {
    yield query('update item set n = n - 1 where key = ?', from)
    yield query('update item set n = n + 1 where key = ?', to)
    return null
  },
}

/** Arithmetic on parameters, conditions and sums: integers in both engines. */
export const arithmetic: Script<null, Row> = {
  name: 'test.arithmetic',
  *steps() {
    const [row] = yield query(
      'select sum(n) as total, count(*) as items, max(n) / 2 as half, (count(*) > 0) as some from item where n >= ?',
      1,
    )
    return { ...row }
  },
}

export const TEST_SCRIPTS = [
  putItem,
  increase,
  addOnce,
  putAndFail,
  insertTwice,
  transfer,
] as unknown as readonly Script<never, unknown>[]
