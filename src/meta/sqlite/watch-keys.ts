/**
 * Has the writer's connection tell which keys it changes, whatever statement does it. The triggers are this connection's own: the
 * file has none of them.
 */
import type { KeyChanges } from '../key-changes.ts'
import type { SqliteConnection } from './connection.ts'

/** Keys that come change nothing that anybody read. A bucket's row matters by these columns to what was read of its keys. */
const TRIGGERS = `
  create temp trigger key_updated after update on main.object begin
    select key_changes(old.bucket_id, old.key);
  end;
  create temp trigger key_deleted after delete on main.object begin
    select key_changes(old.bucket_id, old.key);
  end;
  create temp trigger bucket_updated after update of versioning, moves on main.bucket begin
    select key_changes(old.bucket_id, null);
  end;`

/** False: the file has no such keys. */
export function watchKeys(connection: SqliteConnection, changes: KeyChanges): boolean {
  const { database } = connection
  const tables = connection.run({
    sql: `select name from main.sqlite_schema where type = 'table' and name in ('object', 'bucket')`,
    params: [],
  })
  if (tables.length !== 2) return false
  database.function('key_changes', (bucketId, key) => {
    changes.begin(bucketId as number, key === null ? undefined : (key as Uint8Array))
    return null
  })
  database.exec(TRIGGERS)
  return true
}
