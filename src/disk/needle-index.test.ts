/** The needle index against a Map: what it says, in which order, in how many pages, with how many bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionFailure } from '../base/assert.ts'
import { type Random, seededRandom, systemRandom } from '../base/random.ts'
import { IndexArena, PAGE_BYTES, PAGE_WORDS } from './index-arena.ts'
import { INDEX_STATE_WORDS, type IndexEntries, indexEntries, NeedleIndex } from './needle-index.ts'

type Model = Map<bigint, { offset: number; length: number; deleted: boolean }>

const MIB = 2 ** 20
const LONGEST_UNITS = 2 ** 29
const TOP = 2n ** 64n - 1n

function newIndex(arena: IndexArena): NeedleIndex {
  return new NeedleIndex(arena, new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4)))
}

const highOf = (key: bigint) => Number(key >> 32n)
const lowOf = (key: bigint) => Number(key & 0xffffffffn)
const u64 = (random: Random) => (BigInt(random.u32()) << 32n) | BigInt(random.u32())

/** The next key of a run of operations. */
const KEYS: Record<string, (random: Random, step: number) => bigint> = {
  ascending: (_, step) => BigInt(step + 1),
  'ascending over a 32-bit border': (_, step) => 0xffff_fe00n + BigInt(step),
  'slightly shuffled': (random, step) => BigInt(step * 3 + random.below(60)),
  'wide steps': (random, step) => BigInt(step) * 1000n + BigInt(random.below(5000)),
  'random 64 bits': (random) => u64(random),
  'random, few': (random) => BigInt(random.below(700)) * 0x1_0000_0001n,
  clustered: (random) =>
    (BigInt(random.below(4)) << 61n) + BigInt(random.below(40)) * 0x10000n + BigInt(random.below(300)),
  descending: (_, step) => 0x2_0000_0000n - BigInt(step) * 7n,
  'near both ends': (random) =>
    random.below(2) === 0 ? BigInt(random.below(400)) : TOP - BigInt(random.below(400)),
  'runs in the middle': (random, step) => (BigInt(random.below(3)) << 40n) + BigInt(step),
}

function seeds(): number[] {
  const asked = process.env.CAIRN_SEED
  return asked === undefined ? [1, 2, systemRandom.u32()] : [Number(asked)]
}

/** One in 20, 200 or 2,000 is near the longest or near the border of the narrow format, so that pages fill before they widen. */
function someLength(random: Random, rarity: number): number {
  const kind = random.below(40 * rarity)
  if (kind === 0) return LONGEST_UNITS - random.below(3)
  return kind === 1 ? 0x7ff0 + random.below(0x20) : random.below(0x7fff)
}

function put(index: NeedleIndex, model: Model, key: bigint, random: Random, rarity = 1): void {
  const entry = { offset: random.u32(), length: someLength(random, rarity), deleted: random.below(5) === 0 }
  index.put(highOf(key), lowOf(key), entry.offset, entry.length, entry.deleted)
  model.set(key, entry)
}

function checkGet(index: NeedleIndex, model: Model, key: bigint): void {
  const expected = model.get(key)
  assert.equal(index.get(highOf(key), lowOf(key)), expected !== undefined, `key ${key}`)
  if (expected === undefined) return
  const { offsetUnits, lengthUnits, deleted } = index
  assert.deepEqual({ offset: offsetUnits, length: lengthUnits, deleted }, expected, `key ${key}`)
}

/** The whole index is the model: look-ups, order, counts, and the neighbours of each key. */
/** Every key from one on, page by page. */
function walk(index: NeedleIndex, from: bigint): bigint[] {
  const entries = indexEntries()
  const keys: bigint[] = []
  for (let at: bigint | undefined = from; at !== undefined; ) {
    index.readFrom(highOf(at), lowOf(at), entries)
    for (let i = 0; i < entries.count; i++) {
      keys.push((BigInt(entries.keyHighs[i]!) << 32n) | BigInt(entries.keyLows[i]!))
      assert.ok(index.get(entries.keyHighs[i]!, entries.keyLows[i]!))
      assert.equal(entries.offsetUnits[i], index.offsetUnits)
      assert.equal(entries.deleted[i] === 1, index.deleted)
    }
    const { next }: IndexEntries = entries
    at = next && (BigInt(next.keyHigh) << 32n) | BigInt(next.keyLow)
  }
  return keys
}

