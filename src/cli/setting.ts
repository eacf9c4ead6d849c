/**
 * Kinds of settings: how each reads the text of a flag or variable and the value of a TOML key, and how it is described.
 * A kind's `parse` throws `UsageError` with the expectation only; the reader adds where the value came from.
 */
import type { Machine } from './machine.ts'
import { UsageError } from './usage-error.ts'

/** An address with its port, as many settings have it. */
export const HOST_PORT = { pattern: /^(\[[0-9a-fA-F:.]+\]|[^\s:,/[\]]+):\d{1,5}$/, expected: 'HOST:PORT' }

export interface Setting<T> {
  /** What the reader of the documentation sees as the value: `BYTES`, `HOST:PORT`. Undefined for a switch. */
  readonly placeholder: string | undefined
  /** One or two plain sentences. */
  readonly doc: string
  /** The value where nobody gives one, or how the machine decides it. */
  readonly fallback: T | ((machine: Machine) => T)
  /** How the documentation shows a fallback that the machine decides. */
  readonly fallbackDoc: string | undefined
  /** Other defaults, by command. */
  readonly fallbackOf: Readonly<Record<string, T>>
  /** One letter, for `-n`. */
  readonly short: string | undefined
  /** The value is never shown. */
  readonly secret: boolean
  /** Flags of a list may be given several times. */
  readonly isList: boolean
  /** Words that end the key in code and are left out of its flag: `Bytes`, `Ms`. */
  readonly unit: string
  /** `value` is text, or what TOML gave. */
  parse(value: unknown): T
  /** The text that `parse` would read as this value. */
  format(value: T): string
}

/** What a table entry may say, whatever its kind. */
export interface Describe<T> {
  doc: string
  fallback: T | ((machine: Machine) => T)
  fallbackDoc?: string
  fallbackOf?: Readonly<Record<string, T>>
  placeholder?: string
  short?: string
  secret?: boolean
}

type Kind<T> = Pick<Setting<T>, 'parse' | 'format'> &
  Partial<Pick<Setting<T>, 'isList' | 'unit' | 'placeholder'>>

function make<T>(describe: Describe<T>, kind: Kind<T>): Setting<T> {
  return {
    doc: describe.doc,
    fallback: describe.fallback,
    fallbackDoc: describe.fallbackDoc,
    fallbackOf: describe.fallbackOf ?? {},
    placeholder: describe.placeholder ?? kind.placeholder,
    short: describe.short,
    secret: describe.secret ?? false,
    isList: kind.isList ?? false,
    unit: kind.unit ?? '',
    parse: kind.parse,
    format: kind.format,
  }
}

/** Text, with an optional pattern that it must match whole when it is not empty. */
export function text(describe: Describe<string> & { pattern?: RegExp; expected?: string }): Setting<string> {
  return make(describe, {
    placeholder: 'TEXT',
    parse(value) {
      if (typeof value !== 'string') throw new UsageError('must be text')
      if (value !== '' && describe.pattern && !describe.pattern.test(value)) {
        throw new UsageError(`must be ${describe.expected}`)
      }
      return value
    },
    format: (value) => value,
  })
}

/** A list of texts: commas in a flag or variable, an array in TOML. */
export function list(
  describe: Describe<readonly string[]> & { pattern?: RegExp; expected?: string },
): Setting<readonly string[]> {
  return make(describe, {
    placeholder: 'TEXT,…',
    isList: true,
    parse(value) {
      const items = typeof value === 'string' ? value.split(',') : value
      if (!Array.isArray(items)) throw new UsageError('must be a list')
      const words = items.map((item) => (typeof item === 'string' ? item.trim() : ''))
      if (words.length === 1 && words[0] === '') return Object.freeze([])
      if (words.includes('')) throw new UsageError('must be a list without empty entries')
      if (new Set(words).size !== words.length) throw new UsageError('must not name one thing twice')
      for (const word of words) {
        if (describe.pattern && !describe.pattern.test(word)) {
          throw new UsageError(`must be a list of ${describe.expected}; ${JSON.stringify(word)} is not`)
        }
      }
      return Object.freeze(words)
    },
    format: (value) => value.join(','),
  })
}

