/**
 * Rows as listings read them. Attributes of objects in thousands of parts have hundreds of KiB: long ones are left out at first, and
 * read one by one as long as the page has room for them.
 */
import { assert } from '../base/assert.ts'
import { LISTED_ATTRIBUTES_BYTES_MAX, LISTED_ATTRIBUTES_LONG_BYTES } from '../base/limits.ts'
import { query, type Steps } from '../meta/meta-store.ts'
import type { MoveRow, ShownRow } from './parts.ts'
import { rowKey } from './tree-moves.ts'

/** `attributes` is empty where it is long; no row has it so. */
const SHOWN_COLUMNS = `key, rank, flags, size, modified_ms, etag, tags, lock_until_ms,
  case when octet_length(attributes) > ${LISTED_ATTRIBUTES_LONG_BYTES} then '' else attributes end as attributes,
  octet_length(attributes) as attributes_bytes`

/** Of a bucket, with keys from one to another (exclusive), up to a number. */
export const OBJECT_ROWS = `select ${SHOWN_COLUMNS} from object
  where bucket_id = ? and key >= ? and key < ? order by key limit ?`

/** As OBJECT_ROWS, from one key and rank on to another key. */
export const VERSION_ROWS = `select ${SHOWN_COLUMNS} from version
  where bucket_id = ? and (key, rank) >= (?, ?) and key < ? order by key, rank limit ?`

/** What a page may still hold of long attributes. */
export class PageRoom {
  readonly #bucketId: number
  readonly #moves: readonly MoveRow[]
  #bytes = 0

  constructor(bucketId: number, moves: readonly MoveRow[]) {
    this.#bucketId = bucketId
    this.#moves = moves
  }

  /** Gives a row its attributes, if they were left out. False: the page ends before it. The first that are long always fit. */
  *complete(row: ShownRow): Steps<boolean> {
    if (row.attributes !== '') return true
    const bytes = row.attributes_bytes as number
    if (this.#bytes > 0 && this.#bytes + bytes > LISTED_ATTRIBUTES_BYTES_MAX) return false
    this.#bytes += bytes
    const key = rowKey(this.#moves, row.key)
    assert(key !== undefined, 'what is listed has a row')
    for (const table of ['object', 'version'] as const) {
      const [found] = yield query(
        `select attributes from ${table} where bucket_id = ? and key = ? and rank = ?`,
        ...[this.#bucketId, key, row.rank],
      )
      if (found === undefined) continue
      row.attributes = found.attributes as string
      return true
    }
    assert(false, 'a row that was just seen is there')
  }
}
