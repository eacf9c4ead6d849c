/** Tables as the engines describe them: what a dump must know of a schema. */
import { StoreError } from '../../base/errors.ts'
import type { Row, TableShape } from '../meta-store.ts'

/** What an engine keeps for itself, which is in no dump. */
const ENGINE_TABLES = new Set(['schema_migration', 'commit_mark', 'journal_state', 'carried_blobs'])

const TYPES: Readonly<Record<string, TableShape['columns'][number]['type']>> = {
  integer: 'int',
  bigint: 'int',
  text: 'text',
  blob: 'bytes',
  bytea: 'bytes',
}

/** Rows of `table_name`, `column_name`, `type`, `key_position` (0: not in the key), columns of a table in their order. */
export function toShapes(rows: readonly Row[]): TableShape[] {
  const tables = new Map<string, Row[]>()
  for (const row of rows) {
    const name = String(row.table_name)
    if (ENGINE_TABLES.has(name)) continue
    const columns = tables.get(name) ?? []
    columns.push(row)
    tables.set(name, columns)
  }
  return [...tables].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, columns]) => toShape(name, columns))
}

function toShape(name: string, rows: readonly Row[]): TableShape {
  const keyed = rows.filter((row) => Number(row.key_position) > 0)
  keyed.sort((a, b) => Number(a.key_position) - Number(b.key_position))
  if (keyed.length === 0) throw new StoreError('internal', `table ${name} has no primary key`)
  const columns = rows.map((row) => {
    const type = TYPES[String(row.type).toLowerCase()]
    if (type === undefined) throw new StoreError('internal', `column ${name}.${row.column_name}: ${row.type}`)
    return { name: String(row.column_name), type }
  })
  return { name, columns, key: keyed.map((row) => String(row.column_name)) }
}
