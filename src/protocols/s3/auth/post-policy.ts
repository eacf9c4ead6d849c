/**
 * Forms that browsers post to a bucket: the policy that whoever made the form has signed, and every one of its conditions.
 * A field that no condition speaks of is refused, or anyone could add what the signer never meant.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
 */
import { POST_POLICY_BYTES_MAX } from '../../../base/limits.ts'
import { ANONYMOUS, type Principal } from '../../../iam/identities.ts'
import { algorithmOfHeader } from '../digest-headers.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import { unsupportedMechanism } from './mechanism.ts'
import type { SigV2 } from './sigv2.ts'
import { refuseToken, type SigV4 } from './sigv4.ts'

export interface FormFields {
  /** That the form was posted to. */
  bucket: string
  /** All before the file, as they came, without it. */
  fields: readonly (readonly [name: string, value: string])[]
  /** Of the file, as the browser gave it. */
  filename: string | undefined
}

export interface SignedForm {
  principal: Principal
  mechanism: 'anonymous' | 'v4-form' | 'v2-form'
  /** With the name of the file put in. */
  key: string
  /** By name in lower case, with the name of the file put in. Use these and no others: they are what was checked. */
  fields: ReadonlyMap<string, string>
  /** What the file's length must lie in, both ends included; ask `assertFormLength`. */
  lengthRange: LengthRange | undefined
}

export interface LengthRange {
  bytesMin: number
  bytesMax: number
}

/** Throws S3Error for a form that is not what was signed. */
export function verifyPostForm(
  form: FormFields,
  { v4, v2, nowMs }: { v4: SigV4; v2: SigV2 | undefined; nowMs: number },
): SignedForm {
  const fields = fieldsOf(form)
  const key = fields.get('key')
  if (key === undefined || key === '') throw missingField('key')
  refuseToken(fields.get('x-amz-security-token'))
  const signer = signerOf(fields, v4, v2)
  if (signer === undefined)
    return { principal: ANONYMOUS, mechanism: 'anonymous', key, fields, lengthRange: undefined }
  const policy = parsePostPolicy(fields.get('policy')!)
  if (policy.expiresMs <= nowMs) throw denied('Policy expired.')
  const lengthRange = checkConditions(policy, form.bucket, fields)
  return { ...signer, key, fields, lengthRange }
}

/** Throws EntityTooSmall or EntityTooLarge. */
export function assertFormLength(range: LengthRange | undefined, sizeBytes: number): void {
  if (range === undefined) return
  const proposed = { ProposedSize: String(sizeBytes) }
  if (sizeBytes > range.bytesMax)
    throw new S3Error('EntityTooLarge', undefined, {
      extra: { ...proposed, MaxSizeAllowed: String(range.bytesMax) },
    })
  if (sizeBytes < range.bytesMin)
    throw new S3Error('EntityTooSmall', undefined, {
      extra: { ...proposed, MinSizeAllowed: String(range.bytesMin) },
    })
}

/** Fields that carry the signature itself; nothing is put into them. */
const SIGNING_FIELDS = new Set([
  'policy',
  'x-amz-signature',
  'signature',
  'awsaccesskeyid',
  'x-amz-credential',
])

/** Two names of one thing. */
const TWINS: ReadonlyMap<string, string> = new Map([
  ['acl', 'x-amz-acl'],
  ['x-amz-acl', 'acl'],
])

/** Stands for the name of the file, in any field. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: the form's own variable.
const FILENAME = '${filename}'

function fieldsOf(form: FormFields): Map<string, string> {
  const filename = baseName(form.filename ?? '')
  const fields = new Map<string, string>()
  for (const [given, value] of form.fields) {
    const name = given.toLowerCase()
    // Which of the two was meant, the policy could not say.
    if (fields.has(name) || fields.has(TWINS.get(name) ?? name))
      throw invalidArgument(`The form has more than one field named '${name}'.`, name, value)
    fields.set(name, SIGNING_FIELDS.has(name) ? value : value.replaceAll(FILENAME, () => filename))
  }
  return fields
}

/** Browsers may give a whole path: only what is behind the last slash counts. */
function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
}

