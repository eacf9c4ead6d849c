/**
 * The needle index between real threads. Readers look up without a lock while a writer splits, rewrites, empties and reuses
 * pages. Whatever they find must be something that was true at some time. The threads run this same file.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { seededRandom } from '../base/random.ts'
import { IndexArena, PAGE_BYTES } from './index-arena.ts'
import { INDEX_STATE_WORDS, type IndexEntries, indexEntries, NeedleIndex } from './needle-index.ts'

/** Stable keys are multiples of 4, changing ones have remainder 1, those that come and go 2; nobody writes remainder 3. */
const KEYS = 40_000
const WRITES = 120_000
const GETS = 150_000
const ALLOCATOR_ROUNDS = 150

interface Task {
  role: 'writer' | 'reader' | 'allocator'
  arena: SharedArrayBuffer
  states: SharedArrayBuffer
  seed: number
}

/** Stable keys keep this offset for ever; for all, the length follows from key and offset. */
const stableOffset = (key: number) => (key * 7 + 3) >>> 0
const lengthFor = (key: number, offset: number) => {
  const mixed = (Math.imul(key, 0x9e3779b1) ^ Math.imul(offset, 0x85ebca6b)) >>> 0
  return mixed % 50 === 0 ? mixed >>> 3 : mixed & 0x7fff
}
/** Half of the keys lie far apart, so that pages of several formats come and go. */
const highFor = (key: number) => (key >= KEYS / 2 ? Math.imul(key >>> 3, 0x10001) >>> 0 : 0)

function stateOf(states: SharedArrayBuffer, index: number): Int32Array {
  return new Int32Array(states, index * INDEX_STATE_WORDS * 4, INDEX_STATE_WORDS)
}

function putKey(index: NeedleIndex, key: number, offset: number): void {
  const length = lengthFor(key, offset)
  index.put(highFor(key), key, offset, length, (length & 1) === 1)
}

/** The threads of a test start together. */
function meet(arena: IndexArena, threads: number): void {
  const word = new Int32Array(arena.shared, PAGE_BYTES - 4, 1)
  Atomics.add(word, 0, 1)
  Atomics.notify(word, 0)
  for (let seen = Atomics.load(word, 0); seen < threads; seen = Atomics.load(word, 0)) {
    if (Atomics.wait(word, 0, seen, 10_000) === 'timed-out')
      throw new Error('the other threads did not start')
  }
}

function write({ arena: shared, states, seed }: Task): void {
  const arena = new IndexArena(shared)
  const [index, other, aside] = [0, 1, 2].map((i) => new NeedleIndex(arena, stateOf(states, i)))
  if (!index || !other || !aside) throw new Error('three indexes')
  const random = seededRandom(seed)
  meet(arena, 3)
  for (let i = 0; i < WRITES; i++) {
    const key = random.below(KEYS / 4) * 4
    putKey(index, key + 1, random.u32())
    if (random.below(2) === 0) putKey(index, key + 2, random.u32())
    else index.delete(highFor(key + 2), key + 2)
    // A second volume grows and vanishes, so that freed pages get other contents at once.
    putKey(other, KEYS + (i % 3000) * 4, i)
    if (i % 3000 === 2999) other.clear()
    if (i % 30_000 === 29_999) {
      index.forEach((...entry) => {
        aside.put(...entry)
      })
      index.adopt(aside)
    }
  }
}

/** A walk beside a writer meets all that stays. */
function walkStable(index: NeedleIndex): void {
  const entries = indexEntries()
  let [met, last] = [0, -1n]
  for (let at: IndexEntries['next'] = { keyHigh: 0, keyLow: 0 }; at !== undefined; at = entries.next) {
    index.readFrom(at.keyHigh, at.keyLow, entries)
    for (let i = 0; i < entries.count; i++) {
      const key = (BigInt(entries.keyHighs[i]!) << 32n) | BigInt(entries.keyLows[i]!)
      assert.ok(key > last)
      last = key
      if (entries.keyLows[i]! % 4 !== 0) continue
      assert.equal(entries.offsetUnits[i], stableOffset(entries.keyLows[i]!))
      met++
    }
  }
  assert.equal(met, KEYS / 4)
}

