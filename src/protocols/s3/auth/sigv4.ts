/**
 * AWS Signature Version 4 as S3 takes it: in the Authorization header, in the query of a presigned link, and over the
 * policy of a form. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */
import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../../base/clock.ts'
import { PRESIGNED_S_MAX } from '../../../base/limits.ts'
import type { AccessKey, Identities } from '../../../iam/identities.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { S3Request } from '../s3-request.ts'
import { canonicalPath, canonicalQuery, canonicalRequest, type Headers } from './canonical.ts'
import {
  assertSameDay,
  type Credential,
  formFault,
  HEADER_FAULT,
  parseCredential,
  parseSignedHeaders,
  QUERY_FAULT,
} from './credential.ts'
import {
  assertNotExpired,
  assertNow,
  formatAmzDate,
  invalidDate,
  parseAmzDate,
  parseRequestDate,
} from './dates.ts'
import { SigningKeys, sha256Hex } from './hmac.ts'
import { assertPayloadValue, type ChunkChain, type Payload, payloadOf, UNSIGNED_PAYLOAD } from './payload.ts'

export const ALGORITHM = 'AWS4-HMAC-SHA256'

export interface SigV4Options {
  identities: Identities
  region: string
  clock: Clock
}

export interface SignedRequest {
  accessKey: AccessKey
  payload: Payload
  signedMs: number
}

/** What is signed, and what the client says that it is. */
interface Claim {
  credential: Credential
  amzDate: string
  signature: string
  stringToSign: string
  /** For the error document; forms have none. */
  canonical?: string
  /** What a client that is known to sign something else may have signed instead. */
  orElse?: (() => string) | undefined
}

export class SigV4 {
  readonly #identities: Identities
  readonly #region: string
  readonly #clock: Clock
  readonly #keys = new SigningKeys()
  readonly #credential = new LastRead((text) => parseCredential(text, this.#region, HEADER_FAULT))
  readonly #signedNames = new LastRead((text) => parseSignedHeaders(text, malformedSignedHeaders))
  readonly #requestMs = new LastRead(parseRequestDate)

  constructor(options: SigV4Options) {
    this.#identities = options.identities
    this.#region = options.region
    this.#clock = options.clock
  }

