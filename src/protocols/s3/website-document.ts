/** How a bucket is shown as a website, as S3 clients send and read it. Kept as JSON. */
import { WEBSITE_RULES_MAX } from '../../base/limits.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import type { XmlNode } from './xml-reader.ts'
import { optionalTag, tag, wrap } from './xml-writer.ts'

export type Protocol = 'http' | 'https'

/** Where a request is sent instead. What is absent stays as the request has it. */
export interface Redirect {
  protocol?: Protocol
  host?: string
  /** In place of the prefix of the rule's condition. */
  keyPrefix?: string
  /** In place of the whole key. */
  key?: string
  /** One of REDIRECT_STATUSES. */
  status?: number
}

export interface RoutingRule {
  /** Both must hold; without either the rule is for every request. */
  keyPrefix?: string
  errorStatus?: number
  redirect: Redirect
}

export type Website =
  | { redirectAllTo: { host: string; protocol?: Protocol } }
  | { indexSuffix: string; errorKey?: string; rules: readonly RoutingRule[] }

export function parseWebsite(root: XmlNode): Website {
  const all = root.maybe('RedirectAllRequestsTo')
  const index = root.maybe('IndexDocument')
  const error = root.maybe('ErrorDocument')
  const rules = root.maybe('RoutingRules')
  root.done()
  if (all !== undefined) {
    if (index !== undefined || error !== undefined || rules !== undefined) {
      const message =
        'RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules or IndexDocument and ErrorDocument.'
      throw invalidArgument(message, 'RedirectAllRequestsTo', 'not null')
    }
    return { redirectAllTo: parseRedirectAll(all) }
  }
  if (index === undefined)
    throw invalidArgument(
      'A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty',
      'IndexDocument',
      'null',
    )
  const errorKey = error === undefined ? undefined : parseErrorDocument(error)
  return {
    indexSuffix: parseIndex(index),
    ...(errorKey === undefined ? {} : { errorKey }),
    rules: rules === undefined ? [] : parseRules(rules),
  }
}

function parseRedirectAll(node: XmlNode): { host: string; protocol?: Protocol } {
  const host = node.string('HostName').trim()
  const protocol = parseProtocol(node)
  node.done()
  if (host === '') throw invalidArgument('A host name must be provided', 'HostName', host)
  return protocol === undefined ? { host } : { host, protocol }
}

function parseIndex(node: XmlNode): string {
  const suffix = node.string('Suffix')
  node.done()
  if (suffix === '' || suffix.includes('/'))
    throw invalidArgument('The IndexDocument Suffix is not well formed', 'IndexDocument', suffix)
  return suffix
}

function parseErrorDocument(node: XmlNode): string {
  const key = node.string('Key')
  node.done()
  if (key === '') throw invalidArgument('The ErrorDocument Key is not well formed', 'ErrorDocument', key)
  return key
}

function parseRules(node: XmlNode): RoutingRule[] {
  const nodes = node.all('RoutingRule')
  node.done()
  if (nodes.length === 0) throw node.malformed()
  if (nodes.length > WEBSITE_RULES_MAX) {
    const message = `${nodes.length} routing rules provided, the number of routing rules in a website configuration is limited to ${WEBSITE_RULES_MAX}.`
    throw new S3Error('InvalidRequest', message)
  }
  return nodes.map(parseRule)
}

/** Those that S3 knows: not 300, and not 306, which means nothing any more. */
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 304, 305, 307, 308])

const isErrorStatus = (status: number) => (status >= 400 && status <= 417) || (status >= 500 && status <= 505)

function parseRule(node: XmlNode): RoutingRule {
  const condition = node.maybe('Condition')
  const redirect = parseRedirect(node.one('Redirect'))
  node.done()
  if (condition === undefined) return { redirect }
  const keyPrefix = condition.maybeString('KeyPrefixEquals')
  const errorStatus = condition.maybeCount('HttpErrorCodeReturnedEquals')
  condition.done()
  if (keyPrefix === undefined && errorStatus === undefined) throw condition.malformed()
  if (errorStatus !== undefined && !isErrorStatus(errorStatus)) {
    const message = `The provided HTTP error code (${errorStatus}) is not valid. Valid codes are 4XX or 5XX.`
    throw new S3Error('InvalidRequest', message)
  }
  return {
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
    ...(errorStatus === undefined ? {} : { errorStatus }),
    redirect,
  }
}

function parseRedirect(node: XmlNode): Redirect {
  const protocol = parseProtocol(node)
  const host = node.maybeString('HostName')?.trim()
  const keyPrefix = node.maybeString('ReplaceKeyPrefixWith')
  const key = node.maybeString('ReplaceKeyWith')
  const status = node.maybeCount('HttpRedirectCode')
  const isEmpty = node.children.length === 0
  node.done()
  if (isEmpty) throw node.malformed()
  if (keyPrefix !== undefined && key !== undefined)
    throw new S3Error('InvalidRequest', 'You can only define ReplaceKeyPrefix or ReplaceKey but not both.')
  if (status !== undefined && !REDIRECT_STATUSES.has(status)) {
    const message = `The provided HTTP redirect code (${status}) is not valid. Valid codes are 3XX except 300.`
    throw new S3Error('InvalidRequest', message)
  }
  return {
    ...(protocol === undefined ? {} : { protocol }),
    ...(host === undefined || host === '' ? {} : { host }),
    ...(keyPrefix === undefined ? {} : { keyPrefix }),
    ...(key === undefined ? {} : { key }),
    ...(status === undefined ? {} : { status }),
  }
}

function parseProtocol(node: XmlNode): Protocol | undefined {
  const text = node.maybeString('Protocol')?.trim()
  if (text === undefined || text === 'http' || text === 'https') return text
  throw new S3Error(
    'InvalidRequest',
    'Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.',
  )
}

/** What is inside a `<WebsiteConfiguration>`. */
export function renderWebsite(website: Website): string {
  if ('redirectAllTo' in website) {
    const { host, protocol } = website.redirectAllTo
    return wrap('RedirectAllRequestsTo', tag('HostName', host) + optionalTag('Protocol', protocol))
  }
  const { indexSuffix, errorKey, rules } = website
  const error = errorKey === undefined ? '' : wrap('ErrorDocument', tag('Key', errorKey))
  const list = rules.length === 0 ? '' : wrap('RoutingRules', rules.map(renderRule).join(''))
  return wrap('IndexDocument', tag('Suffix', indexSuffix)) + error + list
}

function renderRule({ keyPrefix, errorStatus, redirect }: RoutingRule): string {
  const conditions =
    optionalTag('KeyPrefixEquals', keyPrefix) + optionalTag('HttpErrorCodeReturnedEquals', errorStatus)
  const condition = conditions === '' ? '' : wrap('Condition', conditions)
  const target =
    optionalTag('Protocol', redirect.protocol) +
    optionalTag('HostName', redirect.host) +
    optionalTag('ReplaceKeyPrefixWith', redirect.keyPrefix) +
    optionalTag('ReplaceKeyWith', redirect.key) +
    optionalTag('HttpRedirectCode', redirect.status)
  return wrap('RoutingRule', condition + wrap('Redirect', target))
}
