/**
 * Documents that this version does not act on. It would be a lie to store them; so setting one is NotImplemented, getting
 * one says that there is none, and removing one succeeds.
 */
import { emptyOutcome, xmlOutcome } from '../replies.ts'
import type { Action } from '../s3-context.ts'
import { S3Error, type S3ErrorCode } from '../s3-error.ts'
import { tag } from '../xml-writer.ts'

export function absent(code: S3ErrorCode): Action {
  return () => {
    throw new S3Error(code)
  }
}

export const removeAbsent: Action = () => emptyOutcome(204)

/** The list of documents that a bucket may have many of: it has none. */
export function noneOf(root: string): Action {
  return () => xmlOutcome(root, tag('IsTruncated', false))
}
