/** Names matched by patterns with `*` and `?`, in time bounded by pattern times name: no backtracking into the past. */

/** Whether the whole name matches. Works on code points, so that `?` is one character. */
export function matchesPattern(pattern: string, name: string): boolean {
  const [wanted, given] = [[...pattern], [...name]]
  let at = 0
  let wantedAt = 0
  // The last star: where it stands, and up to where it has taken characters. An earlier star never needs to be asked again.
  let star = -1
  let starEnd = 0
  while (at < given.length) {
    if (wanted[wantedAt] === '*') {
      star = wantedAt++
      starEnd = at
    } else if (wantedAt < wanted.length && (wanted[wantedAt] === '?' || wanted[wantedAt] === given[at])) {
      at++
      wantedAt++
    } else if (star >= 0) {
      wantedAt = star + 1
      at = ++starEnd
    } else {
      return false
    }
  }
  while (wanted[wantedAt] === '*') wantedAt++
  return wantedAt === wanted.length
}

/** What every name that matches begins with. */
export function patternPrefix(pattern: string): string {
  const wild = pattern.search(/[*?]/)
  return wild < 0 ? pattern : pattern.slice(0, wild)
}
