/** Reads policy documents. What is not plainly right is refused: a policy that is misunderstood protects nothing. */
import { POLICY_BYTES_MAX } from '../base/limits.ts'
import { type Condition, compileCondition } from './policy/conditions.ts'
import { parseIpRange } from './policy/ip-range.ts'
import { compilePattern, isWild, matchText, type Pattern, widened } from './policy/pattern.ts'
import { type PrincipalDirectory, parsePrincipals } from './policy/principals.ts'
import { bucketArn, type Policy, PolicyError, type Statement } from './policy.ts'
import {
  ACTIONS_OF_KEYS,
  type ActionTarget,
  ADDRESS_KEYS,
  GLOBAL_CONDITION_KEYS,
  S3_ACTIONS,
  S3_CONDITION_KEYS,
} from './s3-actions.ts'

export type { PrincipalDirectory } from './policy/principals.ts'

export interface ParseOptions {
  /** The bucket that the policy is put on. Absent: a policy of an identity. */
  bucket?: string
  /** Who there is. Absent: names are taken as they stand, for policies that were checked when they came. */
  directory?: PrincipalDirectory
}

type Json = Readonly<Record<string, unknown>>

const VERSIONS = ['2008-10-17', '2012-10-17']
const DOCUMENT_FIELDS = new Set(['Version', 'Id', 'Statement'])
const STATEMENT_FIELDS = new Set([
  'Sid',
  'Effect',
  'Principal',
  'NotPrincipal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
])

/** Throws PolicyError with the reason. */
export function parsePolicy(text: string, options: ParseOptions = {}): Policy {
  if (!text.startsWith('{'))
    throw new PolicyError("Policies must be valid JSON and the first byte must be '{'")
  if (Buffer.byteLength(text) > POLICY_BYTES_MAX)
    throw new PolicyError('Policy exceeds the maximum allowed document size.')
  const document = parseJson(text)
  for (const field of Object.keys(document)) {
    if (!DOCUMENT_FIELDS.has(field)) throw new PolicyError(`Unknown field ${field}`)
  }
  const { Version: version = VERSIONS[0], Id: id, Statement: given } = document
  if (!VERSIONS.includes(version as string))
    throw new PolicyError('The policy must contain a valid version string')
  if (id !== undefined && typeof id !== 'string') throw invalidJson()
  if (given === undefined) throw new PolicyError('Missing required field Statement')
  const list: unknown[] = Array.isArray(given) ? given : [given]
  if (list.length === 0) throw new PolicyError('Could not parse the policy: Statement is empty!')
  const parser = new StatementParser(options, version === '2012-10-17')
  const statements = list.map((each) => parser.parse(each))
  return { text, statements, isUnconditional: statements.every((each) => each.conditions.length === 0) }
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    throw invalidJson()
  }
}

function invalidJson(): PolicyError {
  return new PolicyError('This policy contains invalid Json')
}

class StatementParser {
  readonly #options: ParseOptions
  readonly #variables: boolean

  constructor(options: ParseOptions, variables: boolean) {
    this.#options = options
    this.#variables = variables
  }

