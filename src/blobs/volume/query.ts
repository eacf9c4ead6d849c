/** The query of a file's URL, every value checked: a number that is none is an error, never a silent default. */
import { StoreError } from '../../base/errors.ts'
import { parseTtl } from '../../base/ttl.ts'
import { type ImageQuery, imageQuery } from './image-query.ts'

export interface FileQuery {
  /** `ts`: last modified, seconds since 1970. */
  lastModifiedS: number | undefined
  /** `ttl` as stored; undefined when not given. */
  ttl: number | undefined
  /** `cm`: the upload is a chunk manifest; `false` on a read gives the manifest itself. */
  manifest: boolean | undefined
  fsync: boolean
  /** `type=replicate`: sent by another volume server. */
  isReplicate: boolean
  /** `type=blob`: bytes and nothing else, stored as they are. */
  isBlob: boolean
  /** `repair`: nothing is written where the key was deleted. */
  isRepair: boolean
  /** `blob`: of a shard, the SHA-256 of its blob, base64url. */
  blobHash: string | undefined
  jwt: string | undefined
  /** `dl`: as an attachment. */
  download: boolean
  readDeleted: boolean
  /** `proxied`: another server sent the reader here. */
  isProxied: boolean
  pretty: boolean
  /** Headers that replace the reply's own (`response-content-type` and its like): name, value, … */
  responseHeaders: string[]
  /** `width`, `height`, `mode`, `crop_…`: the image smaller, or a part of it. */
  image: ImageQuery | undefined
}

export const NO_QUERY: Readonly<FileQuery> = {
  lastModifiedS: undefined,
  ttl: undefined,
  manifest: undefined,
  fsync: false,
  isReplicate: false,
  isBlob: false,
  isRepair: false,
  blobHash: undefined,
  jwt: undefined,
  download: false,
  readDeleted: false,
  isProxied: false,
  pretty: false,
  responseHeaders: [],
  image: undefined,
}

const RESPONSE_HEADERS: readonly [parameter: string, header: string][] = [
  ['response-cache-control', 'Cache-Control'],
  ['response-content-disposition', 'Content-Disposition'],
  ['response-content-encoding', 'Content-Encoding'],
  ['response-content-language', 'Content-Language'],
  ['response-content-type', 'Content-Type'],
  ['response-expires', 'Expires'],
]
const IMAGE_SIDE_MAX = 0xffff
const IMAGE_MODES = ['', 'fit', 'fill']
/** Last modified is stored in 5 bytes. */
const LAST_MODIFIED_S_MAX = 2 ** 40 - 1

/** Parses what stands behind the `?`. Throws `bad_request` naming the parameter. */
export function parseFileQuery(text: string): FileQuery {
  const values = parseQuery(text)
  const ttl = values.get('ttl')
  const type = oneOf(values, 'type', ['', 'replicate', 'blob'])
  return {
    lastModifiedS: wholeNumber(values, 'ts', LAST_MODIFIED_S_MAX),
    ttl: ttl === undefined ? undefined : parseTtl(ttl),
    manifest: flag(values, 'cm'),
    fsync: flag(values, 'fsync') ?? false,
    isReplicate: type === 'replicate',
    isBlob: type === 'blob',
    isRepair: flag(values, 'repair') ?? false,
    blobHash: blobHash(values),
    jwt: values.get('jwt'),
    download: flag(values, 'dl') ?? false,
    readDeleted: flag(values, 'readDeleted') ?? false,
    isProxied: flag(values, 'proxied') ?? false,
    pretty: (values.get('pretty') ?? '') !== '',
    responseHeaders: responseHeaders(values),
    image: imageOf(values),
  }
}

function blobHash(values: Map<string, string>): string | undefined {
  const text = values.get('blob')
  if (text === undefined || /^[A-Za-z0-9_-]{43}$/.test(text)) return text
  throw new StoreError('bad_request', 'blob is not a hash')
}

function imageOf(values: Map<string, string>): ImageQuery | undefined {
  const side = (name: string) => wholeNumber(values, name, IMAGE_SIDE_MAX)
  return imageQuery({
    width: side('width'),
    height: side('height'),
    mode: oneOf(values, 'mode', IMAGE_MODES),
    x1: side('crop_x1'),
    y1: side('crop_y1'),
    x2: side('crop_x2'),
    y2: side('crop_y2'),
  })
}

/** Names and values, decoded, the first of each name. */
function parseQuery(text: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (!values.has(name)) values.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1)))
  }
  return values
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (error) {
    throw new StoreError('bad_request', 'malformed percent encoding in the query', { cause: error })
  }
}

function wholeNumber(values: Map<string, string>, name: string, max: number): number | undefined {
  const text = values.get(name)
  if (text === undefined || text === '') return undefined
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= max)) throw new StoreError('bad_request', `${name} is not a whole number from 0 to ${max}`)
  return value
}

function flag(values: Map<string, string>, name: string): boolean | undefined {
  const text = values.get(name)
  if (text === undefined || text === '') return undefined
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  throw new StoreError('bad_request', `${name} is neither true nor false`)
}

function oneOf(values: Map<string, string>, name: string, allowed: readonly string[]): string {
  const text = values.get(name) ?? ''
  if (allowed.includes(text)) return text
  throw new StoreError(
    'bad_request',
    `${name} is not one of: ${allowed.filter((each) => each !== '').join(', ')}`,
  )
}

function responseHeaders(values: Map<string, string>): string[] {
  const headers: string[] = []
  for (const [parameter, header] of RESPONSE_HEADERS) {
    const value = values.get(parameter)
    if (value === undefined || value === '') continue
    const bytes = Buffer.from(value, 'utf8').toString('latin1')
    if (!isHeaderValue(bytes)) throw new StoreError('bad_request', `${parameter} holds a control character`)
    headers.push(header, bytes)
  }
  return headers
}

/** Whether bytes (as a latin1 string) may stand in a header. */
export function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}
