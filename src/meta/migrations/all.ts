/** All migrations in their order. A published one is never changed: another one follows. */
import type { Migration } from '../schema-text.ts'
import { names } from './0001-names.ts'

export const MIGRATIONS: readonly Migration[] = [names]
