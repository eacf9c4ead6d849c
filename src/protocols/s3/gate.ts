/** What the front door asks of identities and policies; `src/iam` and `auth/` stand behind it. */
import type { Bucket, ObjectBody, ObjectInfo } from '../../objects/object-store.ts'
import type { RequestBody } from './request-body.ts'
import type { S3Request } from './s3-request.ts'

/** Whoever owns buckets and objects. */
export interface Account {
  id: string
  displayName: string
}

/** Who asks. */
export interface Caller {
  /** Undefined: nobody that we know. */
  account: Account | undefined
}

/** What the caller wants to do, and to what. */
export interface Question {
  /** As IAM names it, with `s3:`. */
  action: string
  /** '' for the service itself. */
  bucketName: string
  /** Undefined for the service, and for a bucket that is not there yet. */
  bucket: Bucket | undefined
  /** '' for the bucket itself. */
  key: string
  request: S3Request
  /** What is there, for its ACL, owner and tags, where it is known already. */
  object?: ObjectInfo
}

export interface Authenticated<C extends Caller = Caller> {
  caller: C
  /**
   * The body as the client meant it: chunk framing removed, signatures and announced digests verified no later than with
   * the last byte, and lengths as announced. Small bodies that are here are given whole, and verified.
   */
  open(body: RequestBody): ObjectBody
}

export interface Gate<C extends Caller = Caller> {
  /** Default deny: throws S3Error for credentials that are wrong in any way; none at all are an anonymous caller. */
  authenticate(request: S3Request): Authenticated<C> | Promise<Authenticated<C>>
  allows(caller: C, question: Question): boolean | Promise<boolean>
  /** For owners in listings. */
  account(id: string): Account | undefined
}
