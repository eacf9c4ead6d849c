/**
 * Replication strings `xyz`: copies in other data centres, in other racks, and on other servers of the same rack.
 * Stored in a volume's super block as one byte, 100x + 10y + z.
 */
import { StoreError } from './errors.ts'

export interface ReplicaPlacement {
  otherDataCenters: number
  otherRacks: number
  sameRack: number
}

const DIGITS = 3
const BYTE_MAX = 255

/**
 * Parses a replication string to its byte. Shorter ones are padded on the left (`1` is `001`), '' is `000`.
 * Throws `bad_request` when it is malformed or does not fit the byte.
 */
export function parseReplication(text: string): number {
  if (!/^[0-9]{0,3}$/.test(text)) {
    throw new StoreError('bad_request', `unknown replication type: ${text.slice(0, 32)}`)
  }
  const byte = Number(text)
  if (byte > BYTE_MAX) throw new StoreError('bad_request', `unexpected replication type: ${text}`)
  return byte
}

/** The three digits of a stored replication byte. */
export function formatReplication(byte: number): string {
  return String(byte).padStart(DIGITS, '0')
}

/** What a stored replication byte asks for. */
export function replicaPlacement(byte: number): ReplicaPlacement {
  return {
    otherDataCenters: Math.floor(byte / 100),
    otherRacks: Math.floor(byte / 10) % 10,
    sameRack: byte % 10,
  }
}
