/** Brings SQLite metadata back from its safety copies: the newest snapshot that is sound, and all changes after it. */
import { StoreError, toStoreError } from '../base/errors.ts'
import { loadDump } from './backup.ts'
import { readDump } from './dump/read-dump.ts'
import { endRestore } from './dump/restore-steps.ts'
import type { JournalEntry, JournalSink } from './journal-sink.ts'
import { type MetaOptions, metaFileOf } from './open-meta-store.ts'
import { type AnyScript, runSteps } from './run-steps.ts'
import { unpackChanges } from './sqlite/changes.ts'
import { SqliteConnection } from './sqlite/connection.ts'
import { type Chain, chainOf, newestFirst } from './sqlite/journal.ts'
import { saveJournalState } from './sqlite/journal-state.ts'

export interface RebuiltMeta {
  /** When the last change that was found was stored, in milliseconds since 1970. */
  asOfMs: number
  snapshotMs: number
  rows: number
  changes: number
  /** Why what follows could not be used, where something follows. */
  stopped: string | undefined
}

/**
 * Fills a new SQLite file, in an existing directory. Throws `not_found` (no sound snapshot), `conflict` (there are rows),
 * `corrupt` (changes do not fit what they change: a bug, or other hands), and what the sink and the engine throw.
 */
export async function rebuildFromJournal(
  sink: JournalSink,
  path: string,
  options: MetaOptions,
): Promise<RebuiltMeta> {
  const entries = await sink.list()
  const chain = await soundChain(sink, entries)
  const { snapshot } = chain
  const loaded = await loadDump(path, sink.read(snapshot), options)
  const connection = SqliteConnection.open(metaFileOf(path), { writes: true })
  try {
    const { applied, stopped } = await applyChanges(connection, sink, chain)
    const { databaseId } = snapshot
    connection.command('begin immediate')
    const sequence = snapshot.sequence + applied
    saveJournalState(connection, { databaseId, sequence, schema: loaded.schema, clean: false })
    runSteps(endRestore as unknown as AnyScript, null, (query) => connection.run(query))
    connection.command('commit')
    return {
      asOfMs: applied === 0 ? snapshot.madeMs : chain.changes[applied - 1]!.madeMs,
      snapshotMs: snapshot.madeMs,
      rows: loaded.rows,
      changes: applied,
      stopped: stopped ?? gapAfter(chain, entries),
    }
  } finally {
    connection.close()
  }
}

/** The newest snapshot that can be read to its end. */
async function soundChain(sink: JournalSink, entries: readonly JournalEntry[]): Promise<Chain> {
  const snapshots = entries.filter(({ kind }) => kind === 'snapshot')
  for (const snapshot of snapshots.sort((a, b) => b.madeMs - a.madeMs || newestFirst(a, b))) {
    if (await isSound(sink, snapshot)) return chainOf(snapshot, entries)
  }
  const text = snapshots.length === 0 ? 'there is no snapshot' : 'all snapshots are damaged'
  throw new StoreError('not_found', `metadata cannot be rebuilt: ${text}`)
}

async function isSound(sink: JournalSink, snapshot: JournalEntry): Promise<boolean> {
  try {
    for await (const _ of (await readDump(sink.read(snapshot))).rows);
    return true
  } catch (error) {
    const { code } = toStoreError(error)
    if (code === 'corrupt' || code === 'not_found') return false
    throw error
  }
}

/** In their order, as far as they can be read. */
async function applyChanges(
  connection: SqliteConnection,
  sink: JournalSink,
  { changes }: Chain,
): Promise<{ applied: number; stopped: string | undefined }> {
  for (const [applied, entry] of changes.entries()) {
    let changeset: Buffer
    try {
      const pieces: Buffer[] = []
      for await (const piece of sink.read(entry)) pieces.push(piece)
      changeset = await unpackChanges(Buffer.concat(pieces))
    } catch (error) {
      const { code, message } = toStoreError(error)
      if (code !== 'corrupt' && code !== 'not_found') throw error
      return { applied, stopped: `changes ${entry.sequence}: ${message}` }
    }
    // Every row must be as it was when the change was made.
    if (!connection.database.applyChangeset(changeset))
      throw new StoreError('corrupt', `changes ${entry.sequence} do not fit the metadata`)
  }
  return { applied: changes.length, stopped: undefined }
}

/** Whether later changes exist that one in between is missing for. */
function gapAfter({ snapshot, last }: Chain, entries: readonly JournalEntry[]): string | undefined {
  const later = entries.filter(
    ({ kind, databaseId, sequence }) =>
      kind === 'changes' && databaseId === snapshot.databaseId && sequence > last,
  )
  if (later.length === 0) return undefined
  return `changes ${last + 1} are missing, ${later.length} later ones cannot be used`
}
