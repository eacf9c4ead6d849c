/** The live records of an index, in order, against a Map. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { IndexArena } from './index-arena.ts'
import { LiveRecords } from './live-records.ts'
import { INDEX_STATE_WORDS, NeedleIndex } from './needle-index.ts'

const KEYS = 40_000
const OFFSET_MAX = 0xfffffff0

function filledIndex() {
  const random = seededRandom(3)
  const arena = IndexArena.create(64 * 1024 * 1024)
  const index = new NeedleIndex(arena, new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4)))
  const live = new Map<number, { keyHigh: number; keyLow: number }>()
  for (let at = 0; at < KEYS; at++) {
    const [keyHigh, keyLow] = [random.u32(), random.u32()]
    const offsetUnits = OFFSET_MAX - at * 11
    const isDeleted = at % 5 === 0
    index.put(keyHigh, keyLow, offsetUnits, 4, isDeleted)
    if (!isDeleted) live.set(offsetUnits, { keyHigh, keyLow })
  }
  return { index, live }
}

test('those that live, in the order of their places', async () => {
  const { index, live } = filledIndex()
  let pauses = 0
  const records = await LiveRecords.of(index, KEYS, async () => {
    pauses++
  })
  assert.ok(records !== undefined && pauses > 0)
  const found = records.entries(0, KEYS * 2)
  const wanted = [...live].sort(([a], [b]) => a - b)
  assert.deepEqual(
    found,
    wanted.map(([offsetUnits, key]) => ({ ...key, offsetUnits, sizeBytes: 0 })),
  )
  assert.deepEqual(records.entries(100, 103), found.slice(100, 103))
  for (let offset = OFFSET_MAX - 11 * 200; offset <= OFFSET_MAX + 3; offset++)
    assert.equal(records.has(offset), live.has(offset), `${offset}`)
  assert.equal(records.has(0), false)
})

test('none of an empty index; not more than are asked for', async () => {
  const arena = IndexArena.create(1024 * 1024)
  const empty = new NeedleIndex(arena, new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4)))
  const pause = async () => {}
  const none = await LiveRecords.of(empty, 0, pause)
  assert.deepEqual([none?.length, none?.has(8), none?.entries(0, 10)], [0, false, []])
  const { index } = filledIndex()
  assert.equal(await LiveRecords.of(index, KEYS / 2, pause), undefined)
})
