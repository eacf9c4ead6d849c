/** Which pages of other sites may use a bucket from a browser: its CORS rules, and the headers that tell the browser. */
import type { Bucket } from '../../objects/object-store.ts'
import { S3Error } from './s3-error.ts'
import type { S3Request } from './s3-request.ts'
import type { XmlNode } from './xml-reader.ts'
import { optionalTag, tag, wrap } from './xml-writer.ts'

export const CORS_METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'HEAD'] as const

export interface CorsRule {
  id?: string
  /** With at most one `*` each. */
  allowedOrigins: string[]
  allowedMethods: string[]
  allowedHeaders: string[]
  exposeHeaders: string[]
  maxAgeSeconds?: number
}

const RULES_MAX = 100
const ID_CHARS_MAX = 255

export function parseCors(root: XmlNode): CorsRule[] {
  const nodes = root.all('CORSRule')
  root.done()
  if (nodes.length === 0 || nodes.length > RULES_MAX) throw root.malformed()
  return nodes.map(parseRule)
}

function parseRule(node: XmlNode): CorsRule {
  const id = node.maybeString('ID')
  const maxAge = node.maybeString('MaxAgeSeconds')?.trim()
  if (maxAge !== undefined && !/^-?[0-9]{1,9}$/.test(maxAge)) throw node.malformed()
  const maxAgeSeconds = maxAge === undefined ? undefined : Number(maxAge)
  const texts = (name: string) => node.all(name).map((each) => each.leaf().trim())
  const rule = {
    ...(id === undefined ? {} : { id }),
    allowedOrigins: texts('AllowedOrigin'),
    allowedMethods: texts('AllowedMethod'),
    allowedHeaders: texts('AllowedHeader'),
    exposeHeaders: texts('ExposeHeader'),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  }
  node.done()
  if (rule.allowedOrigins.length === 0 || rule.allowedMethods.length === 0) throw node.malformed()
  if (id !== undefined && id.length > ID_CHARS_MAX) throw node.malformed()
  for (const method of rule.allowedMethods) {
    if (!(CORS_METHODS as readonly string[]).includes(method)) {
      throw new S3Error(
        'InvalidRequest',
        `Found unsupported HTTP method in CORS config. Unsupported method is ${method}`,
      )
    }
  }
  for (const origin of rule.allowedOrigins) checkStars('AllowedOrigin', origin)
  for (const header of rule.allowedHeaders) {
    checkStars('AllowedHeader', header)
    checkToken('AllowedHeader', header.replace('*', ''))
  }
  for (const header of rule.exposeHeaders) {
    if (header.includes('*')) {
      throw new S3Error(
        'InvalidRequest',
        `ExposeHeader "${header}" contains wildcard. We currently do not support wildcard for ExposeHeader.`,
      )
    }
  }
  for (const header of rule.exposeHeaders) checkToken('ExposeHeader', header)
  return rule
}

/** What the name of a header can be. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]*$/

function checkToken(element: string, name: string): void {
  if (!TOKEN.test(name))
    throw new S3Error('InvalidRequest', `${element} "${name}" contains invalid character.`)
}

function checkStars(name: string, value: string): void {
  if (value.indexOf('*') !== value.lastIndexOf('*'))
    throw new S3Error('InvalidRequest', `${name} "${value}" can not have more than one wildcard.`)
}

export function renderCors(rules: readonly CorsRule[]): string {
  const list = (name: string, values: readonly string[]) => values.map((value) => tag(name, value)).join('')
  return rules
    .map((rule) =>
      wrap(
        'CORSRule',
        optionalTag('ID', rule.id) +
          list('AllowedMethod', rule.allowedMethods) +
          list('AllowedOrigin', rule.allowedOrigins) +
          list('AllowedHeader', rule.allowedHeaders) +
          optionalTag('MaxAgeSeconds', rule.maxAgeSeconds) +
          list('ExposeHeader', rule.exposeHeaders),
      ),
    )
    .join('')
}

/** A bucket's rules as they are stored. */
export function corsOf({ configs }: Bucket): readonly CorsRule[] {
  const text = configs.get('cors')
  return text === undefined ? NO_RULES : (JSON.parse(text) as CorsRule[])
}

const NO_RULES: readonly CorsRule[] = []

export interface CorsQuestion {
  origin: string
  method: string
  /** Lower case; of a preflight. */
  headers: readonly string[]
}

/** The first rule that allows it. */
export function matchCors(rules: readonly CorsRule[], asked: CorsQuestion): CorsRule | undefined {
  const { origin, method, headers } = asked
  return rules.find(
    (rule) =>
      rule.allowedMethods.includes(method) &&
      rule.allowedOrigins.some((pattern) => matchesStar(pattern, origin)) &&
      headers.every((header) =>
        rule.allowedHeaders.some((pattern) => matchesStar(pattern.toLowerCase(), header)),
      ),
  )
}

/** `*` stands for any characters, also none. */
function matchesStar(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return pattern === text
  const tail = pattern.length - star - 1
  return (
    text.length >= pattern.length - 1 &&
    text.startsWith(pattern.slice(0, star)) &&
    (tail === 0 || text.endsWith(pattern.slice(-tail)))
  )
}

/** Headers of the reply that a rule allows. */
export function corsHeaders(rule: CorsRule, asked: CorsQuestion): string[] {
  const isAnyone = rule.allowedOrigins.includes('*')
  const headers = [
    'Access-Control-Allow-Origin',
    isAnyone ? '*' : asked.origin,
    'Access-Control-Allow-Methods',
    rule.allowedMethods.join(', '),
  ]
  if (asked.headers.length > 0) headers.push('Access-Control-Allow-Headers', asked.headers.join(', '))
  if (rule.exposeHeaders.length > 0)
    headers.push('Access-Control-Expose-Headers', rule.exposeHeaders.join(', '))
  if (rule.maxAgeSeconds !== undefined) headers.push('Access-Control-Max-Age', String(rule.maxAgeSeconds))
  if (!isAnyone) headers.push('Access-Control-Allow-Credentials', 'true')
  headers.push('Vary', 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method')
  return headers
}

/** What a browser asks with a preflight. Throws BadRequest. */
export function preflightQuestion(request: S3Request): CorsQuestion {
  const origin = request.header('origin')
  const method = request.header('access-control-request-method')
  if (!origin)
    throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.', { extra: {} })
  if (!method || !(CORS_METHODS as readonly string[]).includes(method)) {
    const given = method ?? 'null'
    throw new S3Error('BadRequest', `Invalid Access-Control-Request-Method: ${given}`, { extra: {} })
  }
  const names = (request.header('access-control-request-headers') ?? '').split(',')
  const odd = names.find((name) => !TOKEN.test(name.trim()))
  if (odd !== undefined) {
    const message = `Access-Control-Request-Headers "${odd}" contains invalid character.`
    throw new S3Error('BadRequest', message, { extra: {} })
  }
  const headers = names.map((name) => name.trim().toLowerCase()).filter((name) => name !== '')
  return { origin, method, headers }
}
