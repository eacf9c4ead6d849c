/** Where safety copies of SQLite metadata go: whole snapshots, and the changes after them. Whoever opens the metadata gives one. */

export interface JournalEntry {
  /** The sink's own, by which it finds the bytes. */
  readonly id: string
  readonly kind: 'snapshot' | 'changes'
  /** Of the database that this is a copy of: 32 hex digits. */
  readonly databaseId: string
  /**
   * Changes are numbered without gaps; a snapshot has all changes up to its own number. Numbers skip only where a snapshot
   * follows.
   */
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly madeMs: number
  readonly bytes: number
}

export type NewJournalEntry = Omit<JournalEntry, 'id' | 'bytes'>

export interface JournalSink {
  /** Stores an entry durably, and gives its length. One that was stored in part, because this failed, is never listed. */
  append(entry: NewJournalEntry, pieces: AsyncIterable<Buffer>): Promise<number>
  /** All whole entries, in no order. Throws when some place cannot be looked at now. */
  list(): Promise<JournalEntry[]>
  /** The bytes of a listed entry, verified. Throws `corrupt`, `not_found`. */
  read(entry: JournalEntry): AsyncIterable<Buffer>
  /** Removes what a snapshot has made needless: snapshots before `sequence`, changes up to it. */
  removeBefore(databaseId: string, sequence: number): Promise<void>
}
