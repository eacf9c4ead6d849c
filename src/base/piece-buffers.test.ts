import assert from 'node:assert/strict'
import { test } from 'node:test'
import { givingBack, PieceBuffers } from './piece-buffers.ts'

test('a piece that was given back is used again, once', () => {
  const buffers = new PieceBuffers(8, 2)
  const whole = buffers.take()
  const piece = buffers.lend(whole, 2, 5)
  assert.equal(piece.length, 3)
  const { giveBack } = piece
  giveBack!()
  assert.equal(piece.giveBack, undefined)
  assert.equal(buffers.take(), whole)
  assert.notEqual(buffers.take(), whole)
  assert.throws(() => giveBack!(), /given back once/, 'or two would write to the same memory')
  assert.notEqual(buffers.take(), whole)
})

test('no more are kept than may be', () => {
  const buffers = new PieceBuffers(8, 1)
  const wholes = [buffers.take(), buffers.take()]
  for (const whole of wholes) buffers.lend(whole, 0, 8).giveBack!()
  assert.equal(buffers.take(), wholes[0])
  assert.notEqual(buffers.take(), wholes[1])
})

test('a write that failed gives nothing back, for its bytes may be in use', () => {
  const buffers = new PieceBuffers(8, 1)
  const whole = buffers.take()
  const piece = buffers.lend(whole, 0, 8)
  givingBack(piece)!(new Error('the reader has left'))
  assert.notEqual(buffers.take(), whole)
  givingBack(piece)!(null)
  assert.equal(buffers.take(), whole)
  assert.equal(givingBack(Buffer.alloc(1)), undefined)
})
