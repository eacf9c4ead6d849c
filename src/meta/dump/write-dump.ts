/**
 * All rows of a snapshot as one stream, which either engine can load; `docs/formats/metadata-dump.md` describes it.
 */
import { createHash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { createZstdCompress } from 'node:zlib'
import type { Clock } from '../../base/clock.ts'
import { META_DUMP_PAGE_ROWS } from '../../base/limits.ts'
import type { MetaSnapshot, Row, TableShape } from '../meta-store.ts'
import { BLOCK, type DumpHeader, MAGIC } from './format.ts'
import { RowWriter, writeRow } from './values.ts'

/** The snapshot is read page by page; between two pages other work of the thread has its turn. Closes nothing. */
export async function* writeDump(snapshot: MetaSnapshot, clock: Clock): AsyncGenerator<Buffer> {
  yield MAGIC
  const compress = createZstdCompress()
  // The error of one end comes out at the other.
  pipeline(Readable.from(blocks(snapshot, clock), { objectMode: false }), compress, () => {})
  for await (const piece of compress) yield piece as Buffer
}

async function* blocks(snapshot: MetaSnapshot, clock: Clock): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  const block = (kind: number, payload: Buffer) => {
    const head = Buffer.alloc(5)
    head[0] = kind
    head.writeUInt32BE(payload.length, 1)
    hash.update(head).update(payload)
    return Buffer.concat([head, payload])
  }
  const { schema, tables } = snapshot
  const header: DumpHeader = { format: 1, schema, createdMs: clock.nowMs(), tables: [...tables] }
  yield block(BLOCK.header, Buffer.from(JSON.stringify(header)))
  const writer = new RowWriter()
  let rowsOfAll = 0
  for (const [at, table] of tables.entries()) {
    for await (const rows of pages(snapshot, table)) {
      writer.value(at)
      for (const row of rows) writeRow(writer, row, table.columns)
      rowsOfAll += rows.length
      yield block(BLOCK.rows, writer.take())
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  }
  const count = Buffer.alloc(8)
  count.writeDoubleBE(rowsOfAll)
  yield block(BLOCK.end, count)
  yield hash.digest()
}

/** A table in the order of its key. */
async function* pages(snapshot: MetaSnapshot, { name, columns, key }: TableShape): AsyncGenerator<Row[]> {
  const limit = META_DUMP_PAGE_ROWS
  const from = `select ${columns.map((column) => column.name).join(', ')} from ${name}`
  const order = `order by ${key.join(', ')} limit ${limit}`
  const after = `where (${key.join(', ')}) > (${key.map(() => '?').join(', ')})`
  let rows = await snapshot.ask({ sql: `${from} ${order}`, params: [] })
  while (rows.length > 0) {
    yield rows
    if (rows.length < limit) return
    const last = rows.at(-1)!
    rows = await snapshot.ask({
      sql: `${from} ${after} ${order}`,
      params: key.map((column) => last[column]!),
    })
  }
}
