/** What each command of the text protocol does to the store, and what is answered. */
import type { Clock } from '../../base/clock.ts'
import { toStoreError } from '../../base/errors.ts'
import type { HashedItem } from '../../objects/hashed-record.ts'
import type { HashedChange, HashedStore, HashedValue } from '../../objects/hashed-store.ts'
import type { AnswerBuffer } from './answer-buffer.ts'
import type { MemcachedCounter, MemcachedCounters } from './memcached-counters.ts'
import type { Command, PlainSet } from './parser.ts'

export interface CommandsOptions {
  store: HashedStore
  clock: Clock
  counters: MemcachedCounters
  /** The program's. */
  version: string
  valueBytesMax: number
  allowsFlush: boolean
  connections: () => number
}

type Answer = Buffer | Promise<Buffer>

/** Told, before what runs returns, how many bytes of values its answer holds; not told: that is not known yet. */
type Holds = (bytes: number) => void

interface Update {
  holds: Holds
  change: HashedChange
  ifDamaged?: (() => HashedValue | 'remove') | undefined
  given?: Buffer
}

/** A line that asks for several keys. Each has a part of the answer of its own, so that not all of their values are in memory. */
export interface KeyLine {
  keys: readonly string[]
  /** The number of the key that is asked for next. */
  next: number
  withVersion: boolean
  /** What the keys shall have; undefined: they are only read. */
  expiresMs: number | undefined
  hasFailed: boolean
}

/** The protocol's, by which clients tell what they may ask; some of them read its beginning, some its end. */
const SPOKEN_VERSION = '1.6.0'
export const KEY_BYTES_MAX = 250
/** Longer ones are times. */
const RELATIVE_SECONDS_MAX = 60 * 60 * 24 * 30
const COUNTER_LIMIT = 2n ** 64n
export const STORAGE: ReadonlySet<string> = new Set(['set', 'add', 'replace', 'append', 'prepend', 'cas'])

/** Others answer whatever is said. */
const MAY_BE_SILENT: ReadonlySet<string> = new Set([
  ...STORAGE,
  ...['incr', 'decr', 'delete', 'touch', 'flush_all', 'verbosity'],
])

const NOTHING = Buffer.alloc(0)
/** Behind the values of all keys. */
export const END = Buffer.from('END\r\n')
const STORED = Buffer.from('STORED\r\n')
const CRLF = Buffer.from('\r\n')
const TOO_LARGE = 'SERVER_ERROR object too large for cache'
/** Later there may be: it does not concern the value. */
const NO_ROOM = 'SERVER_ERROR out of memory storing object'
const BAD_LINE = 'CLIENT_ERROR bad command line format'

/** What memcached tells of its memory, which is not used here. */
const OTHER_STATS: ReadonlySet<string> = new Set(['items', 'slabs', 'sizes', 'conns', 'detail'])

export class Commands {
  readonly #options: CommandsOptions
  readonly #store: HashedStore
  readonly #startedMs: number

  constructor(options: CommandsOptions) {
    this.#options = options
    this.#store = options.store
    this.#startedMs = options.clock.monotonicMs()
  }

  count(name: MemcachedCounter, by = 1): void {
    this.#options.counters.add(name, by)
  }

  /** Never throws. An empty answer is none. */
  run(command: Command, holds: Holds): Answer {
    const { words } = command
    const isSilent = words.at(-1) === 'noreply' && MAY_BE_SILENT.has(words[0]!) && !isKeyOnly(words)
    if (isSilent) words.pop()
    try {
      const answer = this.#answer(command, holds)
      const sent = typeof answer === 'string' ? Buffer.from(`${answer}\r\n`, 'latin1') : answer
      if (!(sent instanceof Promise)) return isSilent ? NOTHING : sent
      return sent.then(
        (bytes) => (isSilent ? NOTHING : bytes),
        (error: unknown) => (isSilent ? NOTHING : failedAnswer(error)),
      )
    } catch (error) {
      return isSilent ? NOTHING : failedAnswer(error)
    }
  }

