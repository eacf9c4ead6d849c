/** Events of buckets that want to be told: written with the change itself, delivered later from the outbox. */
import { type Query, query } from '../meta/meta-store.ts'
import { sequencerOf } from './rows.ts'

const TIME_BYTES = 6
const EVENT_ID_BYTES = 16

export interface NewEvent {
  bucketId: number
  key: Uint8Array
  nowMs: number
  nonce: Uint8Array
  /** `ObjectCreated:Put`, `ObjectRemoved:DeleteMarkerCreated` and the like. */
  event: string
  rank: number
  versionId: string | undefined
  sizeBytes?: number
  etag?: string
}

/** Event ids begin with the time, so that the outbox is in order. */
export function writeEvent(event: NewEvent): Query {
  const id = Buffer.alloc(EVENT_ID_BYTES)
  id.writeUIntBE(event.nowMs, 0, TIME_BYTES)
  id.set(event.nonce.subarray(0, EVENT_ID_BYTES - TIME_BYTES), TIME_BYTES)
  const payload = {
    event: event.event,
    timeMs: event.nowMs,
    bucketId: event.bucketId,
    key: Buffer.from(event.key).toString(),
    size: event.sizeBytes,
    etag: event.etag,
    versionId: event.versionId,
    sequencer: sequencerOf(event.rank),
  }
  return query(
    'insert into outbox (event_id, bucket_id, payload) values (?, ?, ?)',
    id,
    event.bucketId,
    JSON.stringify(payload),
  )
}
