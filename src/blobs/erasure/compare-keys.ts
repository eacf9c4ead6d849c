/**
 * Finds the keys that the members of an erasure group do not all have, without copying whole lists of keys about: the one who
 * compares walks over its own keys, and tells the others of each range how many live ones it has and a checksum of them;
 * only who has others says which. At most a few ranges are in memory.
 */
import { crc32c } from '../../base/checksum.ts'
import {
  compareKeys,
  cutRange,
  type Key,
  type KeyRange,
  type KeyState,
  nextKey,
} from '../../disk/volume-keys.ts'

/** What live keys of a range there are; deleted ones do not count, for a compaction forgets them. */
export interface RangeDigest {
  live: number
  checksum: number
}

export interface KeyQuery {
  from: Key
  /** The last key of the range; undefined: no end. */
  through: Key | undefined
  digest: RangeDigest
  countMax: number
}

/** 'same': the range holds the same live keys. Else the keys, of a shorter range where there are many. */
export type KeyAnswer = KeyRange | 'same'

export interface ComparedMember {
  keys(query: KeyQuery): Promise<KeyAnswer>
}

export interface Differing {
  /** Live in one and not in all of those that answered. */
  keys: Key[]
  /** Keys of the walker in the range. */
  compared: number
  /** Who answered, by their place in what was given. */
  answered: boolean[]
}

function digestOf(keys: readonly KeyState[]): RangeDigest {
  const live = keys.filter((key) => !key.deleted)
  const bytes = Buffer.allocUnsafe(live.length * 8)
  for (const [i, { keyHigh, keyLow }] of live.entries()) {
    bytes.writeUInt32BE(keyHigh, i * 8)
    bytes.writeUInt32BE(keyLow, i * 8 + 4)
  }
  return { live: live.length, checksum: crc32c(bytes) }
}

/** At least so many keys from one on, or all up to another one, or all that there are. */
export type ReadKeys = (from: Key, countMax: number, through?: Key) => KeyRange

/** How a member answers. */
export function answerKeys(read: ReadKeys, query: KeyQuery): KeyAnswer {
  const range = cutRange(read(query.from, query.countMax, query.through), query.through)
  const isWhole = compareEnds(range.through, query.through) >= 0
  if (!isWhole) return range
  const { live, checksum } = digestOf(range.keys)
  return live === query.digest.live && checksum === query.digest.checksum ? 'same' : range
}

/**
 * Walks over all keys of `own` and the others, range by range. One that fails does not count from there on.
 * Keys that come or go meanwhile may be among those that differ, or not.
 */
export async function* compareMembers(
  read: ReadKeys,
  others: readonly ComparedMember[],
  countMax: number,
): AsyncGenerator<Differing, void, undefined> {
  const answered = others.map(() => true)
  for (let from: Key | undefined = { keyHigh: 0, keyLow: 0 }; from !== undefined; ) {
    const own = read(from, countMax)
    // No answer may be so long that nobody wants it: twice what one range is here.
    const query: KeyQuery = { from, through: own.through, digest: digestOf(own.keys), countMax: countMax * 2 }
    const answers: (KeyAnswer | undefined)[] = await Promise.all(
      others.map((other, i) => (answered[i] ? other.keys(query).catch(() => undefined) : undefined)),
    )
    for (const [i, answer] of answers.entries()) answered[i] = answer !== undefined
    const through: Key | undefined = answers.reduce<Key | undefined>(
      (end, answer) => (typeof answer === 'object' ? earlierEnd(end, answer.through) : end),
      own.through,
    )
    const range = cutRange(own, through)
    const keys = differing(
      range.keys,
      answers.filter((answer) => answer !== undefined),
      through,
    )
    yield { keys, compared: range.keys.length, answered: [...answered] }
    from = through && nextKey(through)
  }
}

function differing(own: readonly KeyState[], answers: readonly KeyAnswer[], through: Key | undefined): Key[] {
  const ranges = answers.filter((answer) => typeof answer === 'object')
  if (ranges.length === 0) return []
  const counts = new Map<bigint, { key: Key; live: number }>()
  const add = (keys: readonly KeyState[], times: number) => {
    for (const key of keys) {
      if (key.deleted) continue
      const name = (BigInt(key.keyHigh) << 32n) | BigInt(key.keyLow)
      const counted = counts.get(name)
      if (counted === undefined) counts.set(name, { key, live: times })
      else counted.live += times
    }
  }
  const ownTimes = 1 + answers.length - ranges.length
  add(own, ownTimes)
  for (const range of ranges) add(cutRange(range, through).keys, 1)
  const found = [...counts.values()].filter(({ live }) => live < ownTimes + ranges.length)
  return found.map(({ key: { keyHigh, keyLow } }) => ({ keyHigh, keyLow })).sort(compareKeys)
}

function earlierEnd(a: Key | undefined, b: Key | undefined): Key | undefined {
  return compareEnds(a, b) <= 0 ? a : b
}

/** Ends of ranges; undefined is the last. */
function compareEnds(a: Key | undefined, b: Key | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? 1 : -1
  return compareKeys(a, b)
}
