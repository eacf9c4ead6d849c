/** Conditional requests of RFC 9110, section 13: has the file changed since the client last saw it? */

/** What the server knows of the file. `etag` with its quotes, strong. */
export interface Validators {
  etag: string
  lastModifiedS: number | undefined
}

/** The headers that ask, as received; undefined where absent. */
export interface Conditions {
  ifMatch?: string | undefined
  ifNoneMatch?: string | undefined
  ifModifiedSince?: string | undefined
  ifUnmodifiedSince?: string | undefined
}

/** What a GET or HEAD must answer instead of the file: 304, 412, or nothing. Order as the RFC gives it. */
export function evaluateConditions(conditions: Conditions, file: Validators): 304 | 412 | undefined {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions
  if (ifMatch !== undefined) {
    if (!etagListHas(ifMatch, file.etag, 'strong')) return 412
  } else if (ifUnmodifiedSince !== undefined && file.lastModifiedS !== undefined) {
    const since = parseHttpDate(ifUnmodifiedSince)
    if (since !== undefined && file.lastModifiedS > since) return 412
  }
  if (ifNoneMatch !== undefined) return etagListHas(ifNoneMatch, file.etag, 'weak') ? 304 : undefined
  if (ifModifiedSince !== undefined && file.lastModifiedS !== undefined) {
    const since = parseHttpDate(ifModifiedSince)
    if (since !== undefined && file.lastModifiedS <= since) return 304
  }
  return undefined
}

/** Whether a Range header counts: without If-Range always, with it only when the file is still the same. */
export function ifRangeHolds(ifRange: string | undefined, file: Validators): boolean {
  if (ifRange === undefined) return true
  if (ifRange.startsWith('"')) return ifRange === file.etag
  if (ifRange.startsWith('W/')) return false
  const date = parseHttpDate(ifRange)
  return date !== undefined && date === file.lastModifiedS
}

/** Whether a list of entity tags names this one. `*` names every one. A tag may hold commas, so it is not split at them. */
function etagListHas(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  let position = 0
  for (;;) {
    while (position < list.length && ' \t,'.includes(list[position]!)) position++
    if (position >= list.length) return false
    if (list[position] === '*') return list.trim() === '*'
    const isWeak = list.startsWith('W/', position)
    if (isWeak) position += 2
    if (list[position] !== '"') return false
    const end = list.indexOf('"', position + 1)
    if (end < 0) return false
    const matches = list.slice(position, end + 1) === etag
    if (matches && (comparison === 'weak' || !isWeak)) return true
    position = end + 1
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const IMF_DATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT$/

/** Seconds since 1970 of an HTTP date in its one form that is still sent; undefined for anything else. */
export function parseHttpDate(text: string): number | undefined {
  const match = IMF_DATE.exec(text)
  if (match === null) return undefined
  const month = MONTHS.indexOf(match[2]!)
  if (month < 0) return undefined
  const [day, year, hour, minute, second] = [match[1], match[3], match[4], match[5], match[6]].map(
    Number,
  ) as number[]
  const ms = Date.UTC(year!, month, day!, hour!, minute!, second!)
  return ms / 1_000
}

/** The HTTP date of a time in seconds since 1970. */
export function formatHttpDate(seconds: number): string {
  return new Date(seconds * 1_000).toUTCString()
}
