/** Statements and values as PostgreSQL wants them: numbered parameters, names for prepared ones, safe integers. */
import { StoreError } from '../../base/errors.ts'
import type { Query, SqlValue } from '../meta-store.ts'

const BOOL = 16
const BYTEA = 17
const INTEGERS = new Set([20, 21, 23, 1700])

/** How columns become values. Sums are `numeric` there, conditions booleans: both are integers here. */
export const VALUE_TYPES = {
  getTypeParser: (oid: number) => {
    if (INTEGERS.has(oid)) return toSafeInteger
    if (oid === BOOL) return (text: string) => (text === 't' ? 1 : 0)
    if (oid === BYTEA) return toBytes
    return (text: string) => text
  },
}

function toSafeInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new StoreError('internal', `metadata: ${text} is no safe integer`)
  return value
}

/** The text form of bytes: `\x` and two hex digits each. */
function toBytes(text: string): Buffer {
  return Buffer.from(text.slice(2), 'hex')
}

/** Statements by their text, each with a name under which a connection prepares it once. */
export class Statements {
  readonly #known = new Map<string, { name: string; text: string }>()

  of(query: Query): { name: string; text: string; values: SqlValue[] } {
    let statement = this.#known.get(query.sql)
    if (statement === undefined) {
      statement = { name: `c${this.#known.size}`, text: numbered(query.sql) }
      this.#known.set(query.sql, statement)
    }
    return { ...statement, values: query.params as SqlValue[] }
  }
}

/** `?` outside of quotes becomes `$1`, `$2` and so on. */
function numbered(sql: string): string {
  let count = 0
  return sql.replace(/'[^']*'|"[^"]*"|\?/g, (found) => (found === '?' ? `$${++count}` : found))
}