/** A whole number from `min` to `max`. */
export function integer(describe: Describe<number> & { min: number; max: number }): Setting<number> {
  return make(describe, {
    placeholder: 'N',
    parse: (value) => ranged(wholeNumber(value), describe, String),
    format: String,
  })
}

/** A number from `min` to `max`, fractions allowed. */
export function decimal(describe: Describe<number> & { min: number; max: number }): Setting<number> {
  return make(describe, {
    placeholder: 'NUMBER',
    parse(value) {
      const given = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
      return ranged(typeof given === 'number' ? given : Number.NaN, describe, String)
    },
    format: String,
  })
}

// biome-ignore format: a table
const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1, B: 1,
  KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12,
  KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30, TIB: 2 ** 40,
}

/** Bytes: `1048576`, `64KiB`, `256MiB`, `1.5GiB`, `30GB`. Keys end in `Bytes`. */
export function bytes(describe: Describe<number> & { min: number; max: number }): Setting<number> {
  return make(describe, {
    placeholder: 'SIZE',
    unit: 'Bytes',
    parse: (value) => ranged(sizeOf(value), describe, formatBytes),
    format: formatBytes,
  })
}

function sizeOf(value: unknown): number {
  const size = withUnit(value, SIZE_UNITS)
  if (Number.isNaN(size)) throw new UsageError('must be a size, such as 1048576, 64KiB or 1.5GB')
  return size
}

const TIME_UNITS: Readonly<Record<string, number>> = {
  MS: 1,
  S: 1000,
  M: 60_000,
  H: 3_600_000,
  D: 86_400_000,
}

/** Time: `500ms`, `10s`, `5m`, `1h`, `7d`. Keys end in `Ms`. */
export function duration(describe: Describe<number> & { min: number; max: number }): Setting<number> {
  return make(describe, {
    placeholder: 'TIME',
    unit: 'Ms',
    parse: (value) => ranged(withUnit(value, TIME_UNITS), describe, formatDuration),
    format: formatDuration,
  })
}

/** A switch: `--name` or `--no-name`; `true` or `false` elsewhere. */
export function flag(describe: Describe<boolean>): Setting<boolean> {
  return make(describe, {
    parse(value) {
      if (value === true || value === 'true' || value === '1') return true
      if (value === false || value === 'false' || value === '0') return false
      throw new UsageError('must be true or false')
    },
    format: String,
  })
}

/** One of a few words. */
export function choice<const W extends string>(
  words: readonly W[],
  describe: Describe<NoInfer<W>>,
): Setting<W> {
  return make<W>(describe, {
    placeholder: words.join('|'),
    parse(value) {
      const word = words.find((each) => each === value)
      if (word === undefined) throw new UsageError(`must be one of ${words.join(', ')}`)
      return word
    },
    format: (value) => value,
  })
}

function wholeNumber(value: unknown): number {
  if (typeof value === 'string') return /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : Number.NaN
}

function withUnit(value: unknown, units: Readonly<Record<string, number>>): number {
  if (typeof value === 'number') return units[''] === undefined ? Number.NaN : wholeNumber(value)
  const match = typeof value === 'string' ? /^(\d{1,16}(?:\.\d{1,6})?) ?([a-z]*)$/i.exec(value) : null
  const unit = match ? units[match[2]!.toUpperCase()] : undefined
  return match && unit !== undefined ? Math.round(Number(match[1]) * unit) : Number.NaN
}

interface Range {
  min: number
  max: number
}

function ranged(value: number, { min, max }: Range, format: (value: number) => string): number {
  if (value >= min && value <= max) return value
  throw new UsageError(`must be from ${format(min)} to ${format(max)}`)
}

function formatBytes(value: number): string {
  for (const [unit, name] of [
    [2 ** 40, 'TiB'],
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ] as const) {
    if (value >= unit && value % unit === 0) return `${value / unit}${name}`
  }
  return String(value)
}

function formatDuration(value: number): string {
  for (const [unit, name] of [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
    [1000, 's'],
  ] as const) {
    if (value >= unit && value % unit === 0) return `${value / unit}${name}`
  }
  return `${value}ms`
}
