/**
 * From request to action. The table in `routes.ts` is data: level, method and sub-resource find a short list, and the
 * first row whose marks the request has is it. What a row's callers must be allowed stands in the row itself, so that
 * an action without an access class cannot be written.
 */
import { ROUTES } from './routes.ts'
import { S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'

export type Level = 'service' | 'bucket' | 'object'

/** A permission that the caller needs. */
export interface Need {
  /** As IAM names it. */
  action: string
  /** Only when the request has one of these headers; a name that ends with `*` is a prefix. */
  headers?: readonly string[]
  /** Only when the request has this parameter. */
  param?: string
  /** Only when it has not. */
  withoutParam?: string
}

/**
 * Who may call:
 * `needs`: whoever is allowed all of them on the bucket or object of the request; anonymous callers where a policy or ACL says so.
 * `signed`: the same, and never anonymous.
 * `form`: the credentials are in the form itself; the action verifies them before it does anything.
 * `each`: the action asks for each of the keys that its body names; nothing is done without.
 * `preflight`: a browser's question, which carries no credentials and tells nothing but the bucket's CORS rules.
 */
export type Access = AccessByNeeds | { kind: 'form' | 'each' | 'preflight' }

export interface AccessByNeeds {
  kind: 'needs' | 'signed'
  needs: readonly Need[]
}

export interface Route {
  /** As the API reference names it. */
  action: string
  level: Level
  method: string
  /** The query key that names the sub-resource; '' is the thing itself. */
  sub: string
  /** What tells it from others with the same method and sub-resource: a parameter, with its value if given, or a header. */
  mark?: { param?: string; value?: string; header?: string }
  access: Access
  /** The body must come with Content-MD5 or a checksum. */
  needsDigest?: true
  /** The bucket is not looked up: it need not be there. */
  withoutBucket?: true
  /** It is about an object that is there: its owner and ACL decide too, so it is found before the caller is let in. */
  ofObject?: true
}

/** Parameters of the same names as sub-resources, at each level. */
const subs: Record<Level, ReadonlySet<string>> = {
  service: subsOf('service'),
  bucket: subsOf('bucket'),
  object: subsOf('object'),
}
const table = tableOf(ROUTES)

function subsOf(level: Level): Set<string> {
  return new Set(ROUTES.filter((route) => route.level === level && route.sub !== '').map(({ sub }) => sub))
}

function tableOf(routes: readonly Route[]): Map<string, Route[]> {
  const found = new Map<string, Route[]>()
  for (const route of routes) {
    const place = `${route.method} ${route.level} ${route.sub}`
    const rows = found.get(place)
    if (rows === undefined) found.set(place, [route])
    else rows.push(route)
  }
  return found
}

export function levelOf(request: S3Request): Level {
  if (request.key !== '') return 'object'
  return request.bucket === '' ? 'service' : 'bucket'
}

/** Throws S3Error `MethodNotAllowed`, or `InvalidArgument` for sub-resources that contradict each other. */
export function routeOf(request: S3Request): Route {
  const level = levelOf(request)
  const sub = request.params.length === 0 ? '' : subResource(request, level)
  const rows = table.get(`${request.method} ${level} ${sub}`)
  const route = rows?.find(({ mark }) => mark === undefined || has(request, mark))
  if (route !== undefined) return route
  throw new S3Error('MethodNotAllowed', undefined, {
    extra: { Method: request.method, ResourceType: sub === '' ? level.toUpperCase() : sub.toUpperCase() },
    headers: ['Allow', allowedMethods(level, sub)],
  })
}

function subResource(request: S3Request, level: Level): string {
  let found = ''
  const { params } = request
  for (let i = 0; i < params.length; i += 2) {
    const name = params[i]!
    if (subs[level].has(name)) {
      if (found !== '' && found !== name) {
        throw new S3Error('InvalidArgument', `Conflicting query string parameters: ${found}, ${name}`, {
          extra: { ArgumentName: 'ResourceType', ArgumentValue: found },
        })
      }
      found = name
    } else if (level === 'object' && subs.bucket.has(name)) {
      throw new S3Error('InvalidArgument', `There is no such thing as the ?${name} sub-resource for a key`, {
        extra: { ArgumentName: 'ResourceType', ArgumentValue: name },
      })
    }
  }
  return found
}

function has(request: S3Request, mark: NonNullable<Route['mark']>): boolean {
  if (mark.header !== undefined) {
    const value = request.header(mark.header)
    return value !== undefined && (mark.value === undefined || value.toLowerCase().startsWith(mark.value))
  }
  const value = request.param(mark.param!)
  return value !== undefined && (mark.value === undefined || value === mark.value)
}

function allowedMethods(level: Level, sub: string): string {
  const methods = ROUTES.filter((route) => route.level === level && route.sub === sub).map(
    ({ method }) => method,
  )
  return [...new Set(methods)].join(', ')
}

/** The needs of a route that this request has. */
export function needsOf(access: AccessByNeeds, request: S3Request): readonly Need[] {
  const { needs } = access
  if (needs.length === 1 && isPlain(needs[0]!)) return needs
  return needs.filter((need) => applies(need, request))
}

function isPlain(need: Need): boolean {
  return need.headers === undefined && need.param === undefined && need.withoutParam === undefined
}

function applies(need: Need, request: S3Request): boolean {
  const { headers, param, withoutParam } = need
  if (param !== undefined && request.filledParam(param) === undefined) return false
  if (withoutParam !== undefined && request.filledParam(withoutParam) !== undefined) return false
  return headers === undefined || headers.some((name) => hasHeader(request, name))
}

function hasHeader(request: S3Request, name: string): boolean {
  if (!name.endsWith('*')) return request.header(name) !== undefined
  const prefix = name.slice(0, -1)
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase().startsWith(prefix)) return true
  }
  return false
}
