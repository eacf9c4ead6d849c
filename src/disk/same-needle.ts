/** Whether a needle that was read is what is to be written: then it need not be. */
import type { Needle, NewNeedle } from './needle.ts'

/** The fields that a user gives, the time aside. A file that would end earlier or later is another one. */
export function sameFields(stored: Needle, given: NewNeedle): boolean {
  return (
    stored.ttl === given.ttl &&
    stored.gzipped === given.gzipped &&
    stored.manifest === given.manifest &&
    sameBytes(stored.name, given.name) &&
    sameBytes(stored.mime, given.mime) &&
    sameBytes(stored.pairs, given.pairs)
  )
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}

/** True when a small needle that was read holds exactly these bytes. */
export function sameData(stored: Needle, data: Buffer): boolean {
  return stored.data?.equals(data) === true
}

/** True when a large needle holds exactly these bytes. Reads all of it, and closes it. */
export async function sameLargeData(stored: Needle, data: Buffer): Promise<boolean> {
  const { large } = stored
  if (large === undefined) return false
  try {
    let at = 0
    for await (const piece of large.read(0, stored.dataSizeBytes)) {
      if (!piece.equals(data.subarray(at, at + piece.length))) return false
      at += piece.length
    }
    return at === data.length
  } finally {
    large.close()
  }
}
