/** From the settings of redundancy to what the object layer goes by. */
import { isRedundancy, type Redundancy } from '../base/redundancy.ts'
import type { RedundancyRules } from '../objects/redundancy-rules.ts'
import { OBJECTS_BUCKET } from '../protocols/objects/stored-objects.ts'
import type { Config } from './config.ts'
import { UsageError } from './usage-error.ts'

export type RedundancyConfig = Config<'redundancy' | 'bucketRedundancy' | 'storageClass'>

/** Throws `UsageError` when something is named twice. */
export function redundancyRules(config: RedundancyConfig): RedundancyRules {
  const buckets = mapOf(config.bucketRedundancy, '--bucket-redundancy')
  // Objects with versions are coded unless somebody says otherwise.
  if (!buckets.has(OBJECTS_BUCKET)) buckets.set(OBJECTS_BUCKET, 'rs-4-2')
  return {
    usual: config.redundancy,
    buckets,
    storageClasses: mapOf(config.storageClass, '--storage-class'),
  }
}

function mapOf(entries: readonly string[], flag: string): Map<string, Redundancy> {
  const found = new Map<string, Redundancy>()
  for (const entry of entries) {
    const at = entry.lastIndexOf('=')
    const [name, redundancy] = [entry.slice(0, at), entry.slice(at + 1)]
    if (!isRedundancy(redundancy) || found.has(name)) throw new UsageError(`${flag} names ${name} twice`)
    found.set(name, redundancy)
  }
  return found
}
