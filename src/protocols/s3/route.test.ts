import assert from 'node:assert/strict'
import { test } from 'node:test'
import { S3_ACTIONS } from '../../iam/s3-actions.ts'
import { neededActions, S3_OPERATIONS } from '../../iam/s3-operations.ts'
import { HANDLERS } from './handlers.ts'
import { factsOf, routeOf } from './route.ts'
import { PREFLIGHT, ROUTES, type Route } from './routes.ts'
import { S3Error } from './s3-error.ts'
import { S3Request } from './s3-request.ts'

function request(method: string, target: string, headers: readonly string[] = []): S3Request {
  const rawHeaders = ['Host', 'h', ...headers]
  return new S3Request({ method, target, rawHeaders, remoteAddress: '', isTls: false }, [])
}

test('every route says who may call it', () => {
  const kinds = ['allowed', 'signed', 'form', 'document', 'each', 'preflight']
  for (const route of [...ROUTES, PREFLIGHT]) {
    assert.ok(kinds.includes(route.access), route.action)
    assert.ok(
      S3_OPERATIONS.includes(route.needsOf),
      `${route.action} needs the permissions of ${route.needsOf}`,
    )
    const needed = neededActions(route.needsOf, {})
    assert.ok(needed.length > 0, route.action)
    for (const { action } of needed) assert.ok(S3_ACTIONS.has(action), `${route.action}: ${action}`)
  }
  const open = ROUTES.filter((route) => route.access === 'preflight')
  assert.deepEqual(open, [], 'only OPTIONS asks for nothing')
  const own = ROUTES.filter((route) => route.access === 'form' || route.access === 'each')
  assert.deepEqual(
    own.map(({ action }) => action),
    ['DeleteObjects', 'PostObject'],
    'actions that ask for themselves',
  )
  const later = ROUTES.filter((route) => route.access === 'document')
  assert.deepEqual(
    later.map(({ action }) => action),
    ['PutObjectTagging', 'PutObjectRetention', 'PutObjectLegalHold'],
    'actions that ask once they have read their document, by readAllowed',
  )
})

test('every handler has a route, and every operation that iam knows too', () => {
  const actions = new Set(ROUTES.map(({ action }) => action))
  for (const action of HANDLERS.keys()) assert.ok(actions.has(action), action)
  for (const operation of S3_OPERATIONS) assert.ok(actions.has(operation), operation)
})

/** A request that is that route's. */
function requestOf(route: Route): S3Request {
  const { level, method, sub, mark } = route
  const path = { service: '/', bucket: '/b', object: '/b/k' }[level]
  const params = sub === '' ? [] : [sub]
  if (mark?.param !== undefined) params.push(`${mark.param}=${mark.value ?? 'x'}`)
  const headers = mark?.header === undefined ? [] : [mark.header, mark.value ?? 'x']
  return request(method, `${path}${params.length === 0 ? '' : `?${params.join('&')}`}`, headers)
}

test('every route is reached', () => {
  for (const route of ROUTES) assert.equal(routeOf(requestOf(route)).action, route.action)
})

test('parameters that mean nothing change nothing', () => {
  const actionOf = (...asked: Parameters<typeof request>) => routeOf(request(...asked)).action
  assert.equal(actionOf('GET', '/b/k?x-id=GetObject&foo=bar&versionId=1&partNumber=2'), 'GetObject')
  assert.equal(actionOf('GET', '/b?list-type=1'), 'ListObjects')
  assert.equal(actionOf('GET', '/b?list-type=2&foo'), 'ListObjectsV2')
  assert.equal(actionOf('PUT', '/b/k?partNumber=1&uploadId=u'), 'UploadPart')
  assert.equal(
    actionOf('PUT', '/b/k?partNumber=1&uploadId=u', ['X-Amz-Copy-Source', 'a/b']),
    'UploadPartCopy',
  )
  assert.equal(actionOf('PUT', '/b/k', ['x-amz-copy-source', 'a/b']), 'CopyObject')
  assert.equal(actionOf('POST', '/b', ['Content-Type', 'Multipart/Form-Data; boundary=x']), 'PostObject')
})

test('what has no route', () => {
  const errorOf = (method: string, target: string) => {
    try {
      return routeOf(request(method, target)).action
    } catch (error) {
      assert.ok(error instanceof S3Error)
      return `${error.status} ${error.code}`
    }
  }
  assert.equal(errorOf('POST', '/'), '405 MethodNotAllowed')
  assert.equal(errorOf('PATCH', '/b'), '405 MethodNotAllowed')
  assert.equal(errorOf('POST', '/b'), '412 PreconditionFailed')
  assert.equal(errorOf('DELETE', '/b?versioning'), '405 MethodNotAllowed')
  assert.equal(errorOf('GET', '/b?acl&policy'), '400 InvalidArgument')
  assert.equal(errorOf('GET', '/b/k?policy'), '400 InvalidRequest')
  assert.equal(errorOf('DELETE', '/b/k?lifecycle'), '400 InvalidRequest')
  assert.equal(errorOf('GET', '/b/k?uploads'), '400 InvalidRequest')
  assert.equal(errorOf('DELETE', '/b/k?uploads'), '405 MethodNotAllowed')
  assert.equal(errorOf('PUT', '/b/k?partNumber=1'), '400 InvalidArgument')
  assert.equal(errorOf('PUT', '/b/k?uploadId=1'), '405 MethodNotAllowed')
})

test('what a request asks for beside its operation', () => {
  const facts = (headers: readonly string[], target = '/b/k') => factsOf(request('PUT', target, headers))
  assert.deepEqual(facts([]), {})
  assert.deepEqual(facts([], '/b/k?versionId=1'), { version: true })
  assert.deepEqual(facts([], '/b/k?versionId='), {})
  assert.deepEqual(facts(['X-Amz-Acl', 'private', 'x-amz-meta-a', '1']), { acl: true })
  assert.deepEqual(facts(['x-amz-grant-read', 'x', 'X-AMZ-TAGGING', 'a=1']), { acl: true, tagging: true })
  assert.deepEqual(facts(['x-amz-object-lock-mode', 'x', 'x-amz-object-lock-legal-hold', 'ON']), {
    retention: true,
    legalHold: true,
  })
  assert.deepEqual(facts(['x-amz-bypass-governance-retention', 'TRUE']), { bypassGovernance: true })
  assert.deepEqual(facts(['x-amz-bypass-governance-retention', 'false']), {})
})
