/**
 * The gate of the S3 front door on identities and policies: proves who asks, reads what a bucket says of who may use it,
 * and asks the one place that decides.
 */
import type { Clock } from '../../base/clock.ts'
import { parseAcl } from '../../iam/acl.ts'
import { authorize } from '../../iam/authorize.ts'
import type { Identities } from '../../iam/identities.ts'
import type { PolicyContext } from '../../iam/policy.ts'
import { type Authentication, Authenticator } from './auth/authenticate.ts'
import { openPayload } from './auth/open-payload.ts'
import { UNSIGNED } from './auth/payload.ts'
import { policyContext } from './auth/policy-context.ts'
import type { FormFields, LengthRange } from './auth/post-policy.ts'
import { BucketCache } from './bucket-cache.ts'
import { rulesOf } from './bucket-rules.ts'
import type { Authenticated, AuthenticatedForm, Gate, OpenedBody, Question } from './gate.ts'
import type { RequestBody } from './request-body.ts'
import type { S3Request } from './s3-request.ts'

export interface IamGateOptions {
  identities: Identities
  region: string
  clock: Clock
  /** Signatures of version 2 are taken too. */
  allowsV2: boolean
}

/** A request whose caller is known, and how. */
class Proven implements Authenticated {
  readonly authentication: Authentication

  constructor(authentication: Authentication) {
    this.authentication = authentication
  }

  get principal() {
    return this.authentication.principal
  }

  open(body: RequestBody): OpenedBody {
    return openPayload(body, this.authentication.payload)
  }
}

class ProvenForm extends Proven implements AuthenticatedForm {
  readonly key: string
  readonly fields: ReadonlyMap<string, string>
  readonly lengthRange: LengthRange | undefined

  constructor(
    form: Pick<AuthenticatedForm, 'key' | 'fields' | 'lengthRange'> & { authentication: Authentication },
  ) {
    super(form.authentication)
    this.key = form.key
    this.fields = form.fields
    this.lengthRange = form.lengthRange
  }
}

export class IamGate implements Gate {
  readonly identities: Identities
  readonly #clock: Clock
  readonly #region: string
  readonly #authenticator: Authenticator
  readonly #rules = new BucketCache(rulesOf)

  constructor(options: IamGateOptions) {
    this.identities = options.identities
    this.#clock = options.clock
    this.#region = options.region
    this.#authenticator = new Authenticator(options)
  }

  authenticate(request: S3Request): Authenticated {
    return new Proven(this.#authenticator.authenticate(request))
  }

  authenticateForm(form: FormFields): AuthenticatedForm {
    const { principal, mechanism, key, fields, lengthRange } = this.#authenticator.authenticateForm(form)
    // A form has in its fields what others have in headers, but for `If-Match` and the like, which it has nowhere.
    const view = {
      header: (name: string) => {
        if (name.startsWith('if-')) return undefined
        return fields.get(name) ?? (name === 'x-amz-acl' ? fields.get('acl') : undefined)
      },
    }
    return new ProvenForm({
      authentication: { principal, mechanism, payload: UNSIGNED, signedMs: undefined, view },
      key,
      fields,
      lengthRange,
    })
  }

  allows(authenticated: Authenticated, question: Question): boolean {
    const { action, bucketName, bucket, key, request, object, told = {} } = question
    const { authentication } = authenticated as Proven
    let context: PolicyContext | undefined
    return authorize({
      principal: authenticated.principal,
      action,
      bucket: bucket === undefined ? undefined : this.#rules.of(bucket),
      newBucket: bucket === undefined && bucketName !== '' ? bucketName : undefined,
      key: key === '' ? undefined : key,
      object:
        object === undefined
          ? undefined
          : {
              owner: object.attributes.owner,
              acl: object.attributes.acl === undefined ? undefined : parseAcl(object.attributes.acl),
            },
      context: () => {
        context ??= policyContext({
          ...{ request, authentication, object, told, region: this.#region, nowMs: this.#clock.nowMs() },
          bucketOwner: bucket?.owner,
        })
        return context
      },
    })
  }
}
