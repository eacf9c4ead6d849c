/**
 * Conditions of policy statements: all operators of the policy language, compiled once when a policy is read.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
import { isInRange, parseIpRange } from './ip-range.ts'
import { compilePattern, type Lookup, matchPattern, type Pattern } from './pattern.ts'

/** Values of the request by key, names in lower case (of tag keys only the part before the slash). */
export type PolicyContext = ReadonlyMap<string, readonly string[]>

export interface Condition {
  operator: string
  /** As written, for messages and `isPublic`. */
  key: string
  values: readonly string[]
  matches(context: PolicyContext, lookup: Lookup): boolean
}

/** Says whether one value of the request fits one value of the policy; undefined when the policy's value is unusable. */
type Compile = (text: string, variables: boolean) => ((value: string, lookup: Lookup) => boolean) | undefined

interface Operator {
  compile: Compile
  /** Matches when none of the values does. */
  isNegated: boolean
}

const withPattern =
  (wildcards: boolean, fold: (text: string) => string): Compile =>
  (text, variables) => {
    const pattern = compilePattern(text, { variables, wildcards })?.map((each) => foldUnit(each, fold))
    if (pattern === undefined) return undefined
    return (value, lookup) => {
      const found: Lookup = (name) => {
        const replaced = lookup(name)
        return replaced === undefined ? undefined : fold(replaced)
      }
      return matchPattern(pattern, fold(value), found)
    }
  }

function foldUnit(unit: Pattern[number], fold: (text: string) => string): Pattern[number] {
  if (typeof unit === 'number') return unit < 0 ? unit : fold(String.fromCharCode(unit)).charCodeAt(0)
  return { name: unit.name, fallback: unit.fallback === undefined ? undefined : fold(unit.fallback) }
}

const same = (text: string) => text
const lower = (text: string) => text.toLowerCase()

const numeric =
  (
    compare: (given: number, wanted: number) => boolean,
    parse: (text: string) => number | undefined,
  ): Compile =>
  (text) => {
    const wanted = parse(text)
    if (wanted === undefined) return undefined
    return (value) => {
      const given = parse(value)
      return given !== undefined && compare(given, wanted)
    }
  }

function parseNumber(text: string): number | undefined {
  return /^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$/.test(text) ? Number(text) : undefined
}

