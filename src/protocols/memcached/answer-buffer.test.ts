/** Answers lie one behind the other as the protocol has them, and memory that is in use is left alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerBuffer } from './answer-buffer.ts'

test('values and other answers are put together', () => {
  const answers = new AnswerBuffer()
  const bytes = Buffer.from('xxvalue of eighteenxx')
  const key = Buffer.from('key\xff', 'latin1')
  assert.ok(answers.addValue(key, { flags: 0, bytes, start: 2, end: 2 }))
  assert.ok(answers.add(Buffer.from('END\r\n')))
  assert.ok(answers.addValue(key, { flags: 2 ** 32 - 1, bytes, start: 2, end: 19 }))
  assert.ok(answers.addValue(key, { flags: 10, bytes, start: 2, end: 11 }))
  const wanted = [
    'VALUE key\xff 0 0\r\n\r\nEND\r\nEND\r\n',
    'VALUE key\xff 4294967295 17\r\nvalue of eighteen\r\nEND\r\n',
    'VALUE key\xff 10 9\r\nvalue of \r\nEND\r\n',
  ]
  assert.ok(!answers.isEmpty)
  assert.equal(answers.take().toString('latin1'), wanted.join(''))
  assert.ok(answers.isEmpty)
})

test('what has no room is refused as a whole, and goes behind what was taken', () => {
  const answers = new AnswerBuffer()
  const value = { flags: 1, bytes: Buffer.alloc(20_000, 'v'), start: 0, end: 20_000 }
  let added = 0
  while (answers.addValue(Buffer.from('k'), value)) added++
  assert.equal(added, 3)
  assert.ok(!answers.add(Buffer.alloc(10_000)))
  const one = `VALUE k 1 20000\r\n${'v'.repeat(20_000)}\r\nEND\r\n`
  assert.equal(answers.take().toString(), one.repeat(3))
  assert.ok(answers.addValue(Buffer.from('k'), value))
  assert.equal(answers.take().toString(), one)
  assert.ok(!answers.add(Buffer.alloc(100_000)))
  assert.ok(answers.isEmpty)
})

test('memory that stays in use is not written to again', () => {
  const answers = new AnswerBuffer()
  answers.add(Buffer.from('first'))
  const first = answers.take()
  answers.leaveMemory()
  answers.add(Buffer.from('other'))
  assert.equal(answers.take().toString(), 'other')
  assert.equal(first.toString(), 'first')
})
