/** The address of an object, as clients are told it. */
import type { S3Request } from './s3-request.ts'
import { encodeUrl } from './xml-writer.ts'

export function locationOf(request: S3Request, bucket: string, key: string): string {
  const origin = `${request.isTls ? 'https' : 'http'}://${request.header('host') ?? ''}`
  return request.isVirtualHost ? `${origin}/${encodeUrl(key)}` : `${origin}/${bucket}/${encodeUrl(key)}`
}
