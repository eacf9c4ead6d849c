/** GetObjectTorrent: there are no torrents, which is said as of a key that is not there. */
import { S3Error } from '../s3-error.ts'

export function getObjectTorrent(): never {
  throw new S3Error('NoSuchKey')
}
