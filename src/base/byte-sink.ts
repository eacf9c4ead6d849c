/** Who takes bytes as they come, out of memory that is its giver's: so that a long body is copied once, to where it stays. */
export interface ByteSink {
  /** Takes bytes, which may be changed afterwards, and gives how many: fewer than all where it has no room. */
  take(bytes: Buffer): number
  /** How many it would take now. Asked when more will come. */
  roomBytes(): number
  /** When there may be room again, asked when there is none. Rejects when nobody wants more. */
  room(): Promise<void>
}
