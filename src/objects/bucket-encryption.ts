/** What a bucket says of encryption: the way for new objects that ask for none, and ways that it does not take. */
import { StoreError } from '../base/errors.ts'
import type { Bucket, PutObject } from './object-store.ts'

export const ENCRYPTION_ALGORITHMS = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const

/** The bucket's `encryption` document, which is kept as JSON of this. */
export interface BucketEncryption {
  /** Of objects that ask for nothing else. */
  algorithm?: (typeof ENCRYPTION_ALGORITHMS)[number]
  kmsKeyId?: string
  bucketKey?: boolean
  /** Nothing new is encrypted with keys that only clients have. */
  blocksCustomerKeys?: boolean
}

/** Undefined: it says nothing. */
export function bucketEncryption(bucket: Bucket): BucketEncryption | undefined {
  const text = bucket.configs.get('encryption')
  return text === undefined ? undefined : (JSON.parse(text) as BucketEncryption)
}

/**
 * How a new object of the bucket is encrypted. Throws `forbidden` where the bucket does not take that, and `unsupported` where it asks
 * for a key management service.
 */
export function encryptionOf(bucket: Bucket, asked: PutObject['encryption']): PutObject['encryption'] {
  const rules = bucketEncryption(bucket)
  if (rules === undefined) return asked
  if (asked !== undefined) {
    if ('customerKey' in asked && rules.blocksCustomerKeys)
      throw new StoreError('forbidden', "the bucket takes no objects that are encrypted with clients' keys")
    return asked
  }
  if (rules.algorithm === undefined) return undefined
  if (rules.algorithm !== 'AES256')
    throw new StoreError('unsupported', 'the bucket asks for a key management service, and there is none')
  return { managed: true }
}
