/**
 * Who asks? Every request comes through here before it is routed; what is not proven is refused, and what claims nothing
 * is anonymous, for whom the same gate decides as for everyone.
 */
import type { Clock } from '../../../base/clock.ts'
import { ANONYMOUS, type Identities, type Principal } from '../../../iam/identities.ts'
import type { HeaderView } from '../header-values.ts'
import { S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { type Headers, headersOf } from './canonical.ts'
import { unsupportedMechanism } from './mechanism.ts'
import { type Payload, payloadOf } from './payload.ts'
import { type FormFields, type SignedForm, verifyPostForm } from './post-policy.ts'
import { SigV2 } from './sigv2.ts'
import { ALGORITHM, type SignedRequest, SigV4 } from './sigv4.ts'

export type Mechanism =
  | 'anonymous'
  | 'v4-header'
  | 'v4-query'
  | 'v4-form'
  | 'v2-header'
  | 'v2-query'
  | 'v2-form'

export interface Authentication {
  principal: Principal
  mechanism: Mechanism
  payload: Payload
  /** When it was signed; for conditions of policies. */
  signedMs: number | undefined
  /** Where conditions of policies read headers: the same that actions read. */
  view: Pick<HeaderView, 'header'>
}

export interface AuthenticatorOptions {
  identities: Identities
  /** The one that scopes must name. */
  region: string
  clock: Clock
  /** Signatures of version 2 are taken too. */
  allowsV2: boolean
}

/** Parameters that only signed requests have. */
const V4_PARAMS = ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature']
const V2_PARAMS = ['AWSAccessKeyId', 'Signature']

export class Authenticator {
  readonly #v4: SigV4
  readonly #v2: SigV2 | undefined
  readonly #clock: Clock

  constructor(options: AuthenticatorOptions) {
    this.#v4 = new SigV4(options)
    this.#v2 = options.allowsV2 ? new SigV2(options) : undefined
    this.#clock = options.clock
  }

  /** Throws S3Error for credentials that are wrong in any way. */
  authenticate(request: S3Request): Authentication {
    const headers = headersOf(request.sentHeaders)
    const authorization = headers.get('authorization')
    if (authorization === '') throw new S3Error('AccessDenied')
    const hasV4Query = hasAny(request, V4_PARAMS)
    const hasV2Query = hasAny(request, V2_PARAMS)
    const claims = [authorization !== undefined, hasV4Query, hasV2Query].filter(Boolean).length
    if (claims > 1 || (authorization !== undefined && countOf(request.sentHeaders, 'authorization') > 1))
      throw severalClaims(authorization ?? '')
    if (authorization !== undefined) return this.#byHeader(request, headers, authorization)
    if (hasV4Query) return made('v4-query', request, this.#v4.verifyQuery(request, headers))
    if (hasV2Query) return made('v2-query', request, this.#assertV2().verifyQuery(request, headers))
    const payload = payloadOf(headers.get('x-amz-content-sha256'), headers, undefined)
    return { principal: ANONYMOUS, mechanism: 'anonymous', payload, signedMs: undefined, view: request }
  }

  /** Of a form that is posted to a bucket: who signed its policy, and whether the form keeps to it. */
  authenticateForm(fields: FormFields): SignedForm {
    return verifyPostForm(fields, { v4: this.#v4, v2: this.#v2, nowMs: this.#clock.nowMs() })
  }

  #byHeader(request: S3Request, headers: Headers, authorization: string): Authentication {
    if (authorization.startsWith(`${ALGORITHM} `))
      return made('v4-header', request, this.#v4.verifyHeader(request, headers, authorization))
    if (authorization.startsWith('AWS ')) {
      return made('v2-header', request, this.#assertV2().verifyHeader(request, headers, authorization))
    }
    const extra = { ArgumentName: 'Authorization', ArgumentValue: authorization }
    if (!authorization.includes(' '))
      throw new S3Error(
        'InvalidArgument',
        "Authorization header is invalid -- one and only one ' ' (space) required.",
        { extra },
      )
    if (authorization.startsWith('AWS4-')) throw unsupportedMechanism()
    throw new S3Error('InvalidArgument', 'Unsupported Authorization Type', { extra })
  }

  #assertV2(): SigV2 {
    if (this.#v2 === undefined) throw unsupportedMechanism()
    return this.#v2
  }
}

function made(mechanism: Mechanism, view: S3Request, signed: SignedRequest): Authentication {
  const { accessKey, payload, signedMs } = signed
  const principal = { account: accessKey.account, accessKey: accessKey.accessKey }
  return { principal, mechanism, payload, signedMs, view }
}

function hasAny({ params }: S3Request, names: readonly string[]): boolean {
  for (let i = 0; i < params.length; i += 2) if (names.includes(params[i]!)) return true
  return false
}

function countOf(rawHeaders: readonly string[], lowerName: string): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === lowerName) count++
  return count
}

function severalClaims(authorization: string): S3Error {
  return new S3Error(
    'InvalidArgument',
    'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
    { extra: { ArgumentName: 'Authorization', ArgumentValue: authorization } },
  )
}
