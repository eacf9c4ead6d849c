/** GetBucketWebsite, PutBucketWebsite, DeleteBucketWebsite; and the websites themselves. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ALICE, element, errorOf, exchange, type S3Client, type S3Kit, startS3 } from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
before(async () => {
  kit = await startS3({ websiteDomains: ['web.test'] })
  alice = kit.as(ALICE)
  await alice.put('/site')
  const policy = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::site/*' }],
  }
  await alice.send('PUT', { path: '/site', query: { policy: '' }, body: JSON.stringify(policy) })
  const html = { headers: { 'Content-Type': 'text/html' } }
  await alice.put('/site/index.html', 'home', html)
  await alice.put('/site/docs/index.html', 'docs', html)
  await alice.put('/site/a b/é.txt', 'text', { headers: { 'Content-Type': 'text/plain' } })
  await alice.put('/site/error.html', 'sorry', html)
  await alice.put('/site/old', '', { headers: { 'x-amz-website-redirect-location': '/docs/' } })
})
after(() => kit.close())

const NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
const document = (inside: string) => `<WebsiteConfiguration ${NS}>${inside}</WebsiteConfiguration>`
const put = (inside: string, bucket = '/site') => alice.putXml(bucket, 'website', document(inside))
const INDEX = '<IndexDocument><Suffix>index.html</Suffix></IndexDocument>'
const ERROR = '<ErrorDocument><Key>error.html</Key></ErrorDocument>'
const rules = (...list: string[]) =>
  `<RoutingRules>${list.map((rule) => `<RoutingRule>${rule}</RoutingRule>`).join('')}</RoutingRules>`

const visit = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  kit.as().send(method, { path, host: 'site.web.test', headers })

test('configurations are set, given back and removed', async () => {
  const get = () => alice.get('/site', { website: '' })
  assert.equal(errorOf(await get()), '404 NoSuchWebsiteConfiguration')
  const rule =
    '<Condition><KeyPrefixEquals>a/</KeyPrefixEquals><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect><Protocol>https</Protocol><HostName>example.com</HostName><ReplaceKeyPrefixWith>b/</ReplaceKeyPrefixWith><HttpRedirectCode>302</HttpRedirectCode></Redirect>'
  for (const inside of [
    INDEX + ERROR + rules(rule, '<Redirect><ReplaceKeyWith>x</ReplaceKeyWith></Redirect>'),
    '<RedirectAllRequestsTo><HostName>example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>',
    INDEX,
  ]) {
    assert.equal((await put(inside)).status, 200)
    assert.equal((await get()).text, `<?xml version="1.0" encoding="UTF-8"?>\n${document(inside)}`)
  }
  assert.equal((await alice.delete('/site', { website: '' })).status, 204)
  assert.equal(errorOf(await get()), '404 NoSuchWebsiteConfiguration')
})

test('configurations that are none', async () => {
  const refused = async (inside: string, error: string) =>
    assert.equal(errorOf(await put(inside)), error, inside)
  await refused('', '400 InvalidArgument')
  await refused('<IndexDocument><Suffix></Suffix></IndexDocument>', '400 InvalidArgument')
  await refused('<IndexDocument><Suffix>a/b</Suffix></IndexDocument>', '400 InvalidArgument')
  await refused(`${INDEX}<ErrorDocument><Key></Key></ErrorDocument>`, '400 InvalidArgument')
  const all = '<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>'
  await refused(INDEX + all, '400 InvalidArgument')
  await refused(all.replace('</HostName>', '</HostName><Protocol>ftp</Protocol>'), '400 InvalidRequest')
  await refused(INDEX + rules(), '400 MalformedXML')
  await refused(INDEX + rules('<Redirect/>'), '400 MalformedXML')
  const redirect = '<Redirect><HostName>h</HostName></Redirect>'
  await refused(INDEX + rules(`<Condition></Condition>${redirect}`), '400 MalformedXML')
  const condition = (code: number) =>
    `<Condition><HttpErrorCodeReturnedEquals>${code}</HttpErrorCodeReturnedEquals></Condition>`
  for (const status of [302, 399, 418, 499, 506])
    await refused(INDEX + rules(condition(status) + redirect), '400 InvalidRequest')
  for (const status of [300, 306, 309, 399]) {
    const code = `<Redirect><HttpRedirectCode>${status}</HttpRedirectCode></Redirect>`
    await refused(INDEX + rules(code), '400 InvalidRequest')
  }
  const both =
    '<Redirect><ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith></Redirect>'
  await refused(INDEX + rules(both), '400 InvalidRequest')
  await refused(INDEX + rules(...Array.from({ length: 51 }, () => redirect)), '400 InvalidRequest')
  const long = `<Redirect><ReplaceKeyWith>${'x'.repeat(140_000)}</ReplaceKeyWith></Redirect>`
  await refused(INDEX + rules(long), '400 MaxMessageLengthExceeded')
})

test('pages, their index, and directories', async () => {
  await put(INDEX + ERROR)
  const home = await visit('/')
  assert.equal(home.status, 200)
  assert.equal(home.text, 'home')
  assert.equal(home.headers['content-type'], 'text/html')
  assert.ok(home.headers.etag)
  assert.equal((await visit('/docs/')).text, 'docs')
  const directory = await visit('/docs')
  assert.equal(directory.status, 302)
  assert.equal(directory.headers.location, '/docs/')
  assert.equal((await visit('/a b/é.txt')).text, 'text')
  const same = await visit('/', { 'If-None-Match': home.headers.etag! })
  assert.equal(same.status, 304)
  const part = await visit('/', { Range: 'bytes=1-2' })
  assert.equal(part.status, 206)
  assert.equal(part.text, 'om')
  const head = await visit('/', {}, 'HEAD')
  assert.equal(head.headers['content-length'], '4')
  assert.equal(head.text, '')
  const moved = await visit('/old')
  assert.equal(moved.status, 301)
  assert.equal(moved.headers.location, '/docs/')
})

test('what is not there, or not for everyone', async () => {
  const sorry = await visit('/none')
  assert.equal(sorry.status, 403, 'nobody may list the bucket')
  assert.equal(sorry.text, 'sorry')
  assert.equal(sorry.headers['content-type'], 'text/html')
  await put(INDEX)
  const plain = await visit('/none')
  assert.match(plain.text, /<h1>403 Forbidden<\/h1>\n<ul>\n<li>Code: AccessDenied<\/li>/)
  await alice.put('/site', '', { query: { acl: '' }, headers: { 'x-amz-acl': 'public-read' } })
  const missing = await visit('/<none>')
  assert.equal(missing.status, 404)
  assert.match(missing.text, /<li>Code: NoSuchKey<\/li>.*<li>Key: &lt;none&gt;<\/li>/s)
  assert.equal((await visit('/', {}, 'PUT')).status, 405)
  assert.equal((await visit('/', {}, 'DELETE')).status, 405)
  const nowhere = await kit.as().send('GET', { path: '/', host: 'nowhere.web.test' })
  assert.match(nowhere.text, /<h1>404 Not Found<\/h1>.*NoSuchBucket/s)
  await alice.put('/private')
  await alice.put('/private/index.html', 'secret')
  await put(INDEX, '/private')
  const closed = await alice.send('GET', { path: '/', host: 'private.web.test' })
  assert.equal(closed.status, 403, 'signatures mean nothing to a website')
})

test('redirects by rule', async () => {
  const rule = (condition: string, redirect: string) =>
    `<Condition>${condition}</Condition><Redirect>${redirect}</Redirect>`
  await put(
    INDEX +
      rules(
        rule(
          '<KeyPrefixEquals>was/</KeyPrefixEquals>',
          '<ReplaceKeyPrefixWith>is now/</ReplaceKeyPrefixWith>',
        ),
        rule(
          '<HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>',
          '<HostName>other.test</HostName><Protocol>https</Protocol><ReplaceKeyWith>lost</ReplaceKeyWith><HttpRedirectCode>307</HttpRedirectCode>',
        ),
      ),
  )
  const prefix = await visit('/was/here')
  assert.equal(prefix.status, 301)
  assert.equal(prefix.headers.location, 'http://site.web.test/is%20now/here')
  const lost = await visit('/nothing')
  assert.equal(lost.status, 307)
  assert.equal(lost.headers.location, 'https://other.test/lost')
  await put('<RedirectAllRequestsTo><HostName>new.test</HostName></RedirectAllRequestsTo>')
  assert.equal((await visit('/docs/')).headers.location, 'http://new.test/docs/')
})

test('on a port of its own every host is a bucket, and there is nothing else', async () => {
  await put(INDEX)
  const port = await kit.server.listenWebsite({ host: '127.0.0.1', port: 0 })
  const visit = (host: string, path = '/', method = 'GET') =>
    exchange(port, method, path, [['Host', host]], Buffer.alloc(0))
  for (const host of ['site.web.test', 'site.localhost:8000', `SITE:${port}`])
    assert.equal((await visit(host)).text, 'home', host)
  assert.equal((await visit('site', '/docs')).headers.location, '/docs/')
  for (const host of ['127.0.0.1', `localhost:${port}`, 'web.test', 'other.web.test'])
    assert.match((await visit(host, '/site/index.html')).text, /404 Not Found.*Code: NoSuchBucket/s, host)
  assert.equal((await visit('site', '/?acl', 'PUT')).status, 405)
  const signed = kit.as(ALICE).send('GET', { path: '/private', query: { list: '' }, host: 'private' })
  assert.equal((await signed).status, 200, 'at the port of S3 a host is only a host')
})

test('the same bucket through the API is as before', async () => {
  await put(INDEX)
  assert.equal(errorOf(await kit.as().get('/site/none')), '404 NoSuchKey')
  assert.equal((await alice.get('/site')).status, 200)
  assert.equal(element((await alice.get('/site')).text, 'Name'), 'site')
})
