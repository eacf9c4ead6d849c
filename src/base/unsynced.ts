/** Bytes that are written and not on disk yet. What names them is not committed before they are. */
import { StoreError } from './errors.ts'

export interface Unsynced {
  readonly volumeId: number
  /** The thread that commits metadata syncs the volume itself, and sees every failure since before the bytes were written. */
  readonly isCovered: boolean
  /** The bytes as `packCarriedBlob` packs them, where they are few: a commit that has them need not wait for their volume. */
  readonly carried?: Buffer | undefined
  /** Resolves when the bytes are on disk. Rejects with `not_synced`. */
  durable(): Promise<void>
}

/** What a failed sync means to who wrote: other bytes than these are safe, and another volume may take them. */
export function notSynced(cause: unknown): StoreError {
  const { message } = cause as Error
  return new StoreError('not_synced', `the bytes were written, and may not last: ${message}`, { cause })
}
