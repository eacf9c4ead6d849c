/** The page allocator: pages are given once, come back, and run out without harm. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionFailure } from '../base/assert.ts'
import { IndexArena, PAGE_BYTES } from './index-arena.ts'

test('pages are given once, and again after they came back', () => {
  const arena = IndexArena.create(10 * PAGE_BYTES + 100)
  assert.deepEqual([arena.pageCount, arena.pagesUsed, arena.pagesFree], [10, 1, 9])
  const list = new Int32Array(9)
  assert.equal(arena.allocate(list, 4), true)
  assert.deepEqual([...list.subarray(0, 4)], [1, 2, 3, 4])
  assert.equal(arena.allocate(list.subarray(4), 5), true)
  assert.equal(new Set(list).size, 9)
  assert.equal(arena.bytesUsed, 10 * PAGE_BYTES)
  const none = new Int32Array(1)
  assert.equal(arena.allocate(none, 1), false)
  arena.free(list, 3)
  assert.equal(arena.pagesFree, 3)
  assert.equal(arena.allocate(new Int32Array(4), 4), false)
  assert.equal(arena.pagesFree, 3, 'what does not fit takes nothing')
  const again = new Int32Array(3)
  assert.equal(new IndexArena(arena.shared).allocate(again, 3), true)
  assert.deepEqual([...again].sort(), [...list.subarray(0, 3)].sort())
})

test('freeing twice, or what was never given, is a bug and leaves the arena usable', () => {
  const arena = IndexArena.create(10 * PAGE_BYTES)
  const list = new Int32Array(2)
  arena.allocate(list, 2)
  arena.free(list, 1)
  assert.throws(() => arena.free(list, 1), AssertionFailure)
  assert.throws(() => arena.free(Int32Array.of(7), 1), AssertionFailure)
  assert.throws(() => arena.free(Int32Array.of(0), 1), AssertionFailure)
  assert.equal(arena.allocate(list, 1), true)
})

test('pages above 4 GiB of address space cost nothing until used, and hold what is written', (t) => {
  let arena: IndexArena
  try {
    arena = IndexArena.create(5 * 2 ** 30)
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'index_full')
    return t.skip('the machine does not promise 5 GiB')
  }
  const at = (arena.pageCount - 1) * (PAGE_BYTES / 4)
  arena.words[at] = 0xdeadbeef
  assert.equal(arena.halves[at * 2 + 1], 0xdead)
})

test('a buffer that is no arena, and an arena without pages, are refused', () => {
  assert.throws(() => new IndexArena(new SharedArrayBuffer(8192)), AssertionFailure)
  assert.throws(() => IndexArena.create(PAGE_BYTES), AssertionFailure)
})
