/** Lifecycle rules as S3 clients send and read them. Rules that would move objects to other storage classes are not taken. */
import { LIFECYCLE_RULES_MAX } from '../../base/limits.ts'
import { DAY_MS, hasObjectFilter, type LifecycleRule } from '../../objects/lifecycle-rules.ts'
import type { Tag } from '../../objects/object-store.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import type { XmlNode } from './xml-reader.ts'
import { isoTime, optionalTag, tag, wrap } from './xml-writer.ts'

const ID_CHARS_MAX = 255
const DAYS_MAX = 2_147_483_647
const NEWER_KEPT_MAX = 100
const DATE =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?)?$/

/** The rules of a `<LifecycleConfiguration>`. `newId` names those that have no name. */
export function parseLifecycle(root: XmlNode, newId: () => string): LifecycleRule[] {
  const nodes = root.all('Rule')
  root.done()
  if (nodes.length === 0 || nodes.length > LIFECYCLE_RULES_MAX) throw root.malformed()
  const rules = nodes.map((node) => parseRule(node, newId))
  const ids = new Set(rules.map(({ id }) => id))
  if (ids.size < rules.length)
    throw invalidArgument('Rule ID must be unique. Found same ID for more than one rule', 'ID', '')
  return rules
}

function parseRule(node: XmlNode, newId: () => string): LifecycleRule {
  const id = node.maybeString('ID') ?? ''
  if (id.length > ID_CHARS_MAX)
    throw invalidArgument(`ID length should not exceed allowed limit of ${ID_CHARS_MAX}`, 'ID', id)
  const isEnabled = node.word('Status', ['Enabled', 'Disabled']) === 'Enabled'
  const [prefixNode, filter] = [node.maybe('Prefix'), node.maybe('Filter')]
  if ((prefixNode === undefined) === (filter === undefined)) throw node.malformed()
  const chosen = filter === undefined ? { prefix: prefixNode!.leaf(), tags: [] } : parseFilter(filter)
  if (node.all('Transition').length + node.all('NoncurrentVersionTransition').length > 0)
    throw new S3Error('NotImplemented')
  const actions = parseActions(node)
  node.done()
  const rule: LifecycleRule = { id: id === '' ? newId() : id, isEnabled, ...chosen, ...actions }
  if (filter === undefined) rule.isPrefixOnly = true
  checkRule(rule)
  return rule
}

function checkRule(rule: LifecycleRule): void {
  const { expiration, noncurrent, abortUploadDays } = rule
  if (expiration === undefined && noncurrent === undefined && abortUploadDays === undefined)
    throw new S3Error('InvalidRequest', 'At least one action needs to be specified in a rule')
  if (!hasObjectFilter(rule)) return
  const what = rule.tags.length > 0 ? 'Tags' : 'Object Size'
  if (abortUploadDays !== undefined)
    throw new S3Error('InvalidRequest', `AbortIncompleteMultipartUpload cannot be specified with ${what}`)
  if (expiration !== undefined && 'expiredDeleteMarker' in expiration)
    throw new S3Error('InvalidRequest', `ExpiredObjectDeleteMarker cannot be specified with ${what}`)
}

type Chosen = Pick<LifecycleRule, 'prefix' | 'tags' | 'sizeBytesAbove' | 'sizeBytesBelow'>

function parseFilter(filter: XmlNode): Chosen {
  const and = filter.maybe('And')
  const node = and ?? filter
  const prefix = node.maybeString('Prefix')
  const tags = node.all('Tag').map((each): Tag => {
    const pair: Tag = [each.string('Key'), each.string('Value')]
    each.done()
    if (pair[0] === '') throw each.malformed()
    return pair
  })
  const sizeBytesAbove = node.maybeCount('ObjectSizeGreaterThan')
  const sizeBytesBelow = node.maybeCount('ObjectSizeLessThan')
  node.done()
  if (and !== undefined) filter.done()
  const given = [prefix, sizeBytesAbove, sizeBytesBelow].filter((each) => each !== undefined).length
  const count = given + tags.length
  if (and === undefined ? count > 1 : count < 2) throw filter.malformed()
  if (new Set(tags.map(([key]) => key)).size < tags.length)
    throw new S3Error('InvalidRequest', 'Duplicate Tag Keys are not allowed.')
  if (sizeBytesAbove !== undefined && sizeBytesBelow !== undefined && sizeBytesAbove >= sizeBytesBelow)
    throw new S3Error('InvalidRequest', "'ObjectSizeGreaterThan' should be less than 'ObjectSizeLessThan'.")
  return {
    prefix: prefix ?? '',
    tags,
    ...(sizeBytesAbove === undefined ? {} : { sizeBytesAbove }),
    ...(sizeBytesBelow === undefined ? {} : { sizeBytesBelow }),
  }
}