function checkAll(index: NeedleIndex, model: Model): void {
  const sorted = [...model.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  let at = 0
  index.forEach((keyHigh, keyLow, offset, length, deleted) => {
    const key = (BigInt(keyHigh) << 32n) | BigInt(keyLow)
    assert.equal(key, sorted[at++])
    assert.deepEqual({ offset, length, deleted }, model.get(key))
  })
  assert.equal(at, sorted.length)
  assert.equal(index.entryCount, sorted.length)
  const middle = sorted[sorted.length >> 1] ?? 0n
  for (const from of [0n, middle, middle + 1n])
    assert.deepEqual(
      walk(index, from),
      sorted.filter((key) => key >= from),
    )
  const last = sorted.at(-1)
  assert.deepEqual(
    index.maxKey(),
    last === undefined ? undefined : { keyHigh: highOf(last), keyLow: lowOf(last) },
  )
  for (const key of sorted) {
    checkGet(index, model, key)
    if (key > 0n) checkGet(index, model, key - 1n)
    if (key < TOP) checkGet(index, model, key + 1n)
  }
}

function anyKey(model: Model, recent: bigint[], random: Random): bigint {
  return recent[random.below(recent.length)] ?? (model.keys().next().value as bigint)
}

function runAgainstModel(kind: string, random: Random): void {
  const arena = IndexArena.create(4 * MIB)
  const index = newIndex(arena)
  const model: Model = new Map()
  const recent: bigint[] = []
  const nextKey = KEYS[kind] as (random: Random, step: number) => bigint
  const rarity = 10 ** random.below(3)
  for (let step = 0; step < 6000; step++) {
    const what = random.below(20)
    const key = what < 13 || recent.length === 0 ? nextKey(random, step) : anyKey(model, recent, random)
    if (what < 16) put(index, model, key, random, rarity)
    else if (what < 18) assert.equal(index.delete(highOf(key), lowOf(key)), model.delete(key))
    else checkGet(index, model, key)
    recent.push(key)
    if (random.below(4000) === 0) {
      index.clear()
      model.clear()
    }
    if (random.below(3000) === 0) checkAll(index, model)
    assert.equal(arena.pagesUsed, 1 + index.pageCount)
  }
  checkAll(index, model)
  // From the middle outwards, so that pages empty at both ends and in between.
  for (const key of [...model.keys()].sort(() => random.below(3) - 1)) {
    assert.equal(index.delete(highOf(key), lowOf(key)), true)
    model.delete(key)
    if (random.below(1000) === 0) checkAll(index, model)
  }
  checkAll(index, model)
  assert.equal(arena.pagesUsed, 1)
}

for (const kind of Object.keys(KEYS)) {
  test(`says what a Map says: ${kind}`, () => {
    for (const seed of seeds()) {
      try {
        runAgainstModel(kind, seededRandom(seed))
      } catch (cause) {
        throw new Error(`seed ${seed} (replay with CAIRN_SEED=${seed}): ${String(cause)}`, { cause })
      }
    }
  })
}

test('one long record among many short ones, at every place of a page of every fill', () => {
  const arena = IndexArena.create(4 * MIB)
  for (const farKeys of [0, 3]) {
    for (let count = 100; count < 256; count++) {
      for (let place = 0; place <= count; place += 3) {
        const index = newIndex(arena)
        // Every second key, so that there is room between them; some far below, as after a restart of the master.
        for (let i = 0; i < farKeys; i++) index.put(0, 1 + i, i, 10, false)
        for (let i = 0; i < count; i++) index.put(0, 0x4_0000 + 2 * i, i, 10, false)
        index.put(0, 0x4_0000 + 2 * place - 1, 77, LONGEST_UNITS, false)
        assert.equal(index.entryCount, farKeys + count + 1)
        assert.ok(index.get(0, 0x4_0000 + 2 * place - 1) && index.lengthUnits === LONGEST_UNITS)
        for (let i = 0; i < count; i++) assert.ok(index.get(0, 0x4_0000 + 2 * i) && index.offsetUnits === i)
        index.clear()
      }
    }
  }
})

test('a tree of several levels, from either side and from the middle', () => {
  const count = 60_000
  const keyOf: Record<string, (i: number) => number> = {
    up: (i) => i * 70_000,
    down: (i) => (count - i) * 70_000,
    inwards: (i) => (i % 2 === 0 ? i : 2 * count - i) * 20_000,
  }
  for (const [name, key] of Object.entries(keyOf)) {
    const arena = IndexArena.create(8 * MIB)
    const index = newIndex(arena)
    for (let i = 0; i < count; i++) index.put(i & 1, key(i), i, 10, false)
    for (let i = 0; i < count; i++)
      assert.ok(index.get(i & 1, key(i)) && index.offsetUnits === i, `${name} ${i}`)
    assert.equal(index.entryCount, count)
    for (let i = 0; i < count; i++) assert.ok(index.delete(i & 1, key(i)), `${name} ${i}`)
    assert.equal(arena.pagesUsed, 1, name)
  }
})

test('a far key with a long record gets a page of its own where no half of a full page can take it', () => {
  const random = seededRandom(6)
  const [arena, model]: [IndexArena, Model] = [IndexArena.create(MIB), new Map()]
  const index = newIndex(arena)
  for (let key = 0n; key < 254n; key++) {
    index.put(0, Number(key), 1, 2, false)
    model.set(key, { offset: 1, length: 2, deleted: false })
  }
  assert.equal(index.pageCount, 1)
  put(index, model, 2n ** 60n, random)
  for (const key of [2n ** 55n, 2n ** 50n]) {
    index.put(highOf(key), lowOf(key), 3, LONGEST_UNITS, true)
    model.set(key, { offset: 3, length: LONGEST_UNITS, deleted: true })
  }
  checkAll(index, model)
})

test('keys given as signed numbers are the same keys', () => {
  const index = newIndex(IndexArena.create(MIB))
  index.put(-1, -2, 7, 8, false)
  assert.ok(index.get(0xffffffff, 0xfffffffe))
  assert.ok(index.get(-1, -2))
  assert.ok(index.delete(-1, 0xfffffffe))
})

test('a used-up arena refuses, leaves the index as it was, and serves again when pages come back', () => {
  const random = seededRandom(3)
  for (const kind of ['ascending', 'random 64 bits']) {
    const arena = IndexArena.create(64 * PAGE_BYTES)
    const [index, other] = [newIndex(arena), newIndex(arena)]
    const [model, otherModel]: Model[] = [new Map(), new Map()]
    put(other, otherModel as Model, 5n, random)
    let refused = 0
    for (let step = 0; refused < 100; step++) {
      const key = (KEYS[kind] as (random: Random, step: number) => bigint)(random, step)
      const hadRoom = index.hasRoom()
      try {
        put(index, model as Model, key, random)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'index_full')
        assert.equal(hadRoom, false)
        refused++
      }
    }
    assert.equal(arena.pagesFree, 0)
    checkAll(index, model as Model)
    checkAll(other, otherModel as Model)
    const [first] = (model as Model).keys()
    put(index, model as Model, first as bigint, random)
    index.clear()
    assert.equal(arena.pagesUsed, 2)
    assert.ok(index.hasRoom())
    model?.clear()
    for (let step = 0; step < 2000; step++) put(index, model as Model, BigInt(step), random)
    checkAll(index, model as Model)
    checkAll(other, otherModel as Model)
  }
})

