/** What every script that writes a key is given, from the store's clock and randomness. */
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import type { Bucket } from './object-store.ts'
import type { WriteContext } from './put-version.ts'
import { keyBytes } from './rows.ts'
import { USAGE_PARTS_SHARED } from './usage-steps.ts'

const NONCE_BYTES = 16

/** Throws `key_too_long`, `bad_request`. */
export function writeContext(
  { meta, clock, random }: { meta: MetaStore; clock: Clock; random: Random },
  bucket: Bucket,
  key: string,
): WriteContext {
  return {
    bucketId: bucket.id,
    key: keyBytes(key),
    nowMs: clock.nowMs(),
    usagePart: meta.capabilities.sharedBetweenProcesses ? random.below(USAGE_PARTS_SHARED) : 0,
    nonce: random.bytes(NONCE_BYTES),
  }
}
