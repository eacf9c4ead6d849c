/**
 * Repairs the members of one erasure group that are in this process. It keeps no list that could be lost: what the other
 * members have is the list. It compares all keys at its start, whenever the place in a member's entries is lost (its files
 * are new ones), and from time to time; in between it reads what came into the others since it last looked. So a member that
 * was away has what it missed a moment after it is back.
 */
import type { Clock } from '../../base/clock.ts'
import { layoutOf } from '../../base/erasure-id.ts'
import { toStoreError } from '../../base/errors.ts'
import {
  SHARD_ENTRIES_MAX,
  SHARD_KEYS_COMPARED,
  SHARD_STATES_MAX,
  SHARDS_WAITING_MAX,
} from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { Key } from '../../disk/volume-keys.ts'
import { compareMembers } from './compare-keys.ts'
import { type EntryPlace, type GroupMember, isOwn, type OwnMember } from './group-member.ts'
import type { ShardCodec } from './packed-shard.ts'
import { repairVerdict } from './repair-rule.ts'
import { type Rebuild, ShardRebuild } from './shard-rebuild.ts'

/** Of all groups, since the start. */
export interface RepairCounts {
  /** Keys that were compared in whole comparisons. */
  compared: number
  /** Whole comparisons of groups. */
  comparisons: number
  rebuilt: number
  rebuiltBytes: number
  /** Shards that were deleted elsewhere. */
  removed: number
  /** Shards of writes or deletes that failed half way. */
  dead: number
  /** Shards that could not be rebuilt yet. Counted at each attempt. */
  failed: number
}

export function noRepairs(): RepairCounts {
  return { compared: 0, comparisons: 0, rebuilt: 0, rebuiltBytes: 0, removed: 0, dead: 0, failed: 0 }
}

export interface GroupRepairOptions {
  /** The volume of shard 0. */
  group: number
  /** Members that can be reached now, in the order of their shards; those of this process among them. */
  members: () => Promise<(GroupMember | undefined)[]>
  codec: ShardCodec
  counts: RepairCounts
  clock: Clock
  log: Log
  /** After so many keys were compared or rebuilt: waits as long as that may take. False: stop. */
  pace: (keys: number) => Promise<boolean>
}

/** What is new is left alone for so long: most of it is still on its way to this member. */
const SETTLE_MS = 1_000
/** What could not be rebuilt is tried again after this; it doubles each time, up to the maximum. */
const RETRY_MS = 5_000
const RETRY_MS_MAX = 300_000
/** Calls for new entries in one visit. */
const ENTRY_CALLS_MAX = 16
const PROGRESS_MS = 10_000
/** A group in which nothing happens is looked at so often. */
const CALM_PERIOD_MS_MAX = 8_192

/** Who can be reached in one visit. */
interface Present {
  /** In the order of their shards. */
  members: readonly (GroupMember | undefined)[]
  /** Those of this process. */
  own: readonly OwnMember[]
}

interface Waiting {
  key: Key
  /** Monotonic. */
  dueMs: number
}

export class GroupRepair {
  readonly group: number
  readonly #options: GroupRepairOptions
  readonly #layout: { k: number; m: number }
  readonly #rebuild: ShardRebuild
  /** Where the reading of each member's entries goes on, by shard. */
  #places = new Map<number, EntryPlace>()
  /** Identity of the own members at the last whole comparison, by shard. */
  readonly #ownEpochs = new Map<number, number>()
  readonly #waiting = new Map<string, Waiting>()
  /** Records that the scrub found damaged. */
  readonly #damaged = new Map<string, { key: Key; shard: number }>()
  /** Undefined: a whole comparison is due. Monotonic. */
  #comparedAtMs: number | undefined
  #retryAtMs = Number.POSITIVE_INFINITY
  #retryMs = RETRY_MS
  /** Of new entries, ever. */
  #keysSeen = 0
  #visitPeriodMs = 1
  #visitAtMs = 0
  /** Keys that too few members have, at the last whole comparison. */
  #lost = 0

