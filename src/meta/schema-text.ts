/** What differs between the engines in the text of a schema: words in braces, and which schema a database has. */
import { StoreError } from '../base/errors.ts'

export interface Migration {
  /** Rises by one from 1. */
  readonly version: number
  readonly name: string
  readonly statements: readonly string[]
}

export interface SchemaWords {
  int: string
  text: string
  bytes: string
  clustered: string
}

/** Strict tables, so that a text in a column of bytes is an error here as it is there. */
export const SQLITE_WORDS: SchemaWords = {
  int: 'integer',
  text: 'text',
  bytes: 'blob',
  clustered: ' strict, without rowid',
}

/** Texts compare by their bytes, whatever the language of the database. */
export const POSTGRES_WORDS: SchemaWords = {
  int: 'bigint',
  text: 'text collate "C"',
  bytes: 'bytea',
  clustered: '',
}

/** A statement of a migration in the words of one engine. */
export function schemaText(statement: string, words: SchemaWords): string {
  return statement.replace(/\{(\w+)\}/g, (_, word: string) => {
    if (!Object.hasOwn(words, word)) throw new StoreError('internal', `schema: no word {${word}}`)
    return words[word as keyof SchemaWords]
  })
}

/** The migrations that a database still needs. Throws `unsupported` when a newer program has changed it. */
export function pendingMigrations(applied: number, migrations: readonly Migration[]): readonly Migration[] {
  const newest = migrations.at(-1)?.version ?? 0
  if (applied > newest) {
    const text = `the metadata has schema ${applied}, this program knows those up to ${newest}`
    throw new StoreError('unsupported', `${text}: use a newer version`)
  }
  return migrations.filter(({ version }) => version > applied)
}