test('a tree built aside takes the place of the old one, whose pages are freed', () => {
  const random = seededRandom(4)
  const arena = IndexArena.create(4 * MIB)
  const [index, aside] = [newIndex(arena), newIndex(arena)]
  const [model, asideModel]: [Model, Model] = [new Map(), new Map()]
  for (let i = 0; i < 20_000; i++) put(index, model, u64(random), random)
  index.forEach((keyHigh, keyLow, offset, length, deleted) => {
    if (deleted) return
    aside.put(keyHigh, keyLow, offset ^ 1, length, false)
    asideModel.set((BigInt(keyHigh) << 32n) | BigInt(keyLow), {
      offset: (offset ^ 1) >>> 0,
      length,
      deleted: false,
    })
  })
  assert.ok(aside.pageCount < index.pageCount, 'ascending keys fill their pages')
  const pages = aside.pageCount
  index.adopt(aside)
  assert.equal(index.pageCount, pages)
  assert.equal(arena.pagesUsed, 1 + pages)
  checkAll(index, asideModel)
  checkAll(aside, new Map())
  for (let i = 0; i < 3000; i++) put(index, asideModel, u64(random), random)
  checkAll(index, asideModel)
  aside.put(0, 1, 2, 3, false)
  index.adopt(aside)
  aside.clear()
  assert.deepEqual([index.entryCount, aside.entryCount, arena.pagesUsed], [1, 0, 2])
})

