/** The query of a filer's URL, every value checked: a number that is none is an error, never a silent default. */
import { StoreError } from '../../../base/errors.ts'
import { parseTtl } from '../../../base/ttl.ts'

/** Names and values of a query, decoded, the first of each name. */
export class FilerQuery {
  readonly #values: ReadonlyMap<string, string>

  /** Throws `bad_request` for malformed percent encoding. */
  constructor(text: string) {
    const values = new Map<string, string>()
    for (const pair of text === '' ? [] : text.split('&')) {
      if (pair === '') continue
      const equals = pair.indexOf('=')
      const name = decode(equals < 0 ? pair : pair.slice(0, equals))
      if (!values.has(name)) values.set(name, equals < 0 ? '' : decode(pair.slice(equals + 1)))
    }
    this.#values = values
  }

  get isEmpty(): boolean {
    return this.#values.size === 0
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** '' where it is not given. */
  text(name: string): string {
    return this.#values.get(name) ?? ''
  }

  /** False where it is not given. Throws `bad_request`. */
  flag(name: string): boolean {
    const text = this.text(name)
    if (text === '' || /^(0|f|false)$/i.test(text)) return false
    if (/^(1|t|true)$/i.test(text)) return true
    throw new StoreError('bad_request', `${name} is neither true nor false`)
  }

  /** Undefined where it is not given. Throws `bad_request`. */
  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === '') return undefined
    if (!/^[0-9]{1,15}$/.test(text)) throw new StoreError('bad_request', `${name} is not a whole number`)
    return Number(text)
  }

  /** Permission bits in octal. */
  mode(): number | undefined {
    const text = this.text('mode')
    if (text === '') return undefined
    if (!/^0?[0-7]{1,4}$/.test(text)) throw new StoreError('bad_request', 'mode is not an octal number')
    return Number.parseInt(text, 8)
  }

  /** As volumes store it; 0 is none. */
  ttl(): number {
    return parseTtl(this.text('ttl'))
  }

  get pretty(): boolean {
    return this.text('pretty') !== ''
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (error) {
    throw new StoreError('bad_request', 'malformed percent encoding in the query', { cause: error })
  }
}

const RESPONSE_HEADERS: readonly [parameter: string, header: string][] = [
  ['response-cache-control', 'Cache-Control'],
  ['response-content-disposition', 'Content-Disposition'],
  ['response-content-encoding', 'Content-Encoding'],
  ['response-content-language', 'Content-Language'],
  ['response-content-type', 'Content-Type'],
  ['response-expires', 'Expires'],
]

/** Headers that replace the reply's own, as bytes in latin1 strings: name, value, … Throws `bad_request`. */
export function responseHeaders(query: FilerQuery): string[] {
  const headers: string[] = []
  for (const [parameter, header] of RESPONSE_HEADERS) {
    const value = Buffer.from(query.text(parameter), 'utf8').toString('latin1')
    if (value === '') continue
    if (!isHeaderValue(value)) throw new StoreError('bad_request', `${parameter} holds a control character`)
    headers.push(header, value)
  }
  return headers
}

/** Whether bytes (as a latin1 string) may stand in a header. */
export function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}
