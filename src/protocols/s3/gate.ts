/** What the front door asks about its callers: who they are, and what they may. */
import type { Identities, Principal } from '../../iam/identities.ts'
import type { Bucket, ObjectBody, ObjectInfo, ObjectLock, Tag } from '../../objects/object-store.ts'
import type { FormFields, SignedForm } from './auth/post-policy.ts'
import type { RequestBody } from './request-body.ts'
import type { S3Request } from './s3-request.ts'

/** What conditions of policies ask about and is neither header nor parameter: it stands in a document, a form, or a copy's source. */
export interface Told {
  versionId?: string | undefined
  tags?: readonly Tag[]
  lock?: Readonly<ObjectLock>
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
  /** What is there, for its ACL, owner and tags. */
  object?: ObjectInfo
  told?: Told
}

/** A request whose caller is known. */
export interface Authenticated {
  principal: Principal
  /**
   * The body as the client meant it: chunk framing removed, signatures and announced digests verified no later than with
   * the last byte, and lengths as announced. Small bodies that are here are given whole, and verified.
   */
  open(body: RequestBody): OpenedBody
}

/** What the client meant to send. */
export interface OpenedBody extends ObjectBody {
  /**
   * Headers that came behind the bytes, by name in lower case; only names that were announced, and known only after the
   * last byte. Where the body is whole here they are known at once. Whether the checksums in them are right is for the
   * receiver to say, who computes them anyway.
   */
  trailer?(name: string): string | undefined
  /** The announced digest of a body that is still on its way, in hex. Whether it is right is for the receiver to say, too. */
  sha256?: string
}

/** A form whose signer is known and whose policy holds. */
export type AuthenticatedForm = Authenticated & Pick<SignedForm, 'key' | 'fields' | 'lengthRange'>

export interface Gate {
  readonly identities: Identities
  /** Default deny: throws S3Error for credentials that are wrong in any way; none at all are an anonymous caller. */
  authenticate(request: S3Request): Authenticated | Promise<Authenticated>
  /** Of a form that is posted to a bucket. Throws S3Error for one that is not what was signed. */
  authenticateForm(form: FormFields): AuthenticatedForm
  allows(authenticated: Authenticated, question: Question): boolean
}