function read({ arena: shared, states, seed }: Task): void {
  const arena = new IndexArena(shared)
  const index = new NeedleIndex(arena, stateOf(states, 0))
  const random = seededRandom(seed)
  meet(arena, 3)
  for (let i = 0; i < GETS; i++) {
    if (i % 100_000 === 0) walkStable(index)
    const key = random.below(KEYS)
    const found = index.get(highFor(key), key)
    const { offsetUnits, lengthUnits, deleted } = index
    if (key % 4 === 3) assert.equal(found, false)
    if (key % 4 === 0)
      assert.ok(found && offsetUnits === stableOffset(key), `stable key ${key}: ${found} ${offsetUnits}`)
    if (!found) continue
    assert.equal(lengthUnits, lengthFor(key, offsetUnits), `key ${key} at ${offsetUnits}`)
    assert.equal(deleted, (lengthUnits & 1) === 1)
  }
}

function allocate({ arena: shared, states, seed }: Task): void {
  const arena = new IndexArena(shared)
  const index = new NeedleIndex(arena, stateOf(states, seed))
  const random = seededRandom(seed)
  meet(arena, 3)
  for (let round = 0; round <= ALLOCATOR_ROUNDS; round++) {
    index.clear()
    const count = 1 + random.below(3000)
    for (let i = 0; i < count; i++) putKey(index, (i * 40_503) % 65_536, i * 3 + seed)
    let seen = 0
    index.forEach((_, key, offset, length) => {
      assert.equal(length, lengthFor(key, offset))
      assert.equal(offset % 3, seed)
      seen++
    })
    assert.equal(seen, count)
  }
}

async function runThreads(tasks: Task[]): Promise<void> {
  await Promise.all(
    tasks.map(
      (task) =>
        new Promise<void>((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: task })
          worker.once('error', reject)
          worker.once('exit', (code) =>
            code === 0 ? resolve() : reject(new Error(`a thread ended with ${code}`)),
          )
        }),
    ),
  )
}

function addTests(): void {
  test('readers without a lock find what is true while a writer changes everything', async () => {
    const arena = IndexArena.create(32 * 2 ** 20)
    const states = new SharedArrayBuffer(3 * INDEX_STATE_WORDS * 4)
    const index = new NeedleIndex(arena, stateOf(states, 0))
    for (let key = 0; key < KEYS; key += 4) putKey(index, key, stableOffset(key))
    const common = { arena: arena.shared, states }
    await runThreads([
      { role: 'writer', seed: 1, ...common },
      { role: 'reader', seed: 2, ...common },
      { role: 'reader', seed: 3, ...common },
    ])
    assert.ok(index.entryCount > KEYS / 4)
    const other = new NeedleIndex(arena, stateOf(states, 1))
    assert.equal(arena.pagesUsed, 1 + index.pageCount + other.pageCount)
  })

  test('three threads that fill and clear their indexes never get the same page', async () => {
    const arena = IndexArena.create(8 * 2 ** 20)
    const states = new SharedArrayBuffer(3 * INDEX_STATE_WORDS * 4)
    const common = { role: 'allocator' as const, arena: arena.shared, states }
    await runThreads([0, 1, 2].map((seed) => ({ seed, ...common })))
    const pages = [0, 1, 2].map((i) => new NeedleIndex(arena, stateOf(states, i)).pageCount)
    assert.equal(arena.pagesUsed, 1 + pages.reduce((sum, count) => sum + count, 0))
  })
}

if (isMainThread) addTests()
else if (parentPort !== null) {
  const task = workerData as Task
  const roles = { writer: write, reader: read, allocator: allocate }
  roles[task.role](task)
}
