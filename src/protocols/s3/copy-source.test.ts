/** What `x-amz-copy-source` may look like. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../base/random.ts'
import { versionIdOf } from '../../objects/rows.ts'
import { parseCopySource } from './copy-source.ts'
import { S3Error } from './s3-error.ts'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const CASES = 2_000

test('bucket, key and version', () => {
  const id = versionIdOf(123_456)
  const table: [string, string, string, string?][] = [
    ['bkt/k', 'bkt', 'k'],
    ['/bkt/k', 'bkt', 'k'],
    ['bkt%2Fk', 'bkt', 'k'],
    ['%2Fbkt%2Fk', 'bkt', 'k'],
    ['/bkt//k', 'bkt', '/k'],
    ['/bkt/a/../k', 'bkt', 'a/../k'],
    ['/bkt/k%20+%2B', 'bkt', 'k ++'],
    ['/bkt/%C3%BC', 'bkt', 'ü'],
    ['/bkt/\xc3\xbc', 'bkt', 'ü'],
    ['/bkt/%3FversionId%3Dx', 'bkt', '?versionId=x'],
    ['/bkt/k?versionId=null', 'bkt', 'k', 'null'],
    [`/bkt/k?versionId=${id}`, 'bkt', 'k', id],
    ['/bkt/k?v', 'bkt', 'k?v'],
  ]
  for (const [text, bucketName, key, versionId] of table)
    assert.deepEqual(parseCopySource(text), { bucketName, key, versionId }, text)
})

test('what is refused', () => {
  for (const text of [
    '',
    '/',
    'b',
    '/b',
    'bkt/',
    '//k',
    '/bkt/%',
    '/bkt/%zz',
    '/bkt/%ff',
    '/bkt/k?versionId=',
    '/bkt/k?versionId=x',
    'b/k',
    '192.168.1.1/k',
    'no_bucket/k',
  ])
    assert.throws(() => parseCopySource(text), { code: 'InvalidArgument' }, text)
})

test(`any text is taken or refused (seed ${SEED})`, () => {
  const random = seededRandom(SEED)
  const pieces = ['/', '%', '2F', 'b', '?versionId=', 'null', '\xff', '%00', '..', '+', '?', '=', '&']
  for (let i = 0; i < CASES; i++) {
    let text = ''
    for (let n = random.below(12); n > 0; n--) text += pieces[random.below(pieces.length)]
    try {
      const { bucketName, key } = parseCopySource(text)
      assert.ok(bucketName !== '' && !bucketName.includes('/') && key !== '')
    } catch (error) {
      assert.ok(error instanceof S3Error, String(error))
    }
  }
})
