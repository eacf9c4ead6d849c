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

/**
 * The tags of a list by which a write asks, without their quotes; `*` is any. Undefined for what is no such list. A weak tag, which matches
 * nothing by the strong comparison of If-Match, is left out there.
 */
export function parseEtagList(list: string, comparison: 'strong' | 'weak'): string[] | '*' | undefined {
  if (list.trim() === '*') return '*'
  if (!/^[ \t,]*(?:(?:W\/)?"[^"]*"[ \t]*(?:,[ \t,]*|$))+$/.test(list)) return undefined
  const tags = [...list.matchAll(/(W\/)?"([^"]*)"/g)]
  return tags.flatMap(([, weak, tag]) => (weak !== undefined && comparison === 'strong' ? [] : [tag!]))
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

const DAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed']
const DAY_S = 86_400
/** From here on years have five digits, and `Date` may do it. */
const YEAR_10000_S = 253_402_300_800
const TWO_DIGITS = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, '0'))

/** The HTTP date of a time in seconds since 1970. In every reply there is one, so it is not left to `Date`. */
export function formatHttpDate(seconds: number): string {
  if (!(seconds >= 0 && seconds < YEAR_10000_S) || !Number.isInteger(seconds))
    return new Date(seconds * 1_000).toUTCString()
  const dayNumber = Math.floor(seconds / DAY_S)
  const rest = seconds - dayNumber * DAY_S
  const hour = Math.floor(rest / 3_600)
  const minute = Math.floor(rest / 60) % 60
  const time = `${TWO_DIGITS[hour]}:${TWO_DIGITS[minute]}:${TWO_DIGITS[rest % 60]}`
  return `${DAYS[dayNumber % 7]}, ${dateOf(dayNumber)} ${time} GMT`
}

/** Day, month and year of a day after 1970, by eras of 400 years that begin with March. */
function dateOf(dayNumber: number): string {
  const fromEra = dayNumber + 719_468
  const era = Math.floor(fromEra / 146_097)
  const day = fromEra - era * 146_097
  const year = Math.floor(
    (day - Math.floor(day / 1_460) + Math.floor(day / 36_524) - Math.floor(day / 146_096)) / 365,
  )
  const dayOfYear = day - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const dayOfMonth = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1
  const month = fromMarch < 10 ? fromMarch + 2 : fromMarch - 10
  return `${TWO_DIGITS[dayOfMonth]} ${MONTHS[month]} ${year + era * 400 + (month < 2 ? 1 : 0)}`
}
