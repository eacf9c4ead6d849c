/** RestoreObject: nothing is ever archived here, whatever its storage class says, so there is nothing to restore. */
import { S3Error } from '../s3-error.ts'

export function restoreObject(): never {
  throw new S3Error('InvalidObjectState', "Restore is not allowed for the object's current storage class")
}
