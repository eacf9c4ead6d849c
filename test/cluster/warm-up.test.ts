/** What a master that just started does not claim. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WarmUp } from '../../src/blobs/master/warm-up.ts'
import { SimClock } from '../sim/sim-clock.ts'

test('it is over when every known node has reported', () => {
  const clock = new SimClock()
  const warmUp = new WarmUp({ clock, knownNodeIds: ['a', 'b'], fresh: false, periodMs: 1000 })
  assert.match(warmUp.reason ?? '', /no volume server has reported/)
  warmUp.nodeReported('a', 3)
  warmUp.nodeReported('new', 3)
  assert.match(warmUp.reason ?? '', /still reporting/)
  warmUp.nodeReported('b', 0)
  assert.equal(warmUp.reason, undefined)
})

test('a known node that does not return is awaited five periods', () => {
  const clock = new SimClock()
  const warmUp = new WarmUp({ clock, knownNodeIds: ['a', 'b'], fresh: false, periodMs: 1000 })
  warmUp.nodeReported('a', 3)
  clock.advance(4_999)
  assert.notEqual(warmUp.reason, undefined)
  clock.advance(1)
  assert.equal(warmUp.reason, undefined)
})

test('without any report it is never over', () => {
  const clock = new SimClock()
  const warmUp = new WarmUp({ clock, knownNodeIds: [], fresh: false, periodMs: 1000 })
  clock.advance(60_000)
  assert.notEqual(warmUp.reason, undefined)
  warmUp.nodeReported('a', 0)
  assert.equal(warmUp.reason, undefined)
})

test('the first start beside an empty server is over at once', () => {
  const warmUp = new WarmUp({ clock: new SimClock(), knownNodeIds: [], fresh: true, periodMs: 1000 })
  warmUp.nodeReported('a', 0)
  assert.equal(warmUp.reason, undefined)
})

test('the first start beside servers with volumes waits for the others', () => {
  const clock = new SimClock()
  const warmUp = new WarmUp({ clock, knownNodeIds: [], fresh: true, periodMs: 1000 })
  clock.advance(30_000)
  warmUp.nodeReported('a', 7)
  assert.notEqual(warmUp.reason, undefined)
  clock.advance(2_000)
  assert.equal(warmUp.reason, undefined)
})
