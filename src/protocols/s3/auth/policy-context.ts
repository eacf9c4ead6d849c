/** What conditions of policies can ask about a request. Made only when a policy has conditions. */
import type { PolicyContext } from '../../../iam/policy.ts'
import type { ObjectInfo } from '../../../objects/object-store.ts'
import type { Told } from '../gate.ts'
import type { S3Request } from '../s3-request.ts'
import { isoTime } from '../xml-writer.ts'
import type { Authentication } from './authenticate.ts'
import { UNSIGNED_PAYLOAD } from './payload.ts'

const MS_PER_DAY = 86_400_000

/** Headers and parameters that are keys of their own name. */
const HEADERS = [
  'x-amz-acl',
  'x-amz-grant-full-control',
  'x-amz-grant-read',
  'x-amz-grant-read-acp',
  'x-amz-grant-write',
  'x-amz-grant-write-acp',
  'x-amz-metadata-directive',
  'x-amz-object-ownership',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
  'if-match',
  'if-none-match',
]
const PARAMS = ['prefix', 'delimiter', 'max-keys']

export interface ContextSource {
  request: S3Request
  authentication: Authentication
  object: ObjectInfo | undefined
  told: Told
  /** Account id; undefined where there is no bucket. */
  bucketOwner: string | undefined
  region: string
  nowMs: number
}

export function policyContext(source: ContextSource): PolicyContext {
  const context = new Map<string, readonly string[]>()
  addRequest(context, source)
  addCaller(context, source)
  addLock(context, source)
  addTags(context, source)
  return context
}

type Building = Map<string, readonly string[]>

function add(context: Building, key: string, value: string | undefined): void {
  if (value !== undefined) context.set(key, [value])
}

function addRequest(context: Building, source: ContextSource): void {
  const { request, authentication, told, bucketOwner, region, nowMs } = source
  const { view } = authentication
  const now = new Date(nowMs).toISOString()
  add(context, 'aws:currenttime', `${now.slice(0, 19)}Z`)
  add(context, 'aws:epochtime', String(Math.floor(nowMs / 1_000)))
  add(context, 'aws:securetransport', String(request.isTls))
  add(context, 'aws:sourceip', request.remoteAddress === '' ? undefined : request.remoteAddress)
  add(context, 'aws:useragent', request.header('user-agent'))
  add(context, 'aws:referer', request.header('referer'))
  for (const name of HEADERS) add(context, `s3:${name}`, view.header(name))
  for (const name of PARAMS) add(context, `s3:${name}`, request.param(name))
  add(context, 's3:versionid', 'versionId' in told ? told.versionId : request.filledParam('versionId'))
  add(context, 's3:x-amz-content-sha256', payloadValueOf(source))
  add(context, 's3:tlsversion', request.tlsVersion)
  add(context, 's3:objectcreationoperation', String(createsObject(request)))
  add(context, 's3:resourceaccount', bucketOwner)
  add(context, 'aws:resourceaccount', bucketOwner)
  add(context, 'aws:requestedregion', region)
  add(context, 'aws:principalisawsservice', 'false')
  add(context, 'aws:viaawsservice', 'false')
  const copySource = view.header('x-amz-copy-source')
  if (copySource !== undefined) add(context, 's3:x-amz-copy-source', plainSource(copySource))
}

/** What the body is compared with: nothing for forms, and the parameter only for links. */
function payloadValueOf(source: ContextSource): string | undefined {
  if (isForm(source)) return undefined
  const { request, authentication } = source
  const header = request.header('x-amz-content-sha256')
  if (authentication.mechanism !== 'v4-query') return header
  return request.param('X-Amz-Content-Sha256') ?? header ?? UNSIGNED_PAYLOAD
}

/** Its fields stand for headers. */
function isForm({ request, authentication }: ContextSource): boolean {
  return authentication.view !== request
}

/** Of what needs s3:PutObject: false for the steps of an upload before the last. */
function createsObject(request: S3Request): boolean {
  return request.param(request.method === 'PUT' ? 'uploadId' : 'uploads') === undefined
}