  /** `authorization`: the header, which begins with the algorithm. */
  verifyHeader(request: S3Request, headers: Headers, authorization: string): SignedRequest {
    const given = parseAuthorization(authorization)
    const credential = this.#credential.of(given.credential)
    const names = this.#signedNames.of(given.signedHeaders)
    const payload = headers.get('x-amz-content-sha256')
    if (payload === undefined)
      throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
    assertPayloadValue(payload)
    const { amzDate, ms, text } = this.#dateOf(headers)
    assertSameDay(credential, amzDate, HEADER_FAULT)
    assertNow(ms, this.#clock.nowMs(), text)
    refuseToken(headers.get('x-amz-security-token'))
    assertAllSigned(headers, names)
    const claim = {
      credential,
      amzDate,
      signature: given.signature,
      signedHeaders: given.signedHeaders,
      names,
    }
    return this.#verify(request, headers, { ...claim, query: canonicalQuery(request.rawQuery), payload, ms })
  }

  /** A presigned link: all is in the query. */
  verifyQuery(request: S3Request, headers: Headers): SignedRequest {
    const params = queryParams(request)
    if (params.get('X-Amz-Algorithm') !== ALGORITHM)
      throw queryError('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"')
    const credential = parseCredential(params.get('X-Amz-Credential')!, this.#region, QUERY_FAULT)
    const amzDate = params.get('X-Amz-Date')!
    const ms = parseAmzDate(amzDate)
    if (ms === undefined)
      throw queryError("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    assertSameDay(credential, amzDate, queryError)
    this.#assertLinkIsGood(ms, params.get('X-Amz-Expires')!)
    refuseToken(params.get('X-Amz-Security-Token') ?? headers.get('x-amz-security-token'))
    const signedHeaders = params.get('X-Amz-SignedHeaders')!
    const names = parseSignedHeaders(signedHeaders, () => queryError('X-Amz-SignedHeaders is malformed.'))
    assertAllSigned(headers, names)
    const payload = payloadValueOfQuery(params, headers)
    const claim = { credential, amzDate, signature: params.get('X-Amz-Signature')!, signedHeaders, names }
    const query = canonicalQuery(request.rawQuery, 'X-Amz-Signature')
    return this.#verify(request, headers, { ...claim, query, payload, ms })
  }

  /** A form whose policy is signed. `policy`: its text in base64. */
  verifyForm(fields: {
    algorithm: string
    credential: string
    date: string
    signature: string
    policy: string
  }): AccessKey {
    if (fields.algorithm !== ALGORITHM)
      throw invalidArgument(`Only ${ALGORITHM} is supported`, 'X-Amz-Algorithm', fields.algorithm)
    const fault = formFault(fields.credential)
    const credential = parseCredential(fields.credential, this.#region, fault)
    if (parseAmzDate(fields.date) === undefined)
      throw invalidArgument('X-Amz-Date must be formated via ISO8601 Long format', 'X-Amz-Date', fields.date)
    assertSameDay(credential, fields.date, fault)
    const { signature, policy } = fields
    return this.#check({ credential, amzDate: fields.date, signature, stringToSign: policy })
  }

  #assertLinkIsGood(signedMs: number, expires: string): void {
    if (!/^-?[0-9]{1,18}$/.test(expires)) throw queryError('X-Amz-Expires should be a number')
    const seconds = Number(expires)
    if (seconds < 0) throw queryError('X-Amz-Expires must be non-negative')
    if (seconds > PRESIGNED_S_MAX)
      throw queryError(
        `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${PRESIGNED_S_MAX} seconds`,
      )
    const nowMs = this.#clock.nowMs()
    if (signedMs > nowMs) {
      try {
        assertNow(signedMs, nowMs, formatAmzDate(signedMs))
      } catch {
        throw new S3Error('AccessDenied', 'Request is not valid yet')
      }
    }
    // A link that is good for no time is over, whatever the clocks say.
    assertNotExpired(seconds === 0 ? Math.min(signedMs, nowMs) : signedMs + seconds * 1_000, nowMs, expires)
  }

  #dateOf(headers: Headers): { amzDate: string; ms: number; text: string } {
    const text = headers.get('x-amz-date') ?? headers.get('date')
    if (text === undefined) throw invalidDate()
    const ms = this.#requestMs.of(text)
    if (ms === undefined) throw invalidDate()
    return { amzDate: formatIfNeeded(text, ms), ms, text }
  }

  #verify(
    request: S3Request,
    headers: Headers,
    claim: {
      credential: Credential
      amzDate: string
      ms: number
      signature: string
      signedHeaders: string
      names: readonly string[]
      query: string
      payload: string
    },
  ): SignedRequest {
    const { credential, amzDate, signature, signedHeaders, names, query, payload } = claim
    const path = canonicalPath(request.rawPath)
    const { method } = request
    const parts = { method, path, query, headers, signedNames: names, signedHeaders, payload }
    const canonical = canonicalRequest(parts)
    const textOf = (form: string) => `${ALGORITHM}\n${amzDate}\n${credential.scope}\n${sha256Hex(form)}`
    const stringToSign = textOf(canonical)
    const isHeader = headers.has('authorization')
    // s3cmd signs a host that its settings write as `http://host/` with the slash, which it does not send.
    const orElse = isHeader
      ? () => textOf(canonicalRequest({ ...parts, headers: withHostSlash(headers) }))
      : undefined
    const accessKey = this.#check({ credential, amzDate, signature, stringToSign, canonical, orElse })
    const chain = isHeader ? this.#chain(accessKey, claim) : undefined
    return { accessKey, payload: payloadOf(payload, headers, chain), signedMs: claim.ms }
  }

  #chain(
    accessKey: AccessKey,
    { credential, amzDate, signature }: { credential: Credential; amzDate: string; signature: string },
  ): ChunkChain {
    const key = this.#keys.get(accessKey, credential)
    return { key, amzDate, scope: credential.scope, seed: signature, accessKey: accessKey.accessKey }
  }

  /** An unknown key costs the same work as a known one with a wrong signature. */
  #check({ credential, signature, stringToSign, canonical, orElse }: Claim): AccessKey {
    const known = this.#identities.accessKey(credential.accessKey)
    const accessKey = known ?? this.#identities.decoy
    const key = this.#keys.get(accessKey, credential)
    const isRight =
      isSameText(key.signHex(stringToSign), signature) ||
      (orElse !== undefined && isSameText(key.signHex(orElse()), signature))
    if (known === undefined)
      throw new S3Error('InvalidAccessKeyId', undefined, { extra: { AWSAccessKeyId: credential.accessKey } })
    if (!isRight)
      throw wrongSignature({
        accessKey: credential.accessKey,
        signature,
        stringToSign,
        ...(canonical === undefined ? {} : { canonical }),
      })
    return known
  }
}

function withHostSlash(headers: Headers): Headers {
  return new Map(headers).set('host', `${headers.get('host')}/`)
}

/** In a time that depends on nothing but the lengths. */
export function isSameText(expected: string, given: string): boolean {
  const wanted = Buffer.from(expected, 'latin1')
  const bytes = Buffer.from(given, 'latin1')
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted)
}

export function wrongSignature(facts: {
  accessKey: string
  signature: string
  stringToSign: string
  canonical?: string
}): S3Error {
  const { accessKey, signature, stringToSign, canonical } = facts
  return new S3Error('SignatureDoesNotMatch', undefined, {
    extra: {
      AWSAccessKeyId: accessKey,
      StringToSign: stringToSign,
      SignatureProvided: signature,
      StringToSignBytes: hexBytes(stringToSign),
      ...(canonical === undefined
        ? {}
        : { CanonicalRequest: canonical, CanonicalRequestBytes: hexBytes(canonical) }),
    },
  })
}

