import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  evaluateConditions,
  formatHttpDate,
  ifRangeHolds,
  parseEtagList,
  parseHttpDate,
} from './conditional.ts'

const S = 1_795_000_000
const [EARLIER, SAME, LATER] = [S - 1, S, S + 1].map(formatHttpDate) as [string, string, string]
const file = { etag: '"aabb"', lastModifiedS: S }

test('conditions of RFC 9110, section 13', () => {
  const cases: [conditions: Parameters<typeof evaluateConditions>[0], wanted: 304 | 412 | undefined][] = [
    [{}, undefined],
    [{ ifNoneMatch: '"aabb"' }, 304],
    [{ ifNoneMatch: 'W/"aabb"' }, 304],
    [{ ifNoneMatch: '*' }, 304],
    [{ ifNoneMatch: '"x", "a,b" , W/"aabb"' }, 304],
    [{ ifNoneMatch: '"x"' }, undefined],
    [{ ifNoneMatch: 'aabb' }, undefined],
    [{ ifNoneMatch: '"aabb' }, undefined],
    [{ ifNoneMatch: '' }, undefined],
    [{ ifModifiedSince: SAME }, 304],
    [{ ifModifiedSince: LATER }, 304],
    [{ ifModifiedSince: EARLIER }, undefined],
    [{ ifModifiedSince: 'yesterday' }, undefined],
    [{ ifNoneMatch: '"x"', ifModifiedSince: SAME }, undefined],
    [{ ifMatch: '"aabb"' }, undefined],
    [{ ifMatch: '*' }, undefined],
    [{ ifMatch: 'W/"aabb"' }, 412],
    [{ ifMatch: '"x"' }, 412],
    [{ ifUnmodifiedSince: SAME }, undefined],
    [{ ifUnmodifiedSince: EARLIER }, 412],
    [{ ifMatch: '"aabb"', ifUnmodifiedSince: EARLIER }, undefined],
  ]
  for (const [conditions, wanted] of cases) {
    assert.equal(evaluateConditions(conditions, file), wanted, JSON.stringify(conditions))
  }
  assert.equal(
    evaluateConditions({ ifModifiedSince: SAME }, { etag: '"x"', lastModifiedS: undefined }),
    undefined,
  )
})

test('If-Range', () => {
  assert.ok(ifRangeHolds(undefined, file))
  assert.ok(ifRangeHolds('"aabb"', file))
  assert.ok(!ifRangeHolds('W/"aabb"', file))
  assert.ok(!ifRangeHolds('"x"', file))
  assert.ok(ifRangeHolds(SAME, file))
  assert.ok(!ifRangeHolds(LATER, file))
  assert.ok(!ifRangeHolds('nonsense', file))
})

test('dates', () => {
  assert.equal(formatHttpDate(784_111_777), 'Sun, 06 Nov 1994 08:49:37 GMT')
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), 784_111_777)
  for (const text of ['Sun, 06 Foo 1994 08:49:37 GMT', '1994-11-06', 'Sunday, 06-Nov-94 08:49:37 GMT', '']) {
    assert.equal(parseHttpDate(text), undefined, text)
  }
})

test('dates are written as Date writes them', () => {
  const check = (seconds: number) =>
    assert.equal(formatHttpDate(seconds), new Date(seconds * 1_000).toUTCString())
  for (let day = 0; day < 3_000_000; day += 97) check(day * 86_400 + ((day * 7_919) % 86_400))
  for (const text of [
    '2000-02-29T23:59:59Z',
    '2100-02-28T00:00:00Z',
    '2100-03-01T00:00:00Z',
    '1999-12-31T12:00:00Z',
  ])
    check(Date.parse(text) / 1_000)
  for (const seconds of [0, -1, 0.5, 253_402_300_799, 253_402_300_800]) check(seconds)
})

test('lists of entity tags of writes', () => {
  const cases: [list: string, strong: string[] | '*' | undefined, weak: string[] | '*' | undefined][] = [
    ['"a"', ['a'], ['a']],
    [' * ', '*', '*'],
    ['W/"a"', [], ['a']],
    [', W/"a" ,"b,c", "",W/"d"', ['b,c', ''], ['a', 'b,c', '', 'd']],
    ['a', undefined, undefined],
    ['"a" "b"', undefined, undefined],
    ['"a", b', undefined, undefined],
    ['', undefined, undefined],
  ]
  for (const [list, strong, weak] of cases)
    assert.deepEqual([parseEtagList(list, 'strong'), parseEtagList(list, 'weak')], [strong, weak], list)
})
