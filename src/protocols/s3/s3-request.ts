/**
 * One S3 request, read once: bucket, key and parameters from the bytes of the request line, and nothing else anywhere
 * may parse them again. Percent-encoding is decoded once and strictly; nothing is normalised, so `a/../b` and `a//b` are
 * keys like any other.
 */
import { isUtf8 } from 'node:buffer'
import { rawHeader } from '../../net/reply.ts'
import { S3Error } from './s3-error.ts'

export interface S3RequestInput {
  method: string
  /** As received: latin1, one byte a character. */
  target: string
  rawHeaders: readonly string[]
  remoteAddress: string
  isTls: boolean
  /** `1.3`, where it is known. */
  tlsVersion?: string | undefined
}

/** Among domains: a host below none of the others is itself the name of a bucket. */
export const ANY_HOST = ''

export class S3Request {
  readonly method: string
  /** As received, without the query; begins with `/`. */
  readonly rawPath: string
  /** As received, without `?`. */
  readonly rawQuery: string
  /** As received. */
  readonly sentHeaders: readonly string[]
  /** The same, and those that a presigned link carries in its query. */
  readonly rawHeaders: readonly string[]
  readonly remoteAddress: string
  readonly isTls: boolean
  readonly tlsVersion: string | undefined
  /** '' at the level of the service. */
  readonly bucket: string
  /** '' at the level of a bucket. */
  readonly key: string
  /** The bucket came by the Host header. */
  readonly isVirtualHost: boolean
  /** Name, value, …, decoded. A parameter without `=` has the value ''. */
  readonly params: readonly string[]

  /** `domains`: lower case; a host below one of them names a bucket, and any host does where ANY_HOST is the last of them. Throws S3Error `InvalidURI`. */
  constructor(input: S3RequestInput, domains: readonly string[]) {
    this.method = input.method
    this.sentHeaders = input.rawHeaders
    this.remoteAddress = input.remoteAddress
    this.isTls = input.isTls
    this.tlsVersion = input.tlsVersion
    const target = originForm(input.target)
    const question = target.indexOf('?')
    this.rawPath = question < 0 ? target : target.slice(0, question)
    this.rawQuery = question < 0 ? '' : target.slice(question + 1)
    const hosted =
      domains.length === 0 ? undefined : bucketOfHost(rawHeader(input.rawHeaders, 'host'), domains)
    this.isVirtualHost = hosted !== undefined
    if (hosted === undefined) {
      const slash = this.rawPath.indexOf('/', 1)
      this.bucket = decodeUri(slash < 0 ? this.rawPath.slice(1) : this.rawPath.slice(1, slash))
      this.key = slash < 0 ? '' : decodeUri(this.rawPath.slice(slash + 1))
      if (this.bucket === '' && slash >= 0) throw new S3Error('InvalidBucketName')
    } else {
      this.bucket = hosted
      this.key = decodeUri(this.rawPath.slice(1))
    }
    this.params = this.rawQuery === '' ? NO_PARAMS : parseQuery(this.rawQuery)
    const isLink = this.param('X-Amz-Signature') !== undefined
    this.rawHeaders = isLink ? withLinkHeaders(input.rawHeaders, this.params) : input.rawHeaders
  }

  /** The first header of that name, given in lower case. */
  header(lowerName: string): string | undefined {
    return rawHeader(this.rawHeaders, lowerName)
  }

  /** The first parameter of that name; '' for one without a value. */
  param(name: string): string | undefined {
    const { params } = this
    for (let i = 0; i < params.length; i += 2) if (params[i] === name) return params[i + 1]
    return undefined
  }

  /** The same, with '' as absent: how S3 takes most of them. */
  filledParam(name: string): string | undefined {
    return this.param(name) || undefined
  }

  /** What an error document names: the path, with the bucket also where it came by the host. */
  get resource(): string {
    return this.isVirtualHost ? `/${this.bucket}${this.rawPath}` : this.rawPath
  }
}

const NO_PARAMS: readonly string[] = []

/** Who makes a link may have put headers into its query, for those who send nothing else; headers that are sent come first. */
function withLinkHeaders(sent: readonly string[], params: readonly string[]): string[] {
  const all = [...sent]
  for (let i = 0; i < params.length; i += 2) {
    const name = params[i]!.toLowerCase()
    if (!name.startsWith('x-amz-') || OF_THE_LINK.test(name) || rawHeader(sent, name) !== undefined) continue
    all.push(name, Buffer.from(params[i + 1]!).toString('latin1'))
  }
  return all
}

/** What is said of the signature, and checksums: who makes a link has not seen the body, and means an empty one. */
const OF_THE_LINK =
  /^x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256|trailer|decoded-content-length|sdk-checksum-algorithm|checksum-(crc32c?|crc64nvme|sha1|sha256))$/

/** A proxy's form of the target is the same request. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const match = /^https?:\/\/[^/?#]*/i.exec(target)
  if (match === null) throw new S3Error('InvalidURI')
  const rest = target.slice(match[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** Undefined for a host that is none of ours: then the path begins with the bucket. */
function bucketOfHost(host: string | undefined, domains: readonly string[]): string | undefined {
  if (host === undefined) return undefined
  const colon = host.lastIndexOf(':')
  const isPort = colon >= 0 && /^[0-9]*$/.test(host.slice(colon + 1))
  const name = (isPort ? host.slice(0, colon) : host).toLowerCase()
  for (const domain of domains) {
    if (domain === ANY_HOST) return name
    const dot = name.length - domain.length - 1
    if (dot > 0 && name[dot] === '.' && name.endsWith(domain)) return name.slice(0, dot)
  }
  return undefined
}

/** Characters that mean more than themselves: escapes, and bytes beyond ASCII that came unescaped. */
const ENCODED = /[%\x80-\xff]/

/** Percent-decodes to UTF-8. `text` is latin1. */
export function decodeUri(text: string): string {
  if (!ENCODED.test(text)) return text
  const bytes = Buffer.allocUnsafe(text.length)
  let length = 0
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i)
    if (code === PERCENT) {
      const high = hexDigit(text.charCodeAt(i + 1))
      const low = hexDigit(text.charCodeAt(i + 2))
      if (high < 0 || low < 0) throw new S3Error('InvalidURI')
      code = high * 16 + low
      i += 2
    }
    bytes[length++] = code
  }
  const decoded = bytes.subarray(0, length)
  if (!isUtf8(decoded)) throw new S3Error('InvalidURI')
  return decoded.toString('utf8')
}

const PERCENT = 0x25

/** -1 for what is none, NaN included. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  if (code >= 65 && code <= 70) return code - 55
  if (code >= 97 && code <= 102) return code - 87
  return -1
}

function parseQuery(query: string): string[] {
  const params: string[] = []
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    params.push(decodeParam(equals < 0 ? pair : pair.slice(0, equals)))
    params.push(equals < 0 ? '' : decodeParam(pair.slice(equals + 1)))
  }
  return params
}

/** In a query, unlike a path, `+` is a space. */
function decodeParam(text: string): string {
  return decodeUri(text.includes('+') ? text.replaceAll('+', ' ') : text)
}