  /** It is being put on a bucket now: what could never hold is refused, too. */
  get #isNew(): boolean {
    return this.#options.bucket !== undefined && this.#options.directory !== undefined
  }

  parse(value: unknown): Statement {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalidJson()
    const source = value as Json
    for (const field of Object.keys(source)) {
      if (!STATEMENT_FIELDS.has(field)) throw new PolicyError(`Unknown field ${field}`)
    }
    const { Sid: sid, Effect: effect } = source
    if (sid !== undefined && typeof sid !== 'string') throw invalidJson()
    if (effect === undefined) throw new PolicyError('Missing required field Effect')
    if (effect !== 'Allow' && effect !== 'Deny') throw new PolicyError(`Invalid effect: ${String(effect)}`)
    const action = oneOf(source, 'Action')
    const resource = oneOf(source, 'Resource')
    const statement = {
      sid,
      isAllow: effect === 'Allow',
      ...this.#principals(source),
      actions: this.#actions(action.values),
      isNotAction: action.isNegated,
      resources: resource.values.map((each) => this.#resource(each)),
      isNotResource: resource.isNegated,
      conditions: this.#conditions(source.Condition),
    }
    if (this.#isNew && !action.isNegated) assertKeysFit(statement.conditions, action.values)
    this.#checkTargets(statement)
    return statement
  }

  #principals(source: Json): Pick<Statement, 'principals' | 'isNotPrincipal'> {
    const { Principal: named, NotPrincipal: unnamed } = source
    if (this.#options.bucket === undefined) {
      if (named !== undefined || unnamed !== undefined)
        throw new PolicyError('Policy of an identity must not have a principal')
      return { principals: undefined, isNotPrincipal: false }
    }
    if (named === undefined && unnamed === undefined)
      throw new PolicyError('Missing required field Principal')
    if (named !== undefined && unnamed !== undefined) throw invalidJson()
    const principals = parsePrincipals(named ?? unnamed, this.#options.directory)
    if (principals === undefined) throw new PolicyError('Invalid principal in policy')
    const isNotPrincipal = unnamed !== undefined
    if (isNotPrincipal && source.Effect === 'Allow')
      throw new PolicyError('Allow with NotPrincipal is not allowed.')
    return { principals, isNotPrincipal }
  }

  #actions(texts: readonly string[]): Pattern[] {
    return texts.map((text) => {
      const pattern = compilePattern(text.toLowerCase(), { variables: false, wildcards: true })!
      const isKnown =
        text === '*' ||
        (/^s3:/i.test(text) && [...S3_ACTIONS.keys()].some((each) => matchText(pattern, each.toLowerCase())))
      const isOther = this.#options.bucket === undefined && /^(?!s3:)[a-z0-9-]+:[a-z0-9*?]+$/i.test(text)
      if (!isKnown && !isOther) throw new PolicyError('Policy has invalid action')
      return pattern
    })
  }

  /** Patterns are compared with `arn:aws:s3:::bucket/key`, whatever partition, region and account they name. */
  #resource(text: string): Pattern {
    const { bucket } = this.#options
    if (bucket === undefined && text === '*') return this.#compile('*')
    const arn = /^arn:(?:aws[a-z-]*|\*):(?:s3|\*):[^:]*:[^:]*:(.+)$/s.exec(text)
    if (arn === null) {
      if (bucket === undefined && text.startsWith('arn:')) return this.#compile(text)
      throw new PolicyError('Policy has invalid resource')
    }
    const pattern = this.#compile(bucketArn(arn[1]!))
    if (bucket !== undefined && !targetsOf(pattern, bucket).size)
      throw new PolicyError('Policy has invalid resource')
    return pattern
  }

  #compile(text: string): Pattern {
    const pattern = compilePattern(text, { variables: this.#variables, wildcards: true })
    if (pattern === undefined) throw new PolicyError('Policy has invalid resource')
    return pattern
  }

  #conditions(value: unknown): Condition[] {
    if (value === undefined) return []
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalidJson()
    const conditions: Condition[] = []
    for (const [operator, keys] of Object.entries(value)) {
      if (keys === null || typeof keys !== 'object' || Array.isArray(keys)) throw invalidJson()
      for (const [key, given] of Object.entries(keys)) conditions.push(this.#condition(operator, key, given))
    }
    return conditions
  }

  #condition(operator: string, key: string, given: unknown): Condition {
    const name = keyName(key)
    if (!/^[a-z0-9-]+:.+$/.test(name)) throw new PolicyError('Policy has an invalid condition key')
    const isUnknown =
      (name.startsWith('s3:') && !S3_CONDITION_KEYS.has(name)) ||
      (name.startsWith('aws:') && !GLOBAL_CONDITION_KEYS.has(name))
    if (isUnknown) throw new PolicyError('Policy has an invalid condition key')
    const values = (Array.isArray(given) ? given : [given]) as unknown[]
    if (!values.every((each) => ['string', 'number', 'boolean'].includes(typeof each))) throw invalidJson()
    const texts = values.map(String)
    if (this.#isNew && ADDRESS_KEYS.has(name) && texts.some((each) => parseIpRange(each) === undefined))
      throw new PolicyError('Invalid IP address in Conditions')
    const condition = compileCondition({ operator, key, values: texts, variables: this.#variables })
    if (condition === 'operator') throw new PolicyError(`Invalid Condition type : ${operator}`)
    if (condition === 'value') throw new PolicyError(`Value is not valid for the condition type ${operator}`)
    return condition
  }

  /** On a bucket's own policy: each action must have a resource that it can be done to. */
  #checkTargets({ actions, isNotAction, resources, isNotResource }: Statement): void {
    const { bucket } = this.#options
    if (bucket === undefined || isNotAction || isNotResource) return
    const targets = new Set(resources.flatMap((each) => [...targetsOf(each, bucket)]))
    for (const action of actions) {
      const fits = [...S3_ACTIONS].some(
        ([name, target]) => targets.has(target) && matchText(action, name.toLowerCase()),
      )
      if (!fits) throw new PolicyError('Action does not apply to any resource(s) in statement')
    }
  }
}

/** A condition's key in lower case; of the many that end with a tag's name, up to the slash. */
function keyName(key: string): string {
  const slash = key.indexOf('/')
  return (slash < 0 ? key : key.slice(0, slash + 1)).toLowerCase()
}

/** A condition on what an action never has would never hold, or always. Actions with wildcards are let through. */
function assertKeysFit(conditions: readonly Condition[], actions: readonly string[]): void {
  for (const { key } of conditions) {
    const fitting = ACTIONS_OF_KEYS.get(keyName(key))
    if (fitting === undefined) continue
    if (actions.every((action) => /[*?]/.test(action) || fitting.has(action.toLowerCase()))) continue
    throw new PolicyError('Conditions do not apply to combination of actions and resources in statement')
  }
}

/** The values of a field or of its negation: exactly one of the two must be there. */
function oneOf(source: Json, field: 'Action' | 'Resource'): { values: string[]; isNegated: boolean } {
  const [plain, negated] = [source[field], source[`Not${field}`]]
  if (plain === undefined && negated === undefined) throw new PolicyError(`Missing required field ${field}`)
  if (plain !== undefined && negated !== undefined) throw invalidJson()
  const value = plain ?? negated
  const values: unknown[] = Array.isArray(value) ? value : [value]
  if (values.length === 0) throw new PolicyError(`Policy has invalid ${field.toLowerCase()}`)
  if (!values.every((each) => typeof each === 'string')) throw invalidJson()
  return { values: values as string[], isNegated: plain === undefined }
}

/** What of a bucket a resource pattern can mean: itself, objects in it, both, or nothing. */
function targetsOf(pattern: Pattern, bucket: string): Set<ActionTarget> {
  const targets = new Set<ActionTarget>()
  const wide = widened(pattern)
  const prefix = bucketArn('').length
  if (matchText(wide, bucketArn(bucket))) targets.add('bucket')
  const slashAt = wide.indexOf(47, prefix)
  if (slashAt < 0) {
    // Without a slash only a wildcard reaches into the bucket.
    if (isWild(wide) && matchText(wide, `${bucketArn(bucket)}/\u0000`)) targets.add('object')
  } else if (slashAt + 1 <= wide.length && matchText(wide.slice(0, slashAt), bucketArn(bucket))) {
    targets.add('object')
  }
  return targets
}
