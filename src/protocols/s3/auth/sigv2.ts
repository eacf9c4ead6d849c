/**
 * AWS Signature Version 2, which old clients still send: in the header, in the query, and over the policy of a form.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
 */
import { createHmac } from 'node:crypto'
import type { Clock } from '../../../base/clock.ts'
import type { AccessKey, Identities } from '../../../iam/identities.ts'
import { ROUTES } from '../routes.ts'
import { S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import type { Headers } from './canonical.ts'
import { assertNotExpired, assertNow, invalidDate, parseRequestDate } from './dates.ts'
import { payloadOf } from './payload.ts'
import { isSameText, refuseToken, type SignedRequest, wrongSignature } from './sigv4.ts'

/** Parameters that say what is asked for, and so are signed. The list of the clients that sign this way. */
const SIGNED_PARAMS = new Set(
  `accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location logging metrics notification
  object-lock partNumber policy replication requestPayment response-cache-control response-content-disposition
  response-content-encoding response-content-language response-content-type response-expires restore select
  select-type storageClass tagging torrent uploadId uploads versionId versioning versions website`.split(
    /\s+/,
  ),
)

/** Parameters that make another operation of a request, or one on another thing. */
const ACTING_PARAMS = new Set([...ROUTES.map(({ sub }) => sub), 'versionId', 'partNumber'])

export class SigV2 {
  readonly #identities: Identities
  readonly #clock: Clock

  constructor({ identities, clock }: { identities: Identities; clock: Clock }) {
    this.#identities = identities
    this.#clock = clock
  }

  /** `authorization`: `AWS <key>:<signature>`. */
  verifyHeader(request: S3Request, headers: Headers, authorization: string): SignedRequest {
    const match = /^AWS ([^\s:]{1,128}):([A-Za-z0-9+/=]{1,64})$/.exec(authorization)
    if (match === null)
      throw new S3Error(
        'InvalidArgument',
        'AWS authorization header is invalid.  Expected AwsAccessKeyId:signature',
        {
          extra: { ArgumentName: 'Authorization', ArgumentValue: authorization },
        },
      )
    const amzDate = headers.get('x-amz-date')
    const text = amzDate ?? headers.get('date')
    const signedMs = text === undefined ? undefined : parseRequestDate(text)
    if (text === undefined || signedMs === undefined || signedMs < 0) throw invalidDate()
    assertNow(signedMs, this.#clock.nowMs(), text)
    refuseToken(headers.get('x-amz-security-token'))
    const stringsToSign = stringsToSignOf(request, headers, amzDate === undefined ? text : '')
    const accessKey = this.#check({ name: match[1]!, signature: match[2]!, stringsToSign })
    refuseMerged(request)
    return {
      accessKey,
      payload: payloadOf(headers.get('x-amz-content-sha256'), headers, undefined),
      signedMs,
    }
  }

  verifyQuery(request: S3Request, headers: Headers): SignedRequest {
    const [name, signature, expires] = ['AWSAccessKeyId', 'Signature', 'Expires'].map((each) =>
      single(request, each),
    )
    if (!name || !signature || !expires)
      throw new S3Error(
        'AccessDenied',
        'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters',
      )
    if (!/^[0-9]{1,12}$/.test(expires))
      throw new S3Error('AccessDenied', `Invalid date (should be seconds since epoch): ${expires}`)
    const nowMs = this.#clock.nowMs()
    assertNotExpired(Number(expires) * 1_000, nowMs)
    refuseToken(request.param('x-amz-security-token') ?? headers.get('x-amz-security-token'))
    const stringsToSign = stringsToSignOf(request, headers, expires)
    const accessKey = this.#check({ name, signature, stringsToSign })
    refuseMerged(request)
    refuseUnsigned(request)
    const payload = payloadOf(headers.get('x-amz-content-sha256'), headers, undefined)
    return { accessKey, payload, signedMs: nowMs }
  }

  /** A form whose policy is signed. `policy`: its text in base64. */
  verifyForm(fields: { accessKey: string; signature: string; policy: string }): AccessKey {
    return this.#check({
      name: fields.accessKey,
      signature: fields.signature,
      stringsToSign: [fields.policy],
    })
  }

  /** An unknown key costs the same work as a known one with a wrong signature. Of several texts one must be signed. */
  #check(claim: { name: string; signature: string; stringsToSign: readonly string[] }): AccessKey {
    const { name, signature, stringsToSign } = claim
    const known = this.#identities.accessKey(name)
    const { secretKey } = known ?? this.#identities.decoy
    let isRight = false
    for (const text of stringsToSign) {
      const expected = createHmac('sha1', secretKey).update(text, 'latin1').digest('base64')
      if (isSameText(expected, signature)) isRight = true
    }
    if (known === undefined)
      throw new S3Error('InvalidAccessKeyId', undefined, { extra: { AWSAccessKeyId: name } })
    if (!isRight) throw wrongSignature({ accessKey: name, signature, stringToSign: stringsToSign[0]! })
    return known
  }
}

