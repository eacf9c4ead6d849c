/**
 * What is to become of a key of an erasure group, by what its members say of it. Ids are never used again, a write is
 * acknowledged when at least k + 1 members have it, and a delete when at least k + 1 have done it. So:
 *
 * - Deleted in one member: deleted in all.
 * - Live in k or more: made anew where it is missing or damaged. After a delete fewer than k are left, so nothing that was
 *   deleted comes back, even when compactions have forgotten the delete.
 * - Live in fewer than k: it cannot be read. When more than m members that have lost nothing do not know it, it never
 *   will be: it is what a delete or a write that failed has left, and goes once it is old. Otherwise it waits for the
 *   members that do not answer, or that are being filled.
 */
import { ORPHAN_GRACE_MS } from '../../base/limits.ts'
import type { NeedleState } from '../../disk/volume-keys.ts'

export interface MemberView {
  /** Undefined: it does not answer. */
  state: NeedleState | undefined
  /** It was made anew after a loss and has not got everything yet: what it does not know says nothing. */
  filling: boolean
}

export type Verdict =
  /** Nothing is to be done, as far as is known. */
  | { kind: 'fine' }
  | { kind: 'remove'; why: 'deleted' | 'dead' }
  /** Where shards are missing or damaged. */
  | { kind: 'rebuild'; missing: number[]; cookie: number }
  /** Too few have it: of those that answer; so far, for it is new; or for good. */
  | { kind: 'short'; why: 'unreachable' | 'young' | 'lost' }

/** `views` are in the order of the shards. */
export function repairVerdict(
  views: readonly MemberView[],
  { k, m }: { k: number; m: number },
  nowMs: number,
): Verdict {
  const states = views.map(({ state }) => state)
  if (states.some((state) => state?.kind === 'deleted')) return { kind: 'remove', why: 'deleted' }
  const { cookie, count } = commonCookie(states)
  if (cookie !== undefined && count >= k) {
    const missing = [...states.keys()].filter((index) => {
      const state = states[index]
      return state !== undefined && !(state.kind === 'live' && state.cookie === cookie)
    })
    return missing.length === 0 ? { kind: 'fine' } : { kind: 'rebuild', missing, cookie }
  }
  if (!states.some((state) => state?.kind === 'live' || state?.kind === 'damaged')) return { kind: 'fine' }
  const surelyAbsent = views.filter(({ state, filling }) => state?.kind === 'absent' && !filling).length
  if (surelyAbsent > m && isOld(states, nowMs)) return { kind: 'remove', why: 'dead' }
  if (states.includes(undefined)) return { kind: 'short', why: 'unreachable' }
  return { kind: 'short', why: isOld(states, nowMs) ? 'lost' : 'young' }
}

/** A damaged head may tell a wrong cookie: what most say is right. */
function commonCookie(states: readonly (NeedleState | undefined)[]): {
  cookie: number | undefined
  count: number
} {
  const counts = new Map<number, number>()
  for (const state of states)
    if (state?.kind === 'live') counts.set(state.cookie, (counts.get(state.cookie) ?? 0) + 1)
  let [cookie, count]: [number | undefined, number] = [undefined, 0]
  for (const [each, times] of counts) if (times > count) [cookie, count] = [each, times]
  return { cookie, count }
}

/** None of them may be of a write or delete that is still under way. */
function isOld(states: readonly (NeedleState | undefined)[], nowMs: number): boolean {
  return states.every((state) => state?.kind !== 'live' || nowMs - state.appendedMs > ORPHAN_GRACE_MS)
}