function hexBytes(text: string): string {
  return Buffer.from(text, 'latin1')
    .toString('hex')
    .replace(/(..)(?=.)/g, '$1 ')
}

const malformedSignedHeaders = () => HEADER_FAULT('the authorization component "SignedHeaders" is malformed.')

/** Clients repeat most of what they say of a signature word for word: what was read last is not read again. */
class LastRead<T> {
  readonly #read: (text: string) => T
  #last: { text: string; value: T } | undefined

  constructor(read: (text: string) => T) {
    this.#read = read
  }

  of(text: string): T {
    if (this.#last?.text !== text) this.#last = { text, value: this.#read(text) }
    return this.#last!.value
  }
}

interface GivenAuthorization {
  credential: string
  signedHeaders: string
  signature: string
}

/** What nearly all clients send; everything else is looked at in detail, to say what is wrong. */
const USUAL =
  /^AWS4-HMAC-SHA256 Credential=([^\s,;=]{1,512}), ?SignedHeaders=([^\s,=]{1,4096}), ?Signature=([0-9a-f]{64})$/

function parseAuthorization(text: string): GivenAuthorization {
  const usual = USUAL.exec(text)
  if (usual !== null) return { credential: usual[1]!, signedHeaders: usual[2]!, signature: usual[3]! }
  const given = new Map<string, string>()
  const components = text
    .slice(ALGORITHM.length)
    .split(',')
    .map((each) => each.trim())
  if (components.length < COMPONENTS.length)
    throw HEADER_FAULT(
      'the authorization header requires three components: Credential, SignedHeaders, and Signature.',
    )
  const malformed = (component: string) =>
    HEADER_FAULT(`the authorization component "${component}" is malformed.`)
  for (const component of components) {
    const equals = component.indexOf('=')
    const name = component.slice(0, Math.max(0, equals))
    if (equals <= 0 || given.has(name)) throw malformed(component)
    given.set(name, component.slice(equals + 1))
  }
  for (const name of COMPONENTS) if (!given.get(name)) throw HEADER_FAULT(`missing ${name}.`)
  if (components.length > COMPONENTS.length) throw malformed(components.at(-1)!)
  return {
    credential: given.get('Credential')!,
    signedHeaders: given.get('SignedHeaders')!,
    signature: given.get('Signature')!,
  }
}

const COMPONENTS = ['Credential', 'SignedHeaders', 'Signature']

function formatIfNeeded(text: string, ms: number): string {
  return text.length === 16 && text[8] === 'T' ? text : formatAmzDate(ms)
}

/** There are no temporary keys, so a token belongs to nobody. */
export function refuseToken(token: string | undefined): void {
  if (token !== undefined) throw new S3Error('InvalidToken', undefined, { extra: { 'Token-0': token } })
}

/** What is not signed could have been put in by anyone, so S3's own headers and the host must be. */
function assertAllSigned(headers: Headers, names: readonly string[]): void {
  let unsigned = ''
  if (!names.includes('host')) unsigned = 'host'
  for (const name of headers.keys()) {
    if (name.startsWith('x-amz-') && !names.includes(name)) unsigned += unsigned === '' ? name : `, ${name}`
  }
  if (unsigned !== '')
    throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
      extra: { HeadersNotSigned: unsigned },
    })
}

const QUERY_PARAMS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
  'X-Amz-Expires',
]

/** The parameters of the signature, each of which must be there, and once. */
function queryParams({ params }: S3Request): Map<string, string> {
  const found = new Map<string, string>()
  for (let i = 0; i < params.length; i += 2) {
    const name = params[i]!
    if (!name.startsWith('X-Amz-')) continue
    if (found.has(name)) throw new S3Error('AuthorizationQueryParametersError')
    found.set(name, params[i + 1]!)
  }
  for (const name of QUERY_PARAMS)
    if (!found.get(name)) throw new S3Error('AuthorizationQueryParametersError')
  return found
}

function queryError(message: string): S3Error {
  return new S3Error('AuthorizationQueryParametersError', message)
}

/** It is part of what is signed, wherever it stands; two that differ are none. */
function payloadValueOfQuery(params: Map<string, string>, headers: Headers): string {
  const [inQuery, inHeader] = [params.get('X-Amz-Content-Sha256'), headers.get('x-amz-content-sha256')]
  const value = inQuery ?? inHeader ?? UNSIGNED_PAYLOAD
  assertPayloadValue(value)
  if (inHeader !== undefined && inHeader !== value)
    throw queryError('X-Amz-Content-Sha256 is not the same as the x-amz-content-sha256 header.')
  return value
}
