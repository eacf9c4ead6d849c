/** The parts of a dump: a magic word, then compressed blocks. */
import type { TableShape } from '../meta-store.ts'

/** Names the format and its version. */
export const MAGIC = Buffer.from('CAIRNMD1')

/** Kinds of blocks, before their length of 32 bits. After the last one come 32 bytes: SHA-256 of all blocks. */
export const BLOCK = { header: 1, rows: 2, end: 3 } as const

export interface DumpHeader {
  format: 1
  schema: number
  createdMs: number
  tables: TableShape[]
}