test('another view of the same memory sees the same index', () => {
  const arena = IndexArena.create(MIB)
  const words = new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4))
  const [one, two] = [new NeedleIndex(arena, words), new NeedleIndex(new IndexArena(arena.shared), words)]
  for (let i = 0; i < 2000; i++) (i % 2 === 0 ? one : two).put(0, i, i, i, false)
  for (let i = 0; i < 2000; i++) assert.ok((i % 3 === 0 ? one : two).get(0, i))
  assert.equal(two.entryCount, 2000)
})

test('a look-up in pages of rubbish ends, with numbers or as a bug that is named', () => {
  const random = seededRandom(8)
  const arena = IndexArena.create(12 * PAGE_BYTES)
  const words = new Int32Array(new SharedArrayBuffer(INDEX_STATE_WORDS * 4))
  const index = new NeedleIndex(arena, words)
  const rootWord = 2
  for (let round = 0; round < 3000; round++) {
    for (let i = PAGE_WORDS; i < arena.words.length; i += 1 + random.below(8))
      arena.words[i] = random.below(2) ? random.u32() : random.below(14)
    for (let page = 1; page < arena.pageCount; page++) {
      // Kind, format and count of a page that may be right, and often is just beyond.
      const header = [(1 << 24) | (random.below(10) << 16) | random.below(300), (2 << 24) | random.below(180)]
      arena.words[page * PAGE_WORDS] = header[random.below(2)] as number
    }
    words[rootWord] = random.below(14)
    words[rootWord + 1] = 1 + random.below(8)
    try {
      if (!index.get(random.u32() >>> random.below(32), random.u32())) continue
      assert.ok(Number.isInteger(index.offsetUnits) && Number.isInteger(index.lengthUnits))
    } catch (error) {
      assert.ok(error instanceof AssertionFailure, String(error))
    }
  }
})

test('memory: 1 million needles', () => {
  const count = 1_000_000
  const random = seededRandom(5)
  const perNeedle = (next: (i: number) => [number, number]) => {
    const index = newIndex(IndexArena.create(64 * MIB))
    for (let i = 0; i < count; i++) index.put(...next(i), i, 130, false)
    return (index.pageCount * PAGE_BYTES) / index.entryCount
  }
  const inFlight = Array.from({ length: 16 }, (_, i) => i)
  const bytes = {
    assigned: perNeedle((i) => [0, i]),
    // One of 300 volumes: keys that ascend in steps of about 300.
    spread: perNeedle((i) => [Math.floor((i * 300) / 2 ** 32), (i * 300 + random.below(300)) >>> 0]),
    // 16 writers, each of which takes the next key and writes it some time later.
    concurrent: perNeedle((i) => {
      const writer = random.below(16)
      const key = inFlight[writer] as number
      inFlight[writer] = i + 16
      return [0, key]
    }),
    random: perNeedle(() => [random.u32(), random.u32()]),
  }
  const limits = { assigned: 9, spread: 12, concurrent: 10, random: 24 }
  for (const [kind, limit] of Object.entries(limits)) {
    const measured = bytes[kind as keyof typeof bytes]
    assert.ok(measured <= limit, `${kind}: ${measured.toFixed(2)} bytes a needle`)
  }
})
