/** A sync of sets waits for those who were answered to come again: not long, and not where they do not come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Gathered, SyncGathering } from '../../src/objects/sync-gathering.ts'
import { SimClock } from '../sim/sim-clock.ts'

function kit() {
  const clock = new SimClock()
  let begun = 0
  const running: Gathered[] = []
  const gathering = new SyncGathering(clock, () => begun++)
  return {
    clock,
    begun: () => begun,
    join(times: number, sizeBytes = 1_000) {
      for (let i = 0; i < times; i++) gathering.join(sizeBytes)
    },
    begin: () => running.push(gathering.begun()),
    ended: () => gathering.ended(running.shift()!),
    /** As when the sync that was asked for is done. */
    end() {
      gathering.ended(gathering.begun())
    },
  }
}

test('one who waits for each answer never waits for others', () => {
  const { join, begun, end } = kit()
  for (let at = 1; at <= 20; at++) {
    join(1)
    assert.equal(begun(), at)
    end()
  }
})

test('the next sync begins when as many wait as the last one answered or let wait', () => {
  const { join, begun, begin, ended, end } = kit()
  join(1)
  join(2)
  begin()
  join(4)
  assert.equal(begun(), 1)
  ended()
  assert.equal(begun(), 1, 'three are answered, and four wait')
  join(2)
  assert.equal(begun(), 1)
  join(1)
  assert.equal(begun(), 2)
  end()
  join(6)
  assert.equal(begun(), 2)
  join(1)
  assert.equal(begun(), 3)
})

test('nobody waits long, or after a while', () => {
  const { clock, join, begun, end } = kit()
  join(5)
  end()
  join(1)
  assert.equal(begun(), 1)
  clock.advance(10)
  assert.equal(begun(), 2)
  join(4)
  end()
  clock.advance(10)
  assert.equal(begun(), 2, 'nobody is there')
  join(1)
  assert.equal(begun(), 3)
})

test('nobody waits for others who bring much, and the next sync is asked for while one is under way', () => {
  const { join, begun, begin, ended } = kit()
  for (const wanted of [1, 2]) {
    join(3, 30_000)
    assert.equal(begun(), wanted)
    begin()
    if (wanted === 1) ended()
  }
  join(2, 40_000)
  assert.equal(begun(), 3)
  begin()
  ended()
  join(1)
  assert.equal(begun(), 4)
  ended()
  begin()
  ended()
  join(1)
  assert.equal(begun(), 5)
})

test('where others never come, it is tried less and less', () => {
  const { clock, join, begun, begin, ended } = kit()
  let waits = 0
  for (let at = 0; at < 3_000; at++) {
    const before = begun()
    join(1)
    if (begun() === before) {
      waits++
      clock.advance(10)
    }
    assert.equal(begun(), before + 1)
    begin()
    // They come while the sync is under way, and once.
    join(1)
    ended()
    if (begun() === before + 1) {
      waits++
      clock.advance(10)
    }
    assert.equal(begun(), before + 2)
    begin()
    ended()
  }
  assert.ok(waits < 30, `${waits} waits`)
})

test('a sync that has all whom it waited for takes courage again', () => {
  const { clock, join, begun, end } = kit()
  for (let at = 0; at < 20; at++) {
    join(2)
    end()
    const before = begun()
    join(1)
    assert.equal(begun(), before, 'it waits')
    if (at % 2 === 0) join(1)
    else clock.advance(10)
    assert.equal(begun(), before + 1)
    end()
    clock.advance(10)
  }
})

test('others who come late are not waited for again soon', () => {
  const { clock, join, begun, begin, ended } = kit()
  let waits = 0
  for (let at = 0; at < 100; at++) {
    const before = begun()
    join(1)
    if (begun() === before) {
      waits++
      clock.advance(1.5)
    }
    join(1)
    assert.equal(begun(), before + 1)
    begin()
    clock.advance(0.5)
    ended()
    if (at % 25 === 0) clock.advance(10)
  }
  assert.ok(waits < 20, `${waits} waits`)
})