/** ISO 8601, or seconds since 1970. Milliseconds since 1970. */
function parsePolicyDate(text: string): number | undefined {
  if (/^[0-9]{1,12}$/.test(text)) return text.length <= 4 ? Date.UTC(Number(text), 0) : Number(text) * 1_000
  if (
    !/^[0-9]{4}(-[0-9]{2}){0,2}(T[0-9]{2}(:?[0-9]{2}){0,2}([.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$/.test(
      text,
    )
  )
    return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

const bool: Compile = (text) => {
  const wanted = text.toLowerCase()
  if (wanted !== 'true' && wanted !== 'false') return undefined
  return (value) => value.toLowerCase() === wanted
}

const binary: Compile = (text) => {
  const wanted = Buffer.from(text, 'base64')
  return (value) => Buffer.from(value, 'base64').equals(wanted)
}

const ip: Compile = (text) => {
  const range = parseIpRange(text)
  return range === undefined ? undefined : (value) => isInRange(range, value)
}

/** ARNs are compared part by part, so that a star in one part does not swallow the next. */
const arn: Compile = (text, variables) => {
  const patterns = arnParts(text).map((part) => compilePattern(part, { variables, wildcards: true }))
  if (patterns.length !== 6 || patterns.some((each) => each === undefined)) return undefined
  return (value, lookup) => {
    const parts = arnParts(value)
    return (
      parts.length === 6 && parts.every((part, at) => matchPattern(patterns[at] as Pattern, part, lookup))
    )
  }
}

/** The sixth keeps its colons. */
function arnParts(text: string): string[] {
  const parts = text.split(':')
  return parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(':')]
}

const OPERATORS = new Map<string, Operator>(
  (
    [
      ['StringEquals', withPattern(false, same)],
      ['StringNotEquals', withPattern(false, same), true],
      ['StringEqualsIgnoreCase', withPattern(false, lower)],
      ['StringNotEqualsIgnoreCase', withPattern(false, lower), true],
      ['StringLike', withPattern(true, same)],
      ['StringNotLike', withPattern(true, same), true],
      ['NumericEquals', numeric((given, wanted) => given === wanted, parseNumber)],
      ['NumericNotEquals', numeric((given, wanted) => given === wanted, parseNumber), true],
      ['NumericLessThan', numeric((given, wanted) => given < wanted, parseNumber)],
      ['NumericLessThanEquals', numeric((given, wanted) => given <= wanted, parseNumber)],
      ['NumericGreaterThan', numeric((given, wanted) => given > wanted, parseNumber)],
      ['NumericGreaterThanEquals', numeric((given, wanted) => given >= wanted, parseNumber)],
      ['DateEquals', numeric((given, wanted) => given === wanted, parsePolicyDate)],
      ['DateNotEquals', numeric((given, wanted) => given === wanted, parsePolicyDate), true],
      ['DateLessThan', numeric((given, wanted) => given < wanted, parsePolicyDate)],
      ['DateLessThanEquals', numeric((given, wanted) => given <= wanted, parsePolicyDate)],
      ['DateGreaterThan', numeric((given, wanted) => given > wanted, parsePolicyDate)],
      ['DateGreaterThanEquals', numeric((given, wanted) => given >= wanted, parsePolicyDate)],
      ['Bool', bool],
      ['BinaryEquals', binary],
      ['IpAddress', ip],
      ['NotIpAddress', ip, true],
      ['ArnEquals', arn],
      ['ArnLike', arn],
      ['ArnNotEquals', arn, true],
      ['ArnNotLike', arn, true],
    ] as [string, Compile, boolean?][]
  ).map(([name, compile, isNegated = false]) => [name, { compile, isNegated }]),
)

/** The name of a key as contexts have it. */
export function contextKey(key: string): string {
  const slash = key.indexOf('/')
  return slash < 0 ? key.toLowerCase() : key.slice(0, slash).toLowerCase() + key.slice(slash)
}

export interface ConditionSource {
  operator: string
  key: string
  values: readonly string[]
  variables: boolean
}

/** `'operator'`: there is none of that name. `'value'`: a value does not suit its operator. */
export function compileCondition(source: ConditionSource): Condition | 'operator' | 'value' {
  const { operator, key, values, variables } = source
  const match = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/.exec(operator)
  if (match === null) return 'operator'
  const quantifier = match[1]
  const base = match[2]!
  const ifExists = match[3] !== undefined
  const name = contextKey(key)
  if (base === 'Null') {
    if (quantifier !== undefined || ifExists) return 'operator'
    return compileNull(source, name)
  }
  const known = OPERATORS.get(base)
  if (known === undefined) return 'operator'
  const tests = values.map((value) => known.compile(value, variables))
  if (tests.some((each) => each === undefined)) return 'value'
  const { isNegated } = known
  const fits = (value: string, lookup: Lookup) => tests.some((test) => test!(value, lookup)) !== isNegated
  return {
    operator,
    key,
    values,
    matches(context, lookup) {
      const given = context.get(name) ?? []
      if (quantifier === 'ForAllValues') return given.every((value) => fits(value, lookup))
      if (given.length === 0) return ifExists || (isNegated && quantifier === undefined)
      // Of several values without a quantifier, one is enough to match, and one is enough to spoil a negation.
      if (quantifier === undefined && isNegated) return given.every((value) => fits(value, lookup))
      return given.some((value) => fits(value, lookup))
    },
  }
}

function compileNull({ operator, key, values }: ConditionSource, name: string): Condition | 'value' {
  const wanted = values.map((value) => value.toLowerCase())
  if (!wanted.every((value) => value === 'true' || value === 'false')) return 'value'
  return {
    operator,
    key,
    values,
    matches: (context) => wanted.includes((context.get(name)?.length ?? 0) === 0 ? 'true' : 'false'),
  }
}