  constructor(options: GroupRepairOptions) {
    this.#options = options
    this.group = options.group
    this.#layout = layoutOf(options.group)
    this.#rebuild = new ShardRebuild({ ...options, k: this.#layout.k })
  }

  get waiting(): number {
    return this.#waiting.size + this.#damaged.size
  }

  get lost(): number {
    return this.#lost
  }

  /** A record of a member here cannot be read. It is rewritten at the next visit. */
  noteDamage(shard: number, key: Key): void {
    if (this.#damaged.size < SHARDS_WAITING_MAX) this.#damaged.set(`${shard} ${nameOf(key)}`, { key, shard })
  }

  /** Whether it is worth a visit: those in which nothing happens are visited less and less often. */
  isDue(): boolean {
    return this.#damaged.size > 0 || this.#options.clock.monotonicMs() >= this.#visitAtMs
  }

  /** One visit. `comparePeriodMs`: how old the last whole comparison may be. Throws what an own disk throws. */
  async visit(comparePeriodMs: number): Promise<void> {
    const { clock } = this.#options
    const members = await this.#options.members()
    const keysSeen = this.#keysSeen
    const own = members.filter((member) => member !== undefined).filter(isOwn)
    const [base] = own
    if (base === undefined) return
    const present = { members, own }
    await this.#mendDamaged(present)
    const nowMs = clock.monotonicMs()
    const isDue =
      this.#comparedAtMs === undefined ||
      nowMs - this.#comparedAtMs >= comparePeriodMs ||
      nowMs >= this.#retryAtMs ||
      (await this.#ownIsNew(own))
    if (isDue || !(await this.#readNewEntries(present))) await this.#compareAll(present, base)
    await this.#mendWaiting(present)
    const isCalm = this.#keysSeen === keysSeen && this.waiting === 0
    this.#visitPeriodMs = isCalm ? Math.min(this.#visitPeriodMs * 2, CALM_PERIOD_MS_MAX) : 1
    this.#visitAtMs = clock.monotonicMs() + this.#visitPeriodMs
  }

  /** Whether an own member has other files than when all was compared: it was made anew, or lost what it had. */
  async #ownIsNew(own: readonly OwnMember[]): Promise<boolean> {
    let isNew = false
    for (const member of own) {
      const { epoch } = await member.newEntries(NOWHERE)
      const isFilling = member.filling && this.#ownEpochs.get(member.shard) !== epoch
      if (isFilling || !this.#ownEpochs.has(member.shard)) isNew = true
    }
    return isNew
  }

  // What came since the last look

  /** False when a whole comparison is needed. */
  async #readNewEntries({ members, own }: Present): Promise<boolean> {
    const others = members.filter((member) => member !== undefined)
    const known = await Promise.all(
      others.map((member) => this.#readEntriesOf(member, own).catch((error) => this.#isAway(member, error))),
    )
    return known.every((each) => each !== 'new files')
  }

  /** What it has now is read when it answers again. */
  #isAway({ shard }: GroupMember, error: unknown): 'away' {
    const { log, group } = this.#options
    log.debug({ group, shard, reason: toStoreError(error).message }, 'a member of an erasure group is away')
    return 'away'
  }

  async #readEntriesOf(member: GroupMember, own: readonly OwnMember[]): Promise<'read' | 'new files'> {
    const { clock } = this.#options
    for (let calls = 0; calls < ENTRY_CALLS_MAX; calls++) {
      const place = this.#places.get(member.shard) ?? NOWHERE
      const found = await member.newEntries(place)
      if (found.epoch !== place.epoch || found.entries < place.entries) return 'new files'
      const dueMs = clock.monotonicMs() + SETTLE_MS
      this.#keysSeen += found.keys.length
      for (const { deleted, ...key } of found.keys) {
        const matters = own.some((each) => {
          if (each.shard === member.shard) return false
          const known = each.knows(key)
          return deleted ? known === 'live' : known === 'absent'
        })
        if (!matters) continue
        if (this.#waiting.size >= SHARDS_WAITING_MAX) return 'new files'
        this.#waiting.set(nameOf(key), { key, dueMs })
      }
      this.#places.set(member.shard, { epoch: found.epoch, entries: found.entries })
      if (found.entries - place.entries < SHARD_ENTRIES_MAX) break
    }
    return 'read'
  }

  async #mendWaiting(present: Present): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs()
    const due = [...this.#waiting].filter(([, { dueMs }]) => dueMs <= nowMs)
    for (let at = 0; at < due.length; at += SHARD_STATES_MAX) {
      const some = due.slice(at, at + SHARD_STATES_MAX)
      const keys = some.map(([, { key }]) => key)
      const { unsettled } = await this.#mend(present, keys)
      for (const [name] of some) this.#waiting.delete(name)
      if (unsettled > 0) this.#retryLater()
      if (!(await this.#options.pace(some.length))) return
    }
  }

  async #mendDamaged(present: Present): Promise<void> {
    const noted: [string, { key: Key; shard: number }][] = []
    for (const [name, { key, shard }] of this.#damaged) {
      const member = present.own.find((each) => each.shard === shard)
      if (member !== undefined && (await isDamaged(member, key))) noted.push([name, { key, shard }])
      else this.#damaged.delete(name)
    }
    for (let at = 0; at < noted.length; at += SHARD_STATES_MAX) {
      const some = noted.slice(at, at + SHARD_STATES_MAX)
      const damaged = new Set(some.map(([name]) => name))
      const keys = new Map(some.map(([, { key }]) => [nameOf(key), key]))
      const { failed } = await this.#mend(present, [...keys.values()], damaged)
      // What could not be rebuilt now is tried again at each visit.
      for (const [name, { key }] of some) if (!failed.has(nameOf(key))) this.#damaged.delete(name)
    }
  }

  // All keys

  /** `base`: the own member whose keys the others are compared with. */
  async #compareAll(present: Present, base: OwnMember): Promise<void> {
    const { clock, counts, pace, log, group } = this.#options
    const { members, own } = present
    const reached = members.filter((member) => member !== undefined)
    const others = reached.filter((member) => member !== base)
    // What comes from now on is read after this comparison.
    await this.#notePlaces(reached)
    const startMs = clock.monotonicMs()
    let [compared, lost, unsettled, toldMs] = [0, 0, 0, startMs]
    let answered: boolean[] = []
    const read = base.range.bind(base)
    const walked = compareMembers(read, others, SHARD_KEYS_COMPARED)
    for await (const range of walked) {
      compared += range.compared
      counts.compared += range.compared
      answered = range.answered
      for (let at = 0; at < range.keys.length; at += SHARD_STATES_MAX) {
        const result = await this.#mend(present, range.keys.slice(at, at + SHARD_STATES_MAX))
        lost += result.lost
        unsettled += result.unsettled
      }
      if (!(await pace(range.compared + range.keys.length))) return
      if (clock.monotonicMs() - toldMs < PROGRESS_MS) continue
      toldMs = clock.monotonicMs()
      log.info({ group, compared, rebuilt: counts.rebuilt }, 'still comparing an erasure group')
    }
    counts.comparisons++
    this.#lost = lost
    this.#comparedAtMs = startMs
    this.#retryAtMs = Number.POSITIVE_INFINITY
    const isCompared = answered.every((each) => each)
    if (unsettled > 0 || !isCompared) this.#retryLater()
    else this.#retryMs = RETRY_MS
    const isWhole = members.every((member) => member !== undefined) && isCompared
    // What was acknowledged is in k + 1 members at least: any k others have all of it between them, fewer say nothing.
    const isKnown = answered.filter((each) => each).length >= this.#layout.k
    if (unsettled === 0 && isKnown && (isWhole || lost === 0)) await this.#noteFilled(own)
    if (lost > 0) log.error({ group, objects: lost }, 'objects of an erasure group have too few shards left')
  }

  async #notePlaces(members: readonly GroupMember[]): Promise<void> {
    const places = new Map<number, EntryPlace>()
    const note = async (member: GroupMember) => {
      const { epoch, entries } = await member.newEntries(NOWHERE)
      places.set(member.shard, { epoch, entries })
      if (isOwn(member)) this.#ownEpochs.set(member.shard, epoch)
    }
    await Promise.all(members.map((member) => note(member).catch(() => undefined)))
    this.#places = places
  }

  async #noteFilled(own: readonly OwnMember[]): Promise<void> {
    const { log, group } = this.#options
    for (const member of own) {
      if (!member.filling) continue
      await member.filled()
      log.info({ group, shard: member.shard }, 'a lost shard volume is whole again')
    }
  }

  #retryLater(): void {
    if (this.#retryAtMs !== Number.POSITIVE_INFINITY) return
    this.#retryAtMs = this.#options.clock.monotonicMs() + this.#retryMs
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX)
  }

