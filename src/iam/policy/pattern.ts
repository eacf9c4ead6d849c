/**
 * Patterns of policies: `*` for any run of characters, `?` for one, `${name}` for a value of the request. Matched in one
 * pass that returns to the last star only, so no pattern makes it slow; never by RegExp.
 */

/** A compiled pattern: UTF-16 units, the two wildcards, and variables by name. */
export type Pattern = readonly (number | Variable)[]

export interface Variable {
  name: string
  fallback: string | undefined
}

const [ANY_RUN, ANY_ONE] = [-1, -2]

/** Looks a variable up; undefined when the request has no such value. */
export type Lookup = (name: string) => string | undefined

/**
 * Compiles a text. `variables`: `${…}` is one; else it stands for itself. `wildcards`: `*` and `?` are such.
 * Undefined for a `${` that is not closed or names nothing.
 */
export function compilePattern(
  text: string,
  { variables, wildcards }: { variables: boolean; wildcards: boolean },
): Pattern | undefined {
  const pattern: (number | Variable)[] = []
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (wildcards && unit === 42) {
      // Two stars in a row are one.
      if (pattern.at(-1) !== ANY_RUN) pattern.push(ANY_RUN)
    } else if (wildcards && unit === 63) pattern.push(ANY_ONE)
    else if (variables && unit === 36 && text.charCodeAt(at + 1) === 123) {
      const end = text.indexOf('}', at)
      const variable = end < 0 ? undefined : parseVariable(text.slice(at + 2, end))
      if (variable === undefined) return undefined
      if (typeof variable === 'number') pattern.push(variable)
      else pattern.push(variable)
      at = end
    } else pattern.push(unit)
  }
  return pattern
}

/** `${*}`, `${?}` and `${$}` are those characters themselves; `${name, 'fallback'}` has a value of its own. */
function parseVariable(text: string): Variable | number | undefined {
  if (text === '*' || text === '?' || text === '$') return text.charCodeAt(0)
  const comma = text.indexOf(',')
  const name = (comma < 0 ? text : text.slice(0, comma)).trim()
  if (name === '') return undefined
  if (comma < 0) return { name, fallback: undefined }
  const quoted = text.slice(comma + 1).trim()
  if (quoted.length < 2 || !quoted.startsWith("'") || !quoted.endsWith("'")) return undefined
  return { name, fallback: quoted.slice(1, -1) }
}

/** Whether the text matches. A variable without a value matches nothing. */
export function matchPattern(pattern: Pattern, text: string, lookup: Lookup): boolean {
  const units = expand(pattern, lookup)
  return units !== undefined && matchUnits(units, text)
}

/** Variables are put in as plain characters: a star in a user's name is no wildcard. */
function expand(pattern: Pattern, lookup: Lookup): readonly number[] | undefined {
  if (!pattern.some((each) => typeof each !== 'number')) return pattern as readonly number[]
  const units: number[] = []
  for (const each of pattern) {
    if (typeof each === 'number') {
      units.push(each)
      continue
    }
    const value = lookup(each.name) ?? each.fallback
    if (value === undefined) return undefined
    for (let i = 0; i < value.length; i++) units.push(value.charCodeAt(i))
  }
  return units
}

function matchUnits(units: readonly number[], text: string): boolean {
  let at = 0
  let textAt = 0
  let starAt = -1
  let starTextAt = 0
  while (textAt < text.length) {
    const unit = units[at]
    if (unit === ANY_RUN) {
      starAt = at++
      starTextAt = textAt
    } else if (unit !== undefined && (unit === ANY_ONE || unit === text.charCodeAt(textAt))) {
      at++
      textAt++
    } else if (starAt >= 0) {
      at = starAt + 1
      textAt = ++starTextAt
    } else return false
  }
  while (units[at] === ANY_RUN) at++
  return at === units.length
}

/** For patterns without variables, such as actions. */
export function matchText(pattern: Pattern, text: string): boolean {
  return matchUnits(pattern as readonly number[], text)
}

/** The pattern with each variable taken as a star: what it could match. */
export function widened(pattern: Pattern): Pattern {
  return pattern.map((each) => (typeof each === 'number' ? each : ANY_RUN))
}

/** Whether it has a wildcard. */
export function isWild(pattern: Pattern): boolean {
  return pattern.some((each) => typeof each !== 'number' || each < 0)
}
