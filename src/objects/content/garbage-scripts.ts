/** Scripts about bytes that are to be removed. */
import { query, type Script } from '../../meta/meta-store.ts'

export interface LeaveBlobs {
  /** Packed entries, a few hundred at most. */
  blobs: Uint8Array
  /** Differs from that of every other such call. */
  nonce: Uint8Array
  dueMs: number
}

/** Blobs for the collector that no row ever named. */
export const leaveBlobs: Script<LeaveBlobs, null> = {
  name: 'content.leave',
  *steps({ blobs, nonce, dueMs }) {
    yield query(
      'insert into garbage (due_ms, nonce, blobs, content_id) values (?, ?, ?, null)',
      dueMs,
      nonce,
      blobs,
    )
    return null
  },
}