/** `bucket/key`, decoded, without a slash before and a version behind. */
function plainSource(text: string): string {
  const question = text.indexOf('?versionId=')
  const path = (question < 0 ? text : text.slice(0, question)).replace(/^\//, '')
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

const SIGNATURES: Readonly<Record<Authentication['mechanism'], [version: string, type: string] | undefined>> =
  {
    anonymous: undefined,
    'v4-header': ['AWS4-HMAC-SHA256', 'REST-HEADER'],
    'v4-query': ['AWS4-HMAC-SHA256', 'REST-QUERY-STRING'],
    'v4-form': ['AWS4-HMAC-SHA256', 'POST'],
    'v2-header': ['AWS', 'REST-HEADER'],
    'v2-query': ['AWS', 'REST-QUERY-STRING'],
    'v2-form': ['AWS', 'POST'],
  }

function addCaller(context: Building, { authentication, nowMs }: ContextSource): void {
  const { principal, mechanism, signedMs } = authentication
  const { account } = principal
  add(context, 'aws:principaltype', account === undefined ? 'Anonymous' : account.isRoot ? 'Account' : 'User')
  if (account === undefined) {
    add(context, 'aws:userid', 'anonymous')
  } else {
    add(context, 'aws:userid', account.id)
    add(context, 'aws:username', account.name)
    add(context, 'aws:principalaccount', account.id)
    add(context, 'aws:principalarn', principalArn(account))
  }
  const signature = SIGNATURES[mechanism]
  add(context, 's3:signatureversion', signature?.[0])
  add(context, 's3:authtype', signature?.[1])
  if (signedMs !== undefined) add(context, 's3:signatureage', String(Math.max(0, nowMs - signedMs)))
}

export function principalArn({ id, name, isRoot }: { id: string; name: string; isRoot: boolean }): string {
  return isRoot ? `arn:aws:iam::${id}:root` : `arn:aws:iam::${id}:user/${name}`
}

function addLock(context: Building, { authentication, told, nowMs }: ContextSource): void {
  const { view } = authentication
  const { mode, untilMs: toldMs, legalHold } = told.lock ?? {}
  const hold = legalHold === undefined ? undefined : legalHold ? 'ON' : 'OFF'
  add(context, 's3:object-lock-mode', mode ?? view.header('x-amz-object-lock-mode'))
  add(context, 's3:object-lock-legal-hold', hold ?? view.header('x-amz-object-lock-legal-hold'))
  const until = toldMs === undefined ? view.header('x-amz-object-lock-retain-until-date') : isoTime(toldMs)
  add(context, 's3:object-lock-retain-until-date', until)
  const untilMs = until === undefined ? Number.NaN : Date.parse(until)
  if (!Number.isNaN(untilMs))
    add(context, 's3:object-lock-remaining-retention-days', String(Math.ceil((untilMs - nowMs) / MS_PER_DAY)))
}

function addTags(context: Building, source: ContextSource): void {
  const { authentication, object, told } = source
  for (const [name, value] of object?.tags ?? []) add(context, `s3:existingobjecttag/${name}`, value)
  const requested = takesTags(source) ? authentication.view.header('x-amz-tagging') : undefined
  if (told.tags === undefined && requested === undefined) return
  const tags = told.tags ?? [...new URLSearchParams(requested)]
  for (const [name, value] of tags) add(context, `s3:requestobjecttag/${name}`, value)
  context.set(
    's3:requestobjecttagkeys',
    tags.map(([name]) => name),
  )
}

/** A copy has the tags of its source unless it replaces them, and an upload those that it began with. */
function takesTags(source: ContextSource): boolean {
  if (isForm(source)) return true
  const { request } = source
  if (request.param('uploadId') !== undefined) return false
  const isCopy = request.method === 'PUT' && request.header('x-amz-copy-source') !== undefined
  return !isCopy || request.header('x-amz-tagging-directive') === 'REPLACE'
}
