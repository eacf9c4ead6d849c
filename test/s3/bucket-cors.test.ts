/** GetBucketCors, PutBucketCors, DeleteBucketCors; Preflight requests, and CORS headers of replies. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ALICE, element, errorOf, type S3Client, type S3Kit, startS3 } from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  await alice.put('/shared', '', { headers: { 'x-amz-acl': 'public-read' } })
  await alice.put('/closed')
})
after(() => kit.close())

const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
const RULES = `<CORSConfiguration ${NS}><CORSRule><ID>one</ID><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader><MaxAgeSeconds>600</MaxAgeSeconds><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-version-id</ExposeHeader></CORSRule><CORSRule><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>`

const preflight = (path: string, headers: Record<string, string>) =>
  kit.as().send('OPTIONS', { path, headers })

test('rules are set, given back and removed', async () => {
  const missing = await alice.get('/shared', { cors: '' })
  assert.equal(errorOf(missing), '404 NoSuchCORSConfiguration')
  assert.equal((await alice.putXml('/shared', 'cors', RULES)).status, 200)
  assert.equal(
    (await alice.get('/shared', { cors: '' })).text,
    `<?xml version="1.0" encoding="UTF-8"?>\n${RULES}`,
  )
  await alice.putXml('/closed', 'cors', RULES)
  assert.equal((await alice.delete('/closed', { cors: '' })).status, 204)
  assert.equal(errorOf(await alice.get('/closed', { cors: '' })), '404 NoSuchCORSConfiguration')
})

test('rules that are none', async () => {
  const put = (rule: string) =>
    alice.putXml('/closed', 'cors', `<CORSConfiguration><CORSRule>${rule}</CORSRule></CORSConfiguration>`)
  const [origin, method] = ['<AllowedOrigin>*</AllowedOrigin>', '<AllowedMethod>GET</AllowedMethod>']
  assert.equal(errorOf(await alice.putXml('/closed', 'cors', '<CORSConfiguration/>')), '400 MalformedXML')
  assert.equal(errorOf(await put(origin)), '400 MalformedXML')
  assert.equal(errorOf(await put(method)), '400 MalformedXML')
  assert.equal(errorOf(await put(`${origin}${method}<Else>1</Else>`)), '400 MalformedXML')
  const patch = await put(`${origin}<AllowedMethod>PATCH</AllowedMethod>`)
  assert.equal(errorOf(patch), '400 InvalidRequest')
  assert.equal(
    element(patch.text, 'Message'),
    'Found unsupported HTTP method in CORS config. Unsupported method is PATCH',
  )
  const stars = await put(`<AllowedOrigin>http://*.a.*</AllowedOrigin>${method}`)
  assert.equal(
    element(stars.text, 'Message'),
    'AllowedOrigin "http://*.a.*" can not have more than one wildcard.',
  )
  assert.equal(errorOf(await put(`${origin}${method}<ExposeHeader>x-*</ExposeHeader>`)), '400 InvalidRequest')
  assert.equal(errorOf(await put(`${origin}${method}<MaxAgeSeconds>1.5</MaxAgeSeconds>`)), '400 MalformedXML')
  for (const name of ['AllowedHeader', 'ExposeHeader']) {
    const header = await put(`${origin}${method}<${name}>a b</${name}>`)
    assert.equal(element(header.text, 'Message'), `${name} "a b" contains invalid character.`)
  }
})

test('a preflight that is allowed', async () => {
  const reply = await preflight('/shared/some/key', {
    Origin: 'https://app.example.com',
    'Access-Control-Request-Method': 'PUT',
    'Access-Control-Request-Headers': 'X-Amz-Date, content-type',
  })
  assert.equal(reply.status, 200)
  assert.equal(reply.headers['access-control-allow-origin'], 'https://app.example.com')
  assert.equal(reply.headers['access-control-allow-methods'], 'GET, PUT')
  assert.equal(reply.headers['access-control-allow-headers'], 'x-amz-date, content-type')
  assert.equal(reply.headers['access-control-expose-headers'], 'ETag, x-amz-version-id')
  assert.equal(reply.headers['access-control-max-age'], '600')
  assert.equal(reply.headers['access-control-allow-credentials'], 'true')
  assert.equal(reply.headers.vary, 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method')
  const anyone = await preflight('/shared', {
    Origin: 'http://other.org',
    'Access-Control-Request-Method': 'GET',
  })
  assert.equal(anyone.headers['access-control-allow-origin'], '*')
  assert.equal(anyone.headers['access-control-allow-credentials'], undefined)
})

test('preflights that are not', async () => {
  const origin = 'https://app.example.com'
  const cases: [path: string, headers: Record<string, string>, error: string][] = [
    ['/shared', { 'Access-Control-Request-Method': 'GET' }, '400 BadRequest'],
    ['/shared', { Origin: origin }, '400 BadRequest'],
    ['/shared', { Origin: origin, 'Access-Control-Request-Method': 'PATCH' }, '400 BadRequest'],
    ['/shared', { Origin: origin, 'Access-Control-Request-Method': 'DELETE' }, '403 AccessForbidden'],
    ['/shared', { Origin: 'http://a.org', 'Access-Control-Request-Method': 'PUT' }, '403 AccessForbidden'],
    ['/closed', { Origin: origin, 'Access-Control-Request-Method': 'GET' }, '403 AccessForbidden'],
    ['/no-such-bucket', { Origin: origin, 'Access-Control-Request-Method': 'GET' }, '403 AccessForbidden'],
    ['/', { Origin: origin, 'Access-Control-Request-Method': 'GET' }, '403 AccessForbidden'],
    [
      '/shared/k?uploads',
      { Origin: origin, 'Access-Control-Request-Method': 'PUT', 'Access-Control-Request-Headers': 'x-other' },
      '403 AccessForbidden',
    ],
    [
      '/shared',
      { Origin: origin, 'Access-Control-Request-Method': 'PUT', 'Access-Control-Request-Headers': 'a, b c' },
      '400 BadRequest',
    ],
  ]
  for (const [path, headers, error] of cases) {
    const reply = await preflight(path, headers)
    assert.equal(errorOf(reply), error, JSON.stringify([path, headers]))
    assert.equal(reply.headers['access-control-allow-origin'], undefined)
  }
})

test('replies carry the headers too, and errors', async () => {
  const reply = await kit.as().get('/shared', {}, { Origin: 'https://a.example.com' })
  assert.equal(reply.status, 200)
  assert.equal(reply.headers['access-control-allow-origin'], 'https://a.example.com')
  assert.equal(reply.headers['access-control-expose-headers'], 'ETag, x-amz-version-id')
  const refused = await kit.as().get('/shared', { acl: '' }, { Origin: 'http://b.org' })
  assert.equal(errorOf(refused), '403 AccessDenied')
  assert.equal(refused.headers['access-control-allow-origin'], '*')
  const unsigned = await alice.send('GET', {
    path: '/shared',
    headers: { Origin: 'https://a.example.com' },
    target: '/shared?max-keys=1',
  })
  assert.equal(errorOf(unsigned), '403 SignatureDoesNotMatch')
  assert.equal(unsigned.headers['access-control-allow-origin'], 'https://a.example.com')
  const announced = { Origin: 'http://b.org', 'Access-Control-Request-Method': 'PUT' }
  const unlike = await kit.as().get('/shared', {}, announced)
  assert.equal(unlike.headers['access-control-allow-origin'], undefined)
  const none = await kit.as().get('/shared')
  assert.equal(none.headers['access-control-allow-origin'], undefined)
})
