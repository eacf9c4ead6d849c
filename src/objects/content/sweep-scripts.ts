/** Scripts of the search for orphans: how far volumes were searched, and which processes write. */
import { GARBAGE_DELAY_MS } from '../../base/limits.ts'
import { query, type Script } from '../../meta/meta-store.ts'

export interface SweptVolume {
  volumeId: number
  entries: number
  revision: number
}

/** How far each volume was searched. */
export const readSwept: Script<null, SweptVolume[]> = {
  name: 'orphans.readSwept',
  *steps() {
    const rows = yield query('select volume_id, entries, revision from swept')
    return rows.map((row) => ({
      volumeId: row.volume_id as number,
      entries: row.entries as number,
      revision: row.revision as number,
    }))
  },
}

export const writeSwept: Script<{ volumes: readonly SweptVolume[] }, null> = {
  name: 'orphans.writeSwept',
  *steps({ volumes }) {
    for (const { volumeId, entries, revision } of volumes)
      yield query(
        `insert into swept (volume_id, entries, revision) values (?, ?, ?)
         on conflict (volume_id) do update set entries = excluded.entries, revision = excluded.revision`,
        volumeId,
        entries,
        revision,
      )
    return null
  },
}

/** Volumes that were lost: should one come back, it is searched from its beginning. */
export const forgetSwept: Script<{ volumeIds: readonly number[] }, null> = {
  name: 'orphans.forgetSwept',
  *steps({ volumeIds }) {
    for (const volumeId of volumeIds) yield query('delete from swept where volume_id = ?', volumeId)
    return null
  },
}

/** What a process that writes says of itself, now and then. */
export interface WriterSeen {
  writerId: string
  /** Before this it has begun nothing that may still be without a name. */
  startedMs: number
  seenMs: number
  /** Those that were not seen since are dead. */
  deadBeforeMs: number
}

export const seeWriter: Script<WriterSeen, null> = {
  name: 'orphans.seeWriter',
  *steps({ writerId, startedMs, seenMs, deadBeforeMs }) {
    yield query('delete from writer where seen_ms < ?', deadBeforeMs)
    yield query(
      `insert into writer (node_id, started_ms, seen_ms) values (?, ?, ?)
       on conflict (node_id) do update set started_ms = excluded.started_ms, seen_ms = excluded.seen_ms`,
      writerId,
      startedMs,
      seenMs,
    )
    return null
  },
}

export const removeWriter: Script<{ writerId: string }, null> = {
  name: 'orphans.removeWriter',
  *steps({ writerId }) {
    yield query('delete from writer where node_id = ?', writerId)
    return null
  },
}

/** Since when the oldest write of anyone may be under way; null: nobody writes. */
export const oldestWrite: Script<{ deadBeforeMs: number }, number | null> = {
  name: 'orphans.oldestWrite',
  *steps({ deadBeforeMs }) {
    const [row] = yield query('select min(started_ms) as oldest from writer where seen_ms >= ?', deadBeforeMs)
    return (row?.oldest as number | null | undefined) ?? null
  },
}

export interface CorrectReferences {
  contentId: Uint8Array
  /** As they were when they were counted. */
  refs: number
  counted: number
  nowMs: number
}

/** Sets a count of references right; a content that nothing refers to becomes garbage. */
export const correctReferences: Script<CorrectReferences, null> = {
  name: 'check.correctReferences',
  *steps({ contentId, refs, counted, nowMs }) {
    const changed = yield query(
      `update content set refs = ?, sha256 = case when ? = 0 then null else sha256 end
       where content_id = ? and refs = ? returning content_id`,
      counted,
      counted,
      contentId,
      refs,
    )
    if (changed.length === 0 || counted > 0) return null
    yield query(
      'insert into garbage (due_ms, nonce, blobs, content_id) values (?, ?, null, ?)',
      nowMs + GARBAGE_DELAY_MS,
      contentId,
      contentId,
    )
    return null
  },
}
