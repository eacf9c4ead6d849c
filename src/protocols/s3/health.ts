/**
 * Whether the door lives and whether it can serve, for load balancers, which carry no credentials: at the paths that other
 * S3 servers have for it. They would be keys of a bucket too; where there is a bucket of that name, they are.
 */
import type { Outcome } from '../../net/reply.ts'
import type { ObjectStore } from '../../objects/object-store.ts'
import type { S3Request } from './s3-request.ts'

/** Whether one asks more than that the process answers. */
const ASKS_READY: ReadonlyMap<string, boolean> = new Map([
  ['/healthz', true],
  ['/minio/health/live', false],
  ['/minio/health/ready', true],
  ['/minio/health/cluster', true],
  ['/minio/health/cluster/read', true],
])

export function isHealthCheck({ method, rawPath, isVirtualHost }: S3Request): boolean {
  return (method === 'GET' || method === 'HEAD') && !isVirtualHost && ASKS_READY.has(rawPath)
}

/** Undefined: the path is one of a bucket that is there. */
export async function healthOf(request: S3Request, objects: ObjectStore): Promise<Outcome | undefined> {
  let status = 200
  try {
    // Names that cannot be read cannot be served.
    if ((await objects.bucket(request.bucket)) !== undefined) return undefined
  } catch {
    if (ASKS_READY.get(request.rawPath)) status = 503
  }
  return { status, headers: [], body: undefined }
}
