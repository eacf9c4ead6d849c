/** What an error of PostgreSQL or of its connection means for the transaction that met it. */
import { DatabaseError } from 'pg'
import { type ErrorCode, StoreError } from '../../base/errors.ts'

/** `retry`: the transaction is undone and may run again. `lost`: the connection cannot be used any more. */
export type Trouble =
  | { kind: 'retry'; cause: Error }
  | { kind: 'lost'; cause: Error }
  | { kind: 'failed'; error: StoreError }

const SERIALIZATION_FAILURE = '40001'
const DEADLOCK = '40P01'
export const UNIQUE_VIOLATION = '23505'

/** SQLSTATEs, and classes of them (two characters), that are not a bug of ours. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  '53100': 'disk_full',
  '58030': 'io_error',
  XX001: 'corrupt',
  XX002: 'corrupt',
  '22021': 'bad_request', // a NUL or broken UTF-8 in a text
  '25006': 'read_only',
  '28': 'unauthorized',
  '3D': 'not_found', // no such database
  '42501': 'forbidden',
  '53': 'unavailable',
  '55P03': 'unavailable',
  '57014': 'unavailable', // took longer than a statement may
}

/** A connection, or the server, that ends: shut down, crashed, starting up, out of connections. */
const LOST = new Set(['57P01', '57P02', '57P03', '57P05', '25P03', '53300'])

export function troubleOf(thrown: unknown): Trouble {
  if (thrown instanceof StoreError) return { kind: 'failed', error: thrown }
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown))
  // Whatever does not come from the server comes from the way to it.
  if (!(cause instanceof DatabaseError) || cause.code === undefined) return { kind: 'lost', cause }
  const { code } = cause
  if (code === SERIALIZATION_FAILURE || code === DEADLOCK) return { kind: 'retry', cause }
  if (LOST.has(code) || code.startsWith('08')) return { kind: 'lost', cause }
  const storeCode = CODES[code] ?? CODES[code.slice(0, 2)] ?? 'internal'
  const error = new StoreError(storeCode, `metadata: ${cause.message} (PostgreSQL ${code})`, { cause })
  return { kind: 'failed', error }
}

/** Whether the server said that it took back the transaction. A FATAL answer leaves it open: it may follow the commit. */
export const isTakenBack = (thrown: unknown) => thrown instanceof DatabaseError && thrown.severity === 'ERROR'

/** A key that is there already. */
export const isDuplicate = (thrown: unknown) =>
  thrown instanceof DatabaseError && thrown.code === UNIQUE_VIOLATION