  // Mending

  /** Does what the rule says for some keys, to the own members. */
  async #mend(
    { members, own }: Present,
    keys: Key[],
    damaged: ReadonlySet<string> = new Set(),
  ): Promise<{ lost: number; unsettled: number; failed: Set<string> }> {
    const { clock, counts } = this.#options
    const asked = await Promise.all(members.map((member) => member?.states(keys).catch(() => undefined)))
    const result = { lost: 0, unsettled: 0, failed: new Set<string>() }
    const rebuilds: Rebuild[] = []
    const touched = new Set<OwnMember>()
    for (const [i, key] of keys.entries()) {
      const views = asked.map((answer, shard) => {
        const isDamaged = damaged.has(`${shard} ${nameOf(key)}`)
        const state = answer?.states[i]
        return {
          state: isDamaged && state?.kind === 'live' ? DAMAGED : state,
          filling: answer?.filling === true,
        }
      })
      const verdict = repairVerdict(views, this.#layout, clock.nowMs())
      if (verdict.kind === 'remove') {
        for (const member of own) {
          if (member.knows(key) !== 'live') continue
          if (this.#remove(member, key)) {
            touched.add(member)
            counts[verdict.why === 'dead' ? 'dead' : 'removed']++
          } else result.unsettled++
        }
      } else if (verdict.kind === 'short') {
        if (verdict.why === 'lost') result.lost++
        if (verdict.why !== 'unreachable') continue
        result.unsettled++
        result.failed.add(nameOf(key))
      } else if (verdict.kind === 'rebuild') {
        const missing = own.filter(({ shard }) => verdict.missing.includes(shard))
        const live = [...views.keys()].filter(
          (shard) => views[shard]!.state?.kind === 'live' && !verdict.missing.includes(shard),
        )
        const sizeBytes = Math.max(...live.map((shard) => sizeOf(views[shard]!.state)))
        const { cookie } = verdict
        if (missing.length > 0) rebuilds.push({ key: { ...key, cookie }, missing, live, sizeBytes })
      }
    }
    const failures = await this.#rebuild.run(members, rebuilds)
    for (const [key, failure] of failures) {
      if (failure === 'lost') result.lost++
      else {
        result.unsettled++
        result.failed.add(nameOf(key))
      }
    }
    for (const member of touched) await member.durable()
    return result
  }

  /** False where it cannot be removed now, such as from a volume that is read only. */
  #remove(member: OwnMember, key: Key): boolean {
    try {
      member.remove(key)
      return true
    } catch (error) {
      const { group, log } = this.#options
      const { message: reason } = toStoreError(error)
      log.debug({ group, shard: member.shard, reason }, 'a shard is not removed')
      return false
    }
  }
}

const NOWHERE: EntryPlace = { epoch: undefined, entries: 0 }
const DAMAGED = { kind: 'damaged' } as const

function nameOf({ keyHigh, keyLow }: Key): string {
  return `${keyHigh}:${keyLow}`
}

function sizeOf(state: { kind: string; sizeBytes?: number } | undefined): number {
  return state?.sizeBytes ?? 0
}

/** Reads it: it may have been rewritten since. */
async function isDamaged(member: OwnMember, key: Key): Promise<boolean> {
  const [state] = (await member.states([key])).states
  if (state?.kind !== 'live') return state?.kind === 'damaged'
  const [data] = await member.data([{ ...key, cookie: state.cookie }])
  return data === undefined
}
