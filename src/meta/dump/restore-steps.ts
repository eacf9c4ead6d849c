/** How metadata says that a restore into it is under way, so that half of one is never taken for all. */
import { StoreError } from '../../base/errors.ts'
import { query, type Script } from '../meta-store.ts'

export const beginRestore: Script<number, null> = {
  name: 'meta.begin-restore',
  *steps(nowMs) {
    yield query(
      'insert into schema_migration (version, name, applied_ms) values (0, ?, ?)',
      'restoring',
      nowMs,
    )
    return null
  },
}

export const endRestore: Script<null, null> = {
  name: 'meta.end-restore',
  *steps() {
    yield query('delete from schema_migration where version = 0')
    return null
  },
}

/** Throws `conflict` when a restore has begun and not ended. */
export const assertRestored: Script<null, null> = {
  name: 'meta.assert-restored',
  *steps() {
    const rows = yield query('select name from schema_migration where version = 0')
    if (rows.length === 0) return null
    const text = 'a restore into this metadata has not ended: remove it, and restore into an empty place'
    throw new StoreError('conflict', text)
  },
}

/** 1 when a table has rows. The name is one of the schema. */
export const countRows: Script<string, number> = {
  name: 'meta.count-rows',
  *steps(table) {
    return (yield query(`select 1 as one from ${table} limit 1`)).length
  },
}
