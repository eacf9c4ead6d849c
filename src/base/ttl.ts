/**
 * Time to live, as text (`3m`, `4h`, `5d`, `6w`, `7M`, `8y`) and as the two bytes that volumes and needles store:
 * count << 8 | unit, 0 for none. The units are SeaweedFS's; a unit it does not know (`5s`) silently means "for ever"
 * there, which loses the caller's intent, so here it is an error.
 */
import { StoreError } from './errors.ts'

interface TtlUnit {
  letter: string
  /** The stored byte. */
  code: number
  seconds: number
}

const HOUR_S = 3600
const DAY_S = 24 * HOUR_S
const UNITS: readonly TtlUnit[] = [
  { letter: 'm', code: 1, seconds: 60 },
  { letter: 'h', code: 2, seconds: HOUR_S },
  { letter: 'd', code: 3, seconds: DAY_S },
  { letter: 'w', code: 4, seconds: 7 * DAY_S },
  { letter: 'M', code: 5, seconds: 30 * DAY_S },
  { letter: 'y', code: 6, seconds: 365 * DAY_S },
]
const COUNT_MAX = 255

/**
 * Parses a TTL to its stored form. A bare number is minutes; '' and a count of 0 mean none.
 * The result uses the largest unit that is exact (60m is 1h), or else the smallest that holds it, rounded down.
 * Throws `bad_request` with the reason.
 */
export function parseTtl(text: string): number {
  if (text === '') return 0
  const match = /^([0-9]{1,9})([a-zA-Z]?)$/.exec(text)
  if (match === null) {
    throw new StoreError(
      'bad_request',
      `ttl "${text.slice(0, 32)}" is not a number with one of the units m h d w M y`,
    )
  }
  const unit = match[2] === '' ? UNITS[0] : UNITS.find((each) => each.letter === match[2])
  if (unit === undefined) {
    throw new StoreError(
      'bad_request',
      `ttl "${text.slice(0, 32)}" has an unknown unit: use one of m h d w M y`,
    )
  }
  const seconds = Number(match[1]) * unit.seconds
  if (seconds === 0) return 0
  const stored = storedTtl(seconds)
  if (stored === undefined) {
    throw new StoreError('bad_request', `ttl "${text.slice(0, 32)}" is longer than ${COUNT_MAX}y`)
  }
  return stored
}

function storedTtl(seconds: number): number | undefined {
  const fits = (unit: TtlUnit) => Math.floor(seconds / unit.seconds) <= COUNT_MAX
  const unit = UNITS.findLast((each) => seconds % each.seconds === 0 && fits(each)) ?? UNITS.find(fits)
  return unit && (Math.floor(seconds / unit.seconds) << 8) | unit.code
}

/** The text of a stored TTL; '' for none, and for bytes that no unit explains. */
export function formatTtl(ttl: number): string {
  const unit = unitOf(ttl)
  return unit === undefined ? '' : `${ttl >> 8}${unit.letter}`
}

/** Length of a stored TTL in seconds; 0 for none. */
export function ttlSeconds(ttl: number): number {
  const unit = unitOf(ttl)
  return unit === undefined ? 0 : (ttl >> 8) * unit.seconds
}

/** Count and unit byte of a stored TTL, as status replies show them. */
export function ttlParts(ttl: number): { count: number; unit: number } {
  return { count: (ttl >> 8) & 0xff, unit: ttl & 0xff }
}

function unitOf(ttl: number): TtlUnit | undefined {
  if (ttl >> 8 === 0) return undefined
  return UNITS.find((each) => each.code === (ttl & 0xff))
}
