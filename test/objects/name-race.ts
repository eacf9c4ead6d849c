/** A race of threads that read names while one writes them: what all of them share. */
import { systemRandom } from '../../src/base/random.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { createBucket } from '../../src/objects/bucket-steps.ts'
import { type PutVersion, putObject } from '../../src/objects/put-version.ts'

export const RACE_KEYS = 16
export const RACE_BUCKET = 7

/** What a reading thread says in the end. */
export interface RaceReport {
  /** It was told something older than somebody before. */
  faults: string[]
  finds: number
  /** Those of them that asked the metadata. */
  looks: number
}

export const keyOf = (key: number) => `key-${key}`

export async function createRaceBucket(meta: MetaStore): Promise<void> {
  const bucket = { bucketId: RACE_BUCKET, name: 'race', owner: 'root', objectLock: false, configs: {} }
  await meta.write(createBucket, { ...bucket, nowMs: 1 })
}

/** An object without bytes, whose ETag is a number. */
export async function putNumber(meta: MetaStore, key: number, number: number): Promise<void> {
  await meta.write(putObject, numbered(key, number))
}

export function numbered(key: number, number: number): PutVersion {
  return {
    ...{ bucketId: RACE_BUCKET, key: Buffer.from(keyOf(key)), nowMs: 1, usagePart: 0 },
    ...{ nonce: systemRandom.bytes(16), content: { kind: 'none' }, sizeBytes: 0, etag: `${number}` },
    ...{ attributes: '{}', tags: null, event: 'ObjectCreated:Put' },
  }
}

/** Raises the number of a key that somebody was told. */
export function raiseTo(told: Int32Array, key: number, number: number): void {
  for (let known = Atomics.load(told, key); known < number; known = Atomics.load(told, key))
    Atomics.compareExchange(told, key, known, number)
}