/** Undefined: nothing in the form claims to be signed. */
function signerOf(
  fields: ReadonlyMap<string, string>,
  v4: SigV4,
  v2: SigV2 | undefined,
): Pick<SignedForm, 'principal' | 'mechanism'> | undefined {
  const need = (name: string, shown = name): string => {
    const value = fields.get(name)
    // What is wrong with an empty policy is told with what else may be wrong with one.
    if (value === undefined || (value === '' && name !== 'policy')) throw missingField(shown)
    return value
  }
  const isV2 = fields.has('awsaccesskeyid') || fields.has('signature')
  const isV4 = ['x-amz-signature', 'x-amz-credential', 'x-amz-algorithm'].some((name) => fields.has(name))
  if (!isV2 && !isV4 && !fields.has('policy')) return undefined
  if (isV2 && !isV4) {
    if (v2 === undefined) throw unsupportedMechanism()
    const accessKey = v2.verifyForm({
      policy: need('policy'),
      accessKey: need('awsaccesskeyid', 'AWSAccessKeyId'),
      signature: need('signature'),
    })
    return { principal: { account: accessKey.account, accessKey: accessKey.accessKey }, mechanism: 'v2-form' }
  }
  const accessKey = v4.verifyForm({
    policy: need('policy'),
    algorithm: need('x-amz-algorithm'),
    credential: need('x-amz-credential'),
    date: need('x-amz-date'),
    signature: need('x-amz-signature'),
  })
  return { principal: { account: accessKey.account, accessKey: accessKey.accessKey }, mechanism: 'v4-form' }
}

function missingField(name: string): S3Error {
  return new S3Error(
    'InvalidArgument',
    `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`,
    { extra: { ArgumentName: name, ArgumentValue: '' } },
  )
}

function denied(reason: string): S3Error {
  return new S3Error('AccessDenied', `Invalid according to Policy: ${reason}`)
}

function invalid(reason: string): S3Error {
  return new S3Error('InvalidPolicyDocument', `Invalid Policy: ${reason}`)
}

/** `eq` and `starts-with`; the field's name in lower case. */
interface FieldCondition {
  field: string
  value: string
  isPrefix: boolean
  /** For messages. */
  text: string
}

interface PostPolicy {
  expiresMs: number
  conditions: FieldCondition[]
  lengthRange: LengthRange | undefined
}

function parsePostPolicy(base64: string): PostPolicy {
  const document = decodePolicy(base64)
  const { expiration, conditions } = document
  for (const name of Object.keys(document)) {
    if (name !== 'expiration' && name !== 'conditions') throw invalid(`Unexpected: "${name}"`)
  }
  if (expiration === undefined) throw invalid('Policy missing expiration.')
  if (conditions === undefined) throw invalid('Policy missing conditions.')
  if (!Array.isArray(conditions)) throw invalid("Invalid 'conditions' value: must be a List.")
  const policy: PostPolicy = {
    expiresMs: parseExpiration(expiration),
    conditions: [],
    lengthRange: undefined,
  }
  for (const condition of conditions as unknown[]) addCondition(policy, condition)
  return policy
}

function decodePolicy(base64: string): Record<string, unknown> {
  const text = base64.replace(/[\s]+/g, '')
  if (text === '') throw invalid("Expecting '{' but found End-of-Input")
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw invalid('invalid Base64 encoding.')
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length > POST_POLICY_BYTES_MAX) throw invalid('the document is too long.')
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (value !== null && typeof value === 'object' && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw invalid('Invalid JSON.')
}

function parseExpiration(value: unknown): number {
  const text = String(value)
  const isDate =
    /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})$/
  const ms = typeof value === 'string' && isDate.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw invalid(`Invalid 'expiration' value: '${text}'`)
  return ms
}

