import assert from 'node:assert/strict'
import { test } from 'node:test'
import { S3Error } from './s3-error.ts'
import { S3Request } from './s3-request.ts'

function request(target: string, { host = 'localhost:9000', domains = [] as string[] } = {}): S3Request {
  const input = {
    method: 'GET',
    target,
    rawHeaders: ['Host', host],
    remoteAddress: '127.0.0.1',
    isTls: false,
  }
  return new S3Request(input, domains)
}
const place = (target: string, options = {}) => {
  const { bucket, key } = request(target, options)
  return [bucket, key]
}

test('bucket and key by the path, decoded once and not normalised', () => {
  const cases: [target: string, bucket: string, key: string][] = [
    ['/', '', ''],
    ['/b', 'b', ''],
    ['/b/', 'b', ''],
    ['/b/k', 'b', 'k'],
    ['/b/a/../c', 'b', 'a/../c'],
    ['/b/%2e%2E/c', 'b', '../c'],
    ['/b//k', 'b', '/k'],
    ['/b/k/', 'b', 'k/'],
    ['/b/./k', 'b', './k'],
    ['/b/a%2Fb', 'b', 'a/b'],
    ['/b/a%252Fb', 'b', 'a%2Fb'],
    ['/b/a+b', 'b', 'a+b'],
    ['/b/%C3%A9', 'b', 'é'],
    ['/b/\xc3\xa9', 'b', 'é'],
    ['/b%2Fk/x', 'b/k', 'x'],
    ['/b/%00', 'b', '\0'],
    ['/b/a?b', 'b', 'a'],
    ['/../etc/passwd', '..', 'etc/passwd'],
    ['http://other/b/k', 'b', 'k'],
    ['http://other?x', '', ''],
  ]
  for (const [target, bucket, key] of cases) assert.deepEqual(place(target), [bucket, key], target)
})

test('targets that are none', () => {
  for (const target of [
    '/b/%',
    '/b/%4',
    '/b/%zz',
    '/b/%ff',
    '/b/\xff',
    '/b/%C3',
    '/b?x=%',
    '/b?%ff',
    'b/k',
    '*',
    'ftp://x/b',
  ])
    assert.throws(
      () => place(target),
      (error) => error instanceof S3Error && error.code === 'InvalidURI',
      target,
    )
  assert.throws(
    () => place('//k'),
    (error) => error instanceof S3Error && error.code === 'InvalidBucketName',
  )
})

test('buckets by host', () => {
  const domains = ['s3.example.com', 'localhost']
  const cases: [host: string, target: string, bucket: string, key: string][] = [
    ['b.s3.example.com', '/k', 'b', 'k'],
    ['B.S3.Example.Com:9000', '/b/k', 'b', 'b/k'],
    ['a.b.s3.example.com', '/', 'a.b', ''],
    ['s3.example.com', '/b/k', 'b', 'k'],
    ['xs3.example.com', '/b/k', 'b', 'k'],
    ['.s3.example.com', '/b/k', 'b', 'k'],
    ['b.localhost:80', '//k', 'b', '/k'],
    ['127.0.0.1:9000', '/b/k', 'b', 'k'],
    ['[::1]:9000', '/b/k', 'b', 'k'],
  ]
  for (const [host, target, bucket, key] of cases)
    assert.deepEqual(place(target, { host, domains }), [bucket, key], host)
  assert.equal(request('/k%20l?x', { host: 'b.localhost', domains }).resource, '/b/k%20l')
})

test('parameters', () => {
  const asked = request('/b?acl&prefix=a+b%2Bc&x=1&x=2&=y&&empty=&k%3D=v%26')
  assert.deepEqual(asked.params, [
    'acl',
    '',
    'prefix',
    'a b+c',
    'x',
    '1',
    'x',
    '2',
    '',
    'y',
    'empty',
    '',
    'k=',
    'v&',
  ])
  assert.equal(asked.param('acl'), '')
  assert.equal(asked.param('x'), '1')
  assert.equal(asked.param('__proto__'), undefined)
  assert.equal(asked.filledParam('empty'), undefined)
})
