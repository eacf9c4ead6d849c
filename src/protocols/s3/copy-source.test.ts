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
    ['b/k', 'b', 'k'],
    ['/b/k', 'b', 'k'],
    ['b%2Fk', 'b', 'k'],
    ['%2Fb%2Fk', 'b', 'k'],
    ['/b//k', 'b', '/k'],
    ['/b/a/../k', 'b', 'a/../k'],
    ['/b/k%20+%2B', 'b', 'k ++'],
    ['/b/%C3%BC', 'b', 'ü'],
    ['/b/\xc3\xbc', 'b', 'ü'],
    ['/b/%3FversionId%3Dx', 'b', '?versionId=x'],
    ['/b/k?versionId=null', 'b', 'k', 'null'],
    [`/b/k?versionId=${id}`, 'b', 'k', id],
    ['/b/k?v', 'b', 'k?v'],
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
    'b/',
    '//k',
    '/b/%',
    '/b/%zz',
    '/b/%ff',
    '/b/k?versionId=',
    '/b/k?versionId=x',
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
