/**
 * From request to action. The table in `routes.ts` is data: level, method and sub-resource find a short list, and the
 * first row whose marks the request has is it. Who may call stands in the row itself, so that an action without an access
 * class cannot be written.
 */
import type { OperationFacts } from '../../iam/s3-operations.ts'
import { type Level, ROUTES, type Route } from './routes.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'

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
  if (route !== undefined) {
    if (route.action === 'PutObject' && request.params.length > 0) assertNoPart(request)
    return route
  }
  if (sub === 'uploads' && request.method === 'GET')
    throw new S3Error('InvalidRequest', 'Key is not expected for the GET method ?uploads subresource')
  if (rows !== undefined && request.method === 'POST' && sub === '') {
    throw new S3Error('PreconditionFailed', undefined, {
      extra: { Condition: 'Bucket POST must be of the enclosure-type multipart/form-data' },
    })
  }
  throw new S3Error('MethodNotAllowed', undefined, {
    extra: { Method: request.method, ResourceType: resourceType(level, sub) },
    headers: [
      'Allow',
      allowedMethods(level, sub)
        .filter((each) => each !== request.method)
        .join(', '),
    ],
  })
}

function resourceType(level: Level, sub: string): string {
  if (sub === 'uploadId') return 'UPLOAD'
  return (sub === '' ? level : sub).toUpperCase()
}

/** A part without its upload would replace the object. */
function assertNoPart(request: S3Request): void {
  if (request.param('partNumber') === undefined) return
  const message = 'This operation does not accept partNumber without uploadId'
  throw invalidArgument(message, 'partNumber', 'partNumber')
}

function subResource(request: S3Request, level: Level): string {
  let found = ''
  const { params } = request
  for (let i = 0; i < params.length; i += 2) {
    const name = params[i]!
    if (subs[level].has(name)) {
      if (found !== '' && found !== name) {
        const message = `Conflicting query string parameters: ${found}, ${name}`
        throw invalidArgument(message, 'ResourceType', found)
      }
      found = name
    } else if (level === 'object' && subs.bucket.has(name)) {
      throw new S3Error('InvalidRequest', `There is no such thing as the ?${name} sub-resource for a key`)
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

function allowedMethods(level: Level, sub: string): string[] {
  const methods = ROUTES.filter((route) => route.level === level && route.sub === sub).map(
    ({ method }) => method,
  )
  return [...new Set(methods)]
}

/** What a request asks for beside its operation, for the permissions that it needs. */
export function factsOf(request: S3Request): OperationFacts {
  const facts: OperationFacts = {}
  if (request.params.length > 0 && request.filledParam('versionId') !== undefined) facts.version = true
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === IF_MATCH.length || name.length === IF_NONE_MATCH.length) {
      const lower = name.toLowerCase()
      const isOne = lower === IF_MATCH || lower === IF_NONE_MATCH
      if (isOne && rawHeaders[i + 1]!.trim() !== '*') facts.comparesEtag = true
    }
    // Nothing else is looked at: most headers begin otherwise.
    if (name.length < AMZ.length + 3 || name.slice(0, AMZ.length).toLowerCase() !== AMZ) continue
    const fact = factOf(name.slice(AMZ.length).toLowerCase(), rawHeaders[i + 1]!)
    if (fact !== undefined) facts[fact] = true
  }
  return facts
}

const AMZ = 'x-amz-'
const IF_MATCH = 'if-match'
const IF_NONE_MATCH = 'if-none-match'

function factOf(name: string, value: string): keyof OperationFacts | undefined {
  switch (name) {
    case 'acl':
      return 'acl'
    case 'tagging':
      return 'tagging'
    case 'object-lock-mode':
    case 'object-lock-retain-until-date':
      return 'retention'
    case 'object-lock-legal-hold':
      return 'legalHold'
    case 'bypass-governance-retention':
      return value.toLowerCase() === 'true' ? 'bypassGovernance' : undefined
    case 'bucket-object-lock-enabled':
      return value.toLowerCase() === 'true' ? 'objectLock' : undefined
    case 'object-ownership':
      return 'ownership'
    default:
      return name.startsWith('grant-') ? 'acl' : undefined
  }
}
