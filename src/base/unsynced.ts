/** Bytes that are written and not on disk yet. What names them is not committed before they are. */

export interface Unsynced {
  readonly volumeId: number
  /** The thread that commits metadata syncs the volume itself, and sees every failure since before the bytes were written. */
  readonly isCovered: boolean
  /** Resolves when the bytes are on disk. Rejects with `io_error`. */
  durable(): Promise<void>
}
