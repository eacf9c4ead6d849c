/** What a SQLite file knows of its journal: which database it is, and whether the journal had everything when it was closed. */
import type { Random } from '../../base/random.ts'
import type { SqliteConnection } from './connection.ts'

export interface JournalState {
  /** 32 hex digits. */
  databaseId: string
  /** The last entry of the journal when `clean`. */
  sequence: number
  /** The schema that the journal's snapshot has. */
  schema: number
  /** The journal has all that was committed. */
  clean: boolean
}

const TABLE = `create table if not exists journal_state (
  id integer not null primary key, database_id blob not null, sequence integer not null, schema integer not null,
  clean integer not null) strict, without rowid`

/**
 * What it was at the last close. From here on the file counts as changed behind the journal's back, until the journal
 * says otherwise at its end: whoever opens a file for writing calls this.
 */
export function takeJournalState(connection: SqliteConnection, random: Random): JournalState {
  connection.database.exec(TABLE)
  const [row] = connection.run({
    sql: 'select database_id, sequence, schema, clean from journal_state',
    params: [],
  })
  if (row === undefined) {
    const state = { databaseId: random.bytes(16).toString('hex'), sequence: 0, schema: 0, clean: false }
    saveJournalState(connection, state)
    return state
  }
  const state: JournalState = {
    databaseId: (row.database_id as Buffer).toString('hex'),
    sequence: Number(row.sequence),
    schema: Number(row.schema),
    clean: row.clean === 1,
  }
  if (state.clean) saveJournalState(connection, { ...state, clean: false })
  return state
}

export function saveJournalState(connection: SqliteConnection, state: JournalState): void {
  const { databaseId, sequence, schema, clean } = state
  connection.run({
    sql: `insert into journal_state (id, database_id, sequence, schema, clean) values (1, ?, ?, ?, ?)
      on conflict (id) do update set database_id = excluded.database_id, sequence = excluded.sequence,
        schema = excluded.schema, clean = excluded.clean`,
    params: [Buffer.from(databaseId, 'hex'), sequence, schema, clean ? 1 : 0],
  })
}
