/** Errors on the cluster's wire: the status is for people and proxies, the code in the body for the other side. */
import type { ErrorCode } from '../base/errors.ts'

/** HTTP status of each error code on the cluster's wire. */
export const CLUSTER_STATUS = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  cookie_mismatch: 409,
  volume_not_found: 404,
  volume_exists: 409,
  collection_not_found: 404,
  read_only: 409,
  volume_full: 409,
  no_writable_volume: 409,
  disk_full: 507,
  index_full: 507,
  too_large: 413,
  too_many_requests: 429,
  corrupt: 500,
  io_error: 500,
  in_use: 409,
  unsupported: 426,
  conflict: 409,
  unavailable: 503,
  timeout: 504,
  internal: 500,
} as const satisfies Record<ErrorCode, number>