function addCondition(policy: PostPolicy, condition: unknown): void {
  if (Array.isArray(condition)) {
    addListCondition(policy, condition)
    return
  }
  if (condition === null || typeof condition !== 'object')
    throw invalid('Invalid condition test: must be a List or Object.')
  const entries = Object.entries(condition) as [string, unknown][]
  if (entries.length !== 1)
    throw invalid('Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.')
  const [name, value] = entries[0]!
  if (typeof value !== 'string') throw invalid('Invalid Simple-Condition: value must be a string.')
  const text = `["eq", "$${name}", "${value}"]`
  policy.conditions.push({ field: name.toLowerCase(), value, isPrefix: false, text })
}

function addListCondition(policy: PostPolicy, condition: unknown[]): void {
  if (condition.length === 0) throw invalid('Invalid Condition: missing operation identifier.')
  const [operation, first, second] = condition
  const name = typeof operation === 'string' ? operation.toLowerCase() : ''
  if (!['eq', 'starts-with', 'content-length-range'].includes(name))
    throw invalid(`Invalid Condition: unknown operation '${String(operation)}'.`)
  if (condition.length !== 3) throw invalid(`Invalid ${name}: wrong number of arguments.`)
  if (name === 'content-length-range') {
    const [bytesMin, bytesMax] = [lengthOf(first), lengthOf(second)]
    const before = policy.lengthRange
    policy.lengthRange = {
      bytesMin: Math.max(bytesMin, before?.bytesMin ?? 0),
      bytesMax: Math.min(bytesMax, before?.bytesMax ?? Number.POSITIVE_INFINITY),
    }
    return
  }
  const text = JSON.stringify(condition).replaceAll('","', '", "')
  if (typeof first !== 'string' || !/^\$./s.test(first)) throw denied(`Policy Condition failed: ${text}`)
  if (!['string', 'number', 'boolean'].includes(typeof second)) throw invalid('Invalid JSON.')
  const field = first.slice(1).toLowerCase()
  policy.conditions.push({ field, value: String(second), isPrefix: name === 'starts-with', text })
}

function lengthOf(value: unknown): number {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  if (!/^[0-9]{1,15}$/.test(text)) throw invalid('Invalid JSON.')
  return Number(text)
}

/** Fields that need no condition: the file, what the policy cannot speak of because it came after it, and what only proves the file. */
function needsNoCondition(field: string): boolean {
  return (
    field === 'file' ||
    field === 'policy' ||
    field === 'x-amz-signature' ||
    field === 'signature' ||
    field === 'awsaccesskeyid' ||
    field.startsWith('x-ignore-') ||
    algorithmOfHeader(field) !== undefined
  )
}

function checkConditions(
  { conditions, lengthRange }: PostPolicy,
  bucket: string,
  fields: ReadonlyMap<string, string>,
): LengthRange | undefined {
  const covered = new Set(conditions.map(({ field }) => field))
  const extra = [...fields.keys()].find((field) => !needsNoCondition(field) && !covered.has(field))
  if (extra !== undefined) throw denied(`Extra input fields: ${extra}`)
  if (!covered.has('bucket')) throw denied('Extra input fields: bucket')
  for (const condition of conditions) {
    const given = fields.get(condition.field)
    // A form may repeat the bucket in a field, and then that must be it.
    const isOther = condition.field === 'bucket' && given !== undefined && given !== bucket
    const value = condition.field === 'bucket' ? bucket : given
    if (value === undefined || isOther || !meets(condition, value))
      throw denied(`Policy Condition failed: ${condition.text}`)
  }
  return lengthRange
}

function meets({ field, value, isPrefix }: FieldCondition, given: string): boolean {
  if (!isPrefix) return given === value
  // Several content types in one field must all begin so.
  const texts = field === 'content-type' ? given.split(',').map((each) => each.trim()) : [given]
  return texts.every((each) => each.startsWith(value))
}