  /** Undefined: it is a command for `run`. */
  keyLine({ words }: Command): KeyLine | undefined {
    const name = words[0]!
    const touches = name === 'gat' || name === 'gats'
    if (!touches && name !== 'get' && name !== 'gets') return undefined
    const keys = words.slice(touches ? 2 : 1)
    const expiresMs = touches ? this.#expiry(words[1] ?? '') : undefined
    if (keys.length < 2 || !keys.every(isKey) || (touches && expiresMs === undefined)) return undefined
    this.count(touches ? 'cmd_touch' : 'cmd_get', keys.length)
    return { keys, next: 0, withVersion: name.endsWith('s'), expiresMs, hasFailed: false }
  }

  /** The part of the answer that the line's next key has. Never throws: calls `failed` where the part says why there is none. */
  runNext(line: KeyLine, { holds, failed }: { holds: Holds; failed: () => void }): Answer {
    const key = line.keys[line.next++]!
    const { expiresMs, withVersion } = line
    const failedWith = (error: unknown) => {
      failed()
      return failedAnswer(error)
    }
    try {
      const answer =
        expiresMs === undefined
          ? this.#read(key, { withVersion, end: NOTHING })
          : this.#readAndTouch(key, { withVersion, end: NOTHING, expiresMs }, holds)
      return answer instanceof Promise ? answer.catch(failedWith) : answer
    } catch (error) {
      return failedWith(error)
    }
  }