/** Undefined where it is missing or there twice. */
function single({ params }: S3Request, name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i < params.length; i += 2) {
    if (params[i] !== name) continue
    if (found !== undefined) return undefined
    found = params[i + 1]
  }
  return found
}

/**
 * Usually one. Clients disagree on whether a slash behind a bucket is signed, and an equals sign behind the name of a
 * parameter without a value; where a request has these, each way counts.
 */
function stringsToSignOf(request: S3Request, headers: Headers, date: string): string[] {
  const head = [
    request.method,
    headers.get('content-md5') ?? '',
    headers.get('content-type') ?? '',
    date,
  ].join('\n')
  const names = [...headers.keys()].filter((name) => name.startsWith('x-amz-')).sort()
  const amz = names.map((name) => `${name}:${headers.get(name)}\n`).join('')
  const path = request.isVirtualHost ? `/${request.bucket}${request.rawPath}` : request.rawPath
  const params = signedParamsOf(request)
  const bare = params.replaceAll(/=(?=&|$)/g, '')
  const paths = request.key === '' && !path.endsWith('/') ? [path, `${path}/`] : [path]
  const queries = bare === params ? [params] : [params, bare]
  return paths.flatMap((each) => queries.map((query) => `${head}\n${amz}${each}${query}`))
}

/** With a question mark before them, or nothing. Names count as the router reads them: decoded. */
function signedParamsOf(request: S3Request): string {
  const signed: [name: string, text: string][] = []
  for (const pair of request.rawQuery.split('&')) {
    const equals = pair.indexOf('=')
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals))
    if (!SIGNED_PARAMS.has(name)) continue
    signed.push([name, equals < 0 ? name : `${name}=${decoded(pair.slice(equals + 1))}`])
  }
  if (signed.length === 0) return ''
  signed.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0))
  return `?${signed.map(([, text]) => text).join('&')}`
}

/** Whoever holds a link must not make another one of it. Clients that sign headers leave out newer names, and may. */
function refuseUnsigned({ params }: S3Request): void {
  for (let i = 0; i < params.length; i += 2) {
    const name = params[i]!
    if (SIGNED_PARAMS.has(name) || !(ACTING_PARAMS.has(name) || name.startsWith('response-'))) continue
    const message = 'There were parameters present in the request which were not signed'
    throw new S3Error('AccessDenied', message, { extra: { ParametersNotSigned: name } })
  }
}

/** Values are signed decoded, so a parameter that is hidden in the value of another is signed the same as beside it. */
function refuseMerged({ params }: S3Request): void {
  for (let i = 0; i < params.length; i += 2) {
    if (!SIGNED_PARAMS.has(params[i]!)) continue
    const [, ...inside] = params[i + 1]!.split('&')
    if (inside.some((each) => SIGNED_PARAMS.has(each.split('=', 1)[0]!)))
      throw new S3Error('AccessDenied', 'A parameter of the request has another one in its value')
  }
}

/** As bytes, for values are signed decoded. */
function decoded(raw: string): string {
  return raw
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
