/** Names of buckets: those that S3 allows, which are also names of hosts. */
import { StoreError } from '../base/errors.ts'

const SHAPE = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const ADDRESS = /^\d+\.\d+\.\d+\.\d+$/
const PREFIXES_KEPT = ['xn--', 'sthree-', 'amzn-s3-demo-']
const SUFFIXES_KEPT = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3']

export function isBucketName(name: string): boolean {
  if (!SHAPE.test(name) || ADDRESS.test(name) || /\.[.-]|-\./.test(name)) return false
  return (
    !PREFIXES_KEPT.some((each) => name.startsWith(each)) && !SUFFIXES_KEPT.some((each) => name.endsWith(each))
  )
}

/** Throws `bad_request`. */
export function checkBucketName(name: string): void {
  if (!isBucketName(name))
    throw new StoreError('bad_request', 'a bucket name has 3 to 63 of a-z, 0-9, . and -')
}
