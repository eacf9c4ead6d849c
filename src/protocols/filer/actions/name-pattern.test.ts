import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchesPattern, patternPrefix } from './name-pattern.ts'

test('stars and question marks', () => {
  const cases: [pattern: string, name: string, matches: boolean][] = [
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['?', '', false],
    ['?', 'é', true],
    ['?', '😀', true],
    ['*.txt', 'a.txt', true],
    ['*.txt', 'a.txt.bak', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['[a-z]', '[a-z]', true],
    ['[a-z]', 'b', false],
    ['**a**', 'bab', true],
    ['a.c', 'abc', false],
    ['*ab', 'aab', true],
    ['IMG_????.jpg', 'IMG_0001.jpg', true],
    ['img_*', 'IMG_0001.jpg', false],
  ]
  for (const [pattern, name, matches] of cases)
    assert.equal(matchesPattern(pattern, name), matches, `${pattern} on ${name}`)
})

test('a pattern made to be slow is not', () => {
  const name = 'a'.repeat(20_000)
  assert.equal(matchesPattern(`${'*a'.repeat(500)}*b`, name), false)
})

test('what all matches begin with', () => {
  assert.equal(patternPrefix('abc'), 'abc')
  assert.equal(patternPrefix('ab*c'), 'ab')
  assert.equal(patternPrefix('?x'), '')
})