  /**
   * Calls `done` with one answer for all, in their order, but not before it returns. The sets, of which there are some, are only
   * looked at before, and not kept.
   */
  runSets(sets: readonly PlainSet[], done: (answer: Buffer) => void): void {
    const { length } = sets
    this.count('cmd_set', length)
    let isAnySilent = false
    for (const set of sets) {
      set.expiresMs = this.#expiresMs(set.exptime)
      if (set.isSilent) isAnySilent = true
    }
    const silent = isAnySilent ? sets.map(({ isSilent }) => isSilent) : undefined
    this.#store.setMany(sets, (failures) => {
      const failed = failures?.filter((failure) => failure !== undefined).length ?? 0
      this.count('total_items', length - failed)
      if (failures !== undefined || silent !== undefined) done(answersOf(length, { silent, failures }))
      else done(length === 1 ? STORED : Buffer.alloc(length * STORED.length, STORED))
    })
  }

  /**
   * The command `get` of one key, as most are, where what that has is in memory and its answer has room: else false, and nothing
   * is done. Never throws.
   */
  answerGet(key: Buffer, answers: AnswerBuffer): boolean {
    const kept = this.#store.cached(key)
    if (kept === undefined || !answers.addValue(key, kept)) return false
    this.count('cmd_get')
    this.count('get_hits')
    return true
  }

  #answer(command: Command, holds: Holds): string | Answer {
    const { words } = command
    const [name = '', ...args] = words
    if (STORAGE.has(name)) return this.#storage(name, args, command.data, holds)
    switch (name) {
      case 'get':
      case 'gets':
        return this.#get(args, name === 'gets')
      case 'gat':
      case 'gats':
        return this.#getAndTouch(args, name === 'gats', holds)
      case 'incr':
      case 'decr':
        return this.#arithmetic(name, args, holds)
      case 'delete':
        return this.#delete(args, holds)
      case 'touch':
        return this.#touch(args, holds)
      case 'flush_all':
        return this.#flush(args)
      case 'stats':
        return this.#stats(args)
      case 'version':
        return `VERSION ${SPOKEN_VERSION}`
      case 'verbosity':
        if (args.length === 0) return 'ERROR'
        return args.length === 1 && signed(args[0]!) !== undefined ? 'OK' : BAD_LINE
      default:
        return 'ERROR'
    }
  }

  // Reading

  /** Of one key: of several, `keyLine` has taken those that are right. */
  #get(keys: string[], withVersion: boolean): string | Answer {
    if (keys.length === 0) return 'ERROR'
    if (!keys.every(isKey)) return BAD_LINE
    this.count('cmd_get')
    return this.#read(keys[0]!, { withVersion, end: END })
  }

  #getAndTouch([time = '', ...keys]: string[], withVersion: boolean, holds: Holds): string | Answer {
    if (keys.length === 0) return 'ERROR'
    const expiresMs = this.#expiry(time)
    if (!keys.every(isKey)) return BAD_LINE
    if (expiresMs === undefined) return 'CLIENT_ERROR invalid exptime argument'
    this.count('cmd_touch')
    return this.#readAndTouch(keys[0]!, { withVersion, end: END, expiresMs }, holds)
  }

  #read(name: string, as: { withVersion: boolean; end: Buffer }): Answer {
    const key = Buffer.from(name, 'latin1')
    const item = this.#cached(key) ?? this.#store.get(key)
    return item instanceof Promise ? item.then((found) => this.#value(found, as)) : this.#value(item, as)
  }

  #readAndTouch(
    key: string,
    { expiresMs, ...as }: { withVersion: boolean; end: Buffer; expiresMs: number },
    holds: Holds,
  ): Promise<Buffer> {
    const touched = this.#update(key, {
      holds,
      change: (present) => present && { ...present, expiresMs, isTouch: true },
    })
    return touched.then((item) => this.#value(item, as))
  }

  /** Where it lies: it may move. */
  #cached(key: Buffer): HashedItem | undefined {
    const place = this.#store.cached(key)
    if (place === undefined) return undefined
    const { flags, version, touches, expiresMs, bytes, start, end } = place
    return { name: key, flags, version, touches, expiresMs, value: bytes.subarray(start, end) }
  }

  #value(item: HashedItem | undefined, { withVersion, end }: { withVersion: boolean; end: Buffer }): Buffer {
    this.count(item === undefined ? 'get_misses' : 'get_hits')
    if (item === undefined) return end
    const { name, flags, value, version } = item
    const unique = withVersion ? ` ${version}` : ''
    const head = `VALUE ${name.toString('latin1')} ${flags} ${value.length}${unique}\r\n`
    const bytes = Buffer.allocUnsafe(head.length + value.length + CRLF.length + end.length)
    let at = bytes.write(head, 0, 'latin1')
    bytes.set(value, at)
    at += value.length
    at += CRLF.copy(bytes, at)
    end.copy(bytes, at)
    return bytes
  }

  // Writing

  #storage(name: string, args: string[], data: Command['data'], holds: Holds): string | Answer {
    const [key = '', flagsText = '', time = '', size, unique] = args
    if (args.length !== (name === 'cas' ? 5 : 4)) return 'ERROR'
    const flags = unsigned(flagsText, 0xffffffff)
    const expiresMs = this.#expiry(time)
    const version = unique === undefined ? 0n : counterOf(unique)
    if (!isKey(key) || flags === undefined || expiresMs === undefined || version === undefined)
      return BAD_LINE
    if (data === 'bad' || data === undefined) return 'CLIENT_ERROR bad data chunk'
    if (data === 'refused') return Number(size) > this.#options.valueBytesMax ? TOO_LARGE : NO_ROOM
    this.count('cmd_set')
    // Versions are exact as numbers; what no number is exact for is none of them.
    return this.#put(key, {
      name,
      wanted: { flags, expiresMs, value: data },
      version: Number(version),
      holds,
    })
  }

  #put(
    key: string,
    { name, wanted, version, holds }: { name: string; wanted: HashedValue; version: number; holds: Holds },
  ): Promise<Buffer> {
    let answer = 'STORED'
    const no = (why: string) => {
      answer = why
      return undefined
    }
    const change: HashedChange = (present) => {
      if (name === 'cas') return this.#isSame(present, version, no) ? wanted : undefined
      if (name === 'set') return wanted
      if (name === 'add') return present === undefined ? wanted : no('NOT_STORED')
      if (present === undefined) return no('NOT_STORED')
      if (name === 'replace') return wanted
      const parts = name === 'append' ? [present.value, wanted.value] : [wanted.value, present.value]
      const value = Buffer.concat(parts)
      if (value.length > this.#options.valueBytesMax) return no(TOO_LARGE)
      return { ...present, value }
    }
    const ifDamaged = name === 'set' ? () => wanted : undefined
    const updated = this.#update(key, { holds, change, ifDamaged, given: wanted.value })
    return updated.then(() => {
      if (answer !== 'STORED') return line(answer)
      this.count('total_items')
      return STORED
    })
  }

  #isSame(present: HashedItem | undefined, version: number, no: (why: string) => undefined): boolean {
    const isSame = present?.version === version
    this.count(present === undefined ? 'cas_misses' : isSame ? 'cas_hits' : 'cas_badval')
    if (!isSame) no(present === undefined ? 'NOT_FOUND' : 'EXISTS')
    return isSame
  }

  async #arithmetic(name: 'incr' | 'decr', args: string[], holds: Holds): Promise<Buffer> {
    const [key = '', by = ''] = args
    if (args.length !== 2) return line('ERROR')
    if (!isKey(key)) return line(BAD_LINE)
    const delta = counterOf(by)
    if (delta === undefined) return line('CLIENT_ERROR invalid numeric delta argument')
    let answer = 'NOT_FOUND'
    const change: HashedChange = (present) => {
      this.count(`${name}_${present === undefined ? 'misses' : 'hits'}`)
      if (present === undefined) return undefined
      const value = counterOf(present.value.toString('latin1').trimEnd())
      if (value === undefined) {
        answer = 'CLIENT_ERROR cannot increment or decrement non-numeric value'
        return undefined
      }
      const next = name === 'incr' ? (value + delta) % COUNTER_LIMIT : value > delta ? value - delta : 0n
      answer = String(next)
      return { ...present, value: Buffer.from(answer) }
    }
    await this.#update(key, { holds, change })
    return line(answer)
  }

  async #delete(args: string[], holds: Holds): Promise<Buffer> {
    const [key = '', time] = args
    if (args.length === 0) return line('ERROR')
    if (args.length > 2 || !isKey(key) || (time !== undefined && time !== '0'))
      return line(`${BAD_LINE}.  Usage: delete <key> [noreply]`)
    let isThere = false
    const change: HashedChange = (present) => {
      isThere = present !== undefined
      return isThere ? 'remove' : undefined
    }
    const ifDamaged = () => {
      isThere = true
      return 'remove' as const
    }
    await this.#update(key, { holds, change, ifDamaged })
    this.count('cmd_delete')
    this.count(isThere ? 'delete_hits' : 'delete_misses')
    return line(isThere ? 'DELETED' : 'NOT_FOUND')
  }

  async #touch(args: string[], holds: Holds): Promise<Buffer> {
    const [key = '', time = ''] = args
    if (args.length !== 2) return line('ERROR')
    const expiresMs = this.#expiry(time)
    if (!isKey(key)) return line(BAD_LINE)
    if (expiresMs === undefined) return line('CLIENT_ERROR invalid exptime argument')
    let isThere = false
    const change: HashedChange = (present) => {
      isThere = present !== undefined
      return present && { ...present, expiresMs, isTouch: true }
    }
    await this.#update(key, { holds, change })
    this.count('cmd_touch')
    this.count(isThere ? 'touch_hits' : 'touch_misses')
    return line(isThere ? 'TOUCHED' : 'NOT_FOUND')
  }

  /** `ifDamaged` as for the store; `given` is the command's own value, which is accounted for. */
  #update(key: string, { holds, change, ifDamaged, given }: Update): Promise<HashedItem | undefined> {
    const changeAndTell: HashedChange = (present) => {
      const wanted = change(present)
      const held = wanted === 'remove' ? undefined : (wanted ?? present)
      holds(held === undefined || held.value === given ? 0 : held.value.length)
      return wanted
    }
    return this.#store.update(Buffer.from(key, 'latin1'), changeAndTell, ifDamaged)
  }

  // The whole node

  async #flush(args: string[]): Promise<Buffer> {
    if (!this.#options.allowsFlush) return line('CLIENT_ERROR flush_all not allowed')
    const delay = args[0] === undefined ? 0 : signed(args[0])
    if (args.length > 1 || delay === undefined) return line(BAD_LINE)
    this.count('cmd_flush')
    const fromMs = delay <= 0 ? 0 : this.#expiry(String(delay))!
    await this.#store.clear(fromMs)
    return line('OK')
  }

  #stats([what]: string[]): string | Buffer {
    if (what === 'reset') {
      this.#options.counters.reset()
      return 'RESET'
    }
    const { clock, version, valueBytesMax, connections, counters } = this.#options
    if (what === 'settings') return statLines({ item_size_max: valueBytesMax })
    if (what !== undefined) return OTHER_STATS.has(what) ? END : BAD_LINE
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    const { blobs, bytes } = this.#store.usage()
    return statLines({
      pid: process.pid,
      uptime: Math.floor((clock.monotonicMs() - this.#startedMs) / 1_000),
      time: Math.floor(clock.nowMs() / 1_000),
      version: SPOKEN_VERSION,
      cairn_version: version,
      pointer_size: 64,
      rusage_user: (userCPUTime / 1e6).toFixed(6),
      rusage_system: (systemCPUTime / 1e6).toFixed(6),
      rusage_maxrss: maxRSS,
      curr_connections: connections(),
      threads: 1,
      item_size_max: valueBytesMax,
      ...counters.own(),
      curr_items: blobs,
      bytes,
    })
  }

  /** When a value of that exptime is gone; undefined for no number. */
  #expiry(text: string): number | undefined {
    const seconds = signed(text)
    return seconds === undefined ? undefined : this.#expiresMs(seconds)
  }

  #expiresMs(seconds: number): number {
    if (seconds === 0) return 0
    const now = this.#options.clock.nowMs()
    if (seconds < 0) return 1
    return seconds <= RELATIVE_SECONDS_MAX ? now + seconds * 1_000 : seconds * 1_000
  }
}

