/** What comes in one piece and what comes in two, cut anywhere, is understood alike, in the short ways as in the long one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Parser } from './parser.ts'

const VALUE_BYTES_MAX = 6_000
const LONG = 'l'.repeat(5_000)
const SENT = [
  'set a 1 0 3\r\nabc\r\nget a\r\nget a b\r\nset  b 2 30 2 \r\nde\r\nset \u0001 0 0 1\r\nx\r\nset q 0 0 1 noreply\r\ny\r\n',
  `set l 0 0 ${LONG.length}\r\n${LONG}\r\nset e 0 0 0\r\n\r\nget\r\nget \r\nget ${'k'.repeat(251)}\r\nset n 0 0 1 nope\r\nz\r\n`,
  'set bad 0 0 2\r\nabc\r\nset f 4294967295 -1 1\r\nf\nset g 9999999999 0 1\r\ng\r\nset h 0 0 7000\r\n',
  `${'h'.repeat(7_000)}\r\ngets a\nversion\r\nset i 0 0 2\r\n\r\n\r\nset j 0 0 1\nj\r\nset end 0 0 1\r\n.\r\nget end\r\n`,
].join('')

/** All commands, whichever way gives them, as text. */
function understood(pieces: readonly Buffer[]): string[] {
  const parser = new Parser(dataOf, { keyBytesMax: 250, valueBytesMax: VALUE_BYTES_MAX })
  const found: string[] = []
  for (const piece of pieces) {
    const borrowed = Buffer.from(piece)
    parser.add(borrowed)
    for (let next = nextOf(parser); next !== undefined; next = nextOf(parser)) found.push(next)
    parser.keepRest()
    borrowed.fill(0)
  }
  return found
}

function nextOf(parser: Parser): string | undefined {
  const key = parser.nextPlainGet()
  if (key !== undefined) return `get ${key.toString('latin1')}: undefined`
  const set = parser.nextPlainSet()
  if (set === 'more') return undefined
  if (set !== undefined) {
    const silent = set.isSilent ? ' noreply' : ''
    return `set ${set.name.toString('latin1')} ${set.flags} ${set.exptime} ${set.value.length}${silent}: ${set.value.toString('latin1')}`
  }
  const command = parser.next()
  if (command === undefined || typeof command === 'string') return command
  return `${command.words.join(' ')}: ${command.data?.toString('latin1')}`
}

function dataOf(words: readonly string[]) {
  if (words[0] !== 'set') return undefined
  const sizeBytes = Number(words[4])
  return { sizeBytes, keep: sizeBytes <= VALUE_BYTES_MAX }
}

test('commands are the same wherever packets cut them', () => {
  const sent = Buffer.from(SENT, 'latin1')
  const whole = understood([sent])
  assert.equal(whole.length, 24)
  assert.deepEqual(whole.slice(0, 5), [
    'set a 1 0 3: abc',
    'get a: undefined',
    'get a b: undefined',
    'set b 2 30 2: de',
    'set \u0001 0 0 1: x',
  ])
  assert.deepEqual(whole.slice(-2), ['set end 0 0 1: .', 'get end: undefined'])
  assert.ok(whole.includes('set bad 0 0 2: bad') && whole.includes(`set h 0 0 7000: refused`))
  for (let at = 0; at <= sent.length; at += at % 1_000 < 900 ? 1 : 7)
    assert.deepEqual(understood([sent.subarray(0, at), sent.subarray(at)]), whole, `cut at ${at}`)
  const pieces = Array.from({ length: Math.ceil(sent.length / 5) }, (_, i) => sent.subarray(i * 5, i * 5 + 5))
  assert.deepEqual(understood(pieces), whole)
})
