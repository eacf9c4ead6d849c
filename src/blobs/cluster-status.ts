/** Errors on the cluster's wire: the status is for people and proxies, the code in the body for the other side. */
import type { ErrorCode } from '../base/errors.ts'
import { USUAL_STATUS } from '../net/error-status.ts'

/** HTTP status of each error code on the cluster's wire. */
export const CLUSTER_STATUS = {
  ...USUAL_STATUS,
  unsupported: 426,
} as const satisfies Record<ErrorCode, number>
