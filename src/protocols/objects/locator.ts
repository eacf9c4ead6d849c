/** Where bytes are: what this door must be told, because it knows nothing of volumes. */
import type { Bucket } from '../../objects/object-store.ts'

/** `host:port` of the server that has the bytes; of coded ones that of each shard that is there, by its index. */
export type Location = string | Readonly<Record<number, string>>

export interface ObjectLocator {
  /** Of the bytes with a hash. Undefined: they are nowhere, or there are too few shards to read them. */
  locate(bucket: Bucket, sha256: Buffer): Promise<Location | undefined>
}