/** Undefined for none of them. */
function answersOf(
  sets: number,
  { silent, failures }: { silent: readonly boolean[] | undefined; failures: readonly unknown[] | undefined },
): Buffer {
  const spoken = Array.from({ length: sets }, (_, at) => {
    if (silent?.[at] === true) return NOTHING
    return failures?.[at] === undefined ? STORED : failedAnswer(failures[at])
  })
  return Buffer.concat(spoken)
}

function statLines(stats: Record<string, string | number>): Buffer {
  const lines = Object.entries(stats).map(([name, value]) => `STAT ${name} ${value}\r\n`)
  return Buffer.from(`${lines.join('')}END\r\n`)
}

const line = (text: string) => Buffer.from(`${text}\r\n`, 'latin1')

function failedAnswer(error: unknown): Buffer {
  const { code, message } = toStoreError(error)
  return line(`SERVER_ERROR ${code === 'internal' ? 'internal error' : message.replace(/[\r\n]+/g, ' ')}`)
}

/** Any bytes but those that end words and lines, as memcached takes them. */
function isKey(key: string): boolean {
  return key.length > 0 && key.length <= KEY_BYTES_MAX
}

/** A whole number from 0 to `max`; undefined for anything else. */
export function unsigned(text: string, max: number): number | undefined {
  if (!/^[0-9]{1,20}$/.test(text)) return undefined
  const value = Number(text)
  return value <= max ? value : undefined
}

function signed(text: string): number | undefined {
  return /^-?[0-9]{1,11}$/.test(text) ? Number(text) : undefined
}

/** A delete of the key `noreply`. */
const isKeyOnly = (words: readonly string[]) => words[0] === 'delete' && words.length === 2

/** 64 bits. */
function counterOf(text: string): bigint | undefined {
  if (!/^[0-9]{1,20}$/.test(text)) return undefined
  const value = BigInt(text)
  return value < COUNTER_LIMIT ? value : undefined
}