function parseActions(node: XmlNode): Pick<LifecycleRule, 'expiration' | 'noncurrent' | 'abortUploadDays'> {
  const [expires, older, abort] = [
    node.maybe('Expiration'),
    node.maybe('NoncurrentVersionExpiration'),
    node.maybe('AbortIncompleteMultipartUpload'),
  ]
  return {
    ...(expires === undefined ? {} : parseExpiration(expires)),
    ...(older === undefined ? {} : { noncurrent: parseNoncurrent(older) }),
    ...(abort === undefined ? {} : { abortUploadDays: parseAbort(abort) }),
  }
}

function parseExpiration(node: XmlNode): Pick<LifecycleRule, 'expiration'> {
  const days = node.maybeInteger('Days')
  const date = node.maybeString('Date')?.trim()
  const marker = node.maybeBoolean('ExpiredObjectDeleteMarker')
  node.done()
  if ([days, date, marker].filter((each) => each !== undefined).length !== 1) throw node.malformed()
  if (days !== undefined) return { expiration: { days: positive(days, 'Expiration', 'Days') } }
  if (date !== undefined) return { expiration: { dateMs: midnight(date, node) } }
  return marker === true ? { expiration: { expiredDeleteMarker: true } } : {}
}

function parseNoncurrent(node: XmlNode): NonNullable<LifecycleRule['noncurrent']> {
  const days = node.maybeInteger('NoncurrentDays')
  const newerKept = node.maybeInteger('NewerNoncurrentVersions')
  node.done()
  if (days === undefined) throw node.malformed()
  if (newerKept !== undefined && (newerKept < 1 || newerKept > NEWER_KEPT_MAX)) {
    const message = `'NewerNoncurrentVersions' must be between 1 and ${NEWER_KEPT_MAX}`
    throw invalidArgument(message, 'NewerNoncurrentVersions', String(newerKept))
  }
  return {
    days: positive(days, 'NoncurrentVersionExpiration', 'NoncurrentDays'),
    newerKept: newerKept ?? 0,
  }
}

function parseAbort(node: XmlNode): number {
  const days = node.maybeInteger('DaysAfterInitiation')
  node.done()
  if (days === undefined) throw node.malformed()
  return positive(days, 'AbortIncompleteMultipartUpload', 'DaysAfterInitiation')
}

function positive(days: number, action: string, name: string): number {
  if (days >= 1 && days <= DAYS_MAX) return days
  throw invalidArgument(`'${name}' for ${action} action must be a positive integer`, name, String(days))
}

function midnight(text: string, node: XmlNode): number {
  const ms = DATE.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw node.malformed()
  if (ms % DAY_MS !== 0) throw invalidArgument("'Date' must be at midnight GMT", 'Date', text)
  return ms
}

/** What is inside a `<LifecycleConfiguration>`. */
export function renderLifecycle(rules: readonly LifecycleRule[]): string {
  return rules.map((rule) => wrap('Rule', renderRule(rule))).join('')
}

function renderRule(rule: LifecycleRule): string {
  const { id, isEnabled, prefix, isPrefixOnly, noncurrent, abortUploadDays } = rule
  let xml = renderExpiration(rule) + tag('ID', id)
  xml += isPrefixOnly === true ? tag('Prefix', prefix) : wrap('Filter', renderFilter(rule))
  xml += tag('Status', isEnabled ? 'Enabled' : 'Disabled')
  if (noncurrent !== undefined) {
    const { days, newerKept } = noncurrent
    const kept = optionalTag('NewerNoncurrentVersions', newerKept === 0 ? undefined : newerKept)
    xml += wrap('NoncurrentVersionExpiration', tag('NoncurrentDays', days) + kept)
  }
  if (abortUploadDays === undefined) return xml
  return xml + wrap('AbortIncompleteMultipartUpload', tag('DaysAfterInitiation', abortUploadDays))
}

function renderExpiration({ expiration }: LifecycleRule): string {
  if (expiration === undefined) return ''
  if ('days' in expiration) return wrap('Expiration', tag('Days', expiration.days))
  if ('dateMs' in expiration) return wrap('Expiration', tag('Date', isoTime(expiration.dateMs)))
  return wrap('Expiration', tag('ExpiredObjectDeleteMarker', true))
}

function renderFilter({ prefix, tags, sizeBytesAbove, sizeBytesBelow }: LifecycleRule): string {
  const parts = [
    ...(prefix === '' ? [] : [tag('Prefix', prefix)]),
    ...tags.map(([key, value]) => wrap('Tag', tag('Key', key) + tag('Value', value))),
    ...(sizeBytesAbove === undefined ? [] : [tag('ObjectSizeGreaterThan', sizeBytesAbove)]),
    ...(sizeBytesBelow === undefined ? [] : [tag('ObjectSizeLessThan', sizeBytesBelow)]),
  ]
  if (parts.length === 0) return tag('Prefix', '')
  return parts.length === 1 ? parts[0]! : wrap('And', parts.join(''))
}
