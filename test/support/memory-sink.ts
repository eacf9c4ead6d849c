/** A journal's sink in memory, which fails, or forgets, when a test wants it. */
import { StoreError } from '../../src/base/errors.ts'
import type { JournalEntry, JournalSink, NewJournalEntry } from '../../src/meta/journal-sink.ts'

export class MemorySink implements JournalSink {
  readonly entries = new Map<string, { entry: JournalEntry; bytes: Buffer }>()
  failing = false
  failures = 0
  #next = 0
  #watchers: (() => void)[] = []

  async append(entry: NewJournalEntry, pieces: AsyncIterable<Buffer>): Promise<number> {
    const parts: Buffer[] = []
    for await (const piece of pieces) {
      if (this.failing) this.#fail()
      parts.push(piece)
    }
    if (this.failing) this.#fail()
    const bytes = Buffer.concat(parts)
    const id = String(this.#next++)
    this.entries.set(id, { entry: { ...entry, id, bytes: bytes.length }, bytes })
    this.#tell()
    return bytes.length
  }

  async list(): Promise<JournalEntry[]> {
    return [...this.entries.values()].map(({ entry }) => entry)
  }

  async *read(entry: JournalEntry): AsyncGenerator<Buffer> {
    yield this.entries.get(entry.id)!.bytes
  }

  async removeBefore(databaseId: string, sequence: number): Promise<void> {
    for (const [id, { entry }] of this.entries) {
      if (entry.databaseId !== databaseId || entry.sequence > sequence) continue
      if (entry.kind === 'changes' || entry.sequence < sequence) this.entries.delete(id)
    }
    this.#tell()
  }

  of(kind: JournalEntry['kind']): JournalEntry[] {
    const entries = [...this.entries.values()].map(({ entry }) => entry)
    return entries.filter((entry) => entry.kind === kind).sort((a, b) => a.sequence - b.sequence)
  }

  /** Resolves when something has come, gone or failed, and `holds`. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  #fail(): never {
    this.failures++
    this.#tell()
    throw new StoreError('no_writable_volume', 'the sink fails')
  }

  #tell(): void {
    for (const resolve of this.#watchers.splice(0)) resolve()
  }
}
