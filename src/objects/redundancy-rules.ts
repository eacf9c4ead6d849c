/** Which redundancy the bytes of an object are stored with, as the installation is configured. */
import type { Redundancy } from '../base/redundancy.ts'

/** Plain, so that it can be given to other threads. */
export interface RedundancyRules {
  usual: Redundancy
  /** By the name of the bucket, instead of `usual`. */
  buckets: ReadonlyMap<string, Redundancy>
  /** By the storage class that an object is given, whatever its bucket; STANDARD is for those that are given none. */
  storageClasses: ReadonlyMap<string, Redundancy>
}

export const NO_REDUNDANCY: RedundancyRules = { usual: 'none', buckets: new Map(), storageClasses: new Map() }

const STANDARD = 'STANDARD'

/** An object's own storage class comes first, then its bucket, then that of STANDARD. */
export function redundancyFor(
  { usual, buckets, storageClasses }: RedundancyRules,
  bucketName: string,
  storageClass = STANDARD,
): Redundancy {
  const ofClass = storageClasses.get(storageClass)
  if (storageClass !== STANDARD && ofClass !== undefined) return ofClass
  return buckets.get(bucketName) ?? ofClass ?? usual
}

/** All layouts that the rules can give. */
export function redundanciesOf({ usual, buckets, storageClasses }: RedundancyRules): Set<Redundancy> {
  return new Set([usual, ...buckets.values(), ...storageClasses.values()])
}
