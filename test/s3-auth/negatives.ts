/**
 * Requests that must be refused: several hundred ways in which a signed request can be wrong, made from one right request
 * to any target. All of them are ready to be sent; times are around `nowMs`, so a server with a real clock can be asked.
 */
import { createHash, createHmac } from 'node:crypto'
import { SignerV2, SignerV4, type SigningKey } from '../../src/iam/sign.ts'

type Pair = readonly [name: string, value: string]

export interface NegativeTarget {
  method: string
  host: string
  /** Not encoded. */
  path: string
  query?: readonly Pair[]
  headers?: readonly Pair[]
  /** With one, bodies that are not what was signed are among the negatives. */
  body?: Buffer
}

export interface NegativeOptions {
  key: SigningKey
  /** Another account's. */
  otherKey: SigningKey
  region: string
  nowMs: number
}

export interface Negative {
  name: string
  method: string
  target: string
  headers: readonly Pair[]
  body: Buffer | undefined
  /** One of these must be the answer's code. */
  codes: readonly string[]
  /** Nothing in it claims to be signed: refused as what anonymous callers may not do. */
  isAnonymous: boolean
  /** The head is right, and only whoever reads the body can see that it is wrong. */
  isInBody: boolean
}

const WRONG = ['SignatureDoesNotMatch']
const MALFORMED = ['AuthorizationHeaderMalformed']
const MALFORMED_QUERY = ['AuthorizationQueryParametersError']
const DENIED = ['AccessDenied']
const INVALID = ['InvalidArgument', 'InvalidRequest']
const MINUTE_MS = 60_000

interface Draft {
  method: string
  target: string
  headers: readonly Pair[]
  body: Buffer | undefined
}

/** At least 200 for any target. */
export function negativesOf(target: NegativeTarget, options: NegativeOptions): Negative[] {
  return new Maker(target, options).all()
}

class Maker {
  readonly #target: NegativeTarget
  readonly #options: NegativeOptions
  readonly #v4: SignerV4
  readonly #found: Negative[] = []

  constructor(target: NegativeTarget, options: NegativeOptions) {
    // A header more, so that there is always one beside the least.
    const headers = [...(target.headers ?? []), ['x-amz-meta-probe', 'one'] as const]
    this.#target = { ...target, headers }
    this.#options = options
    this.#v4 = new SignerV4({ ...options.key, region: options.region })
  }

  all(): Negative[] {
    this.#signatures()
    this.#components()
    this.#credentials()
    this.#headers()
    this.#requestLine()
    this.#times()
    this.#payloads()
    this.#otherSigners()
    this.#severalClaims()
    this.#links()
    this.#version2()
    if (this.#target.body !== undefined) this.#chunkedBodies()
    return this.#found
  }

  #add(name: string, draft: Draft, codes: readonly string[], more: Partial<Negative> = {}): void {
    this.#found.push({ name, ...draft, codes, isAnonymous: false, isInBody: false, ...more })
  }

  /** The right request. */
  #base(
    nowMs = this.#options.nowMs,
    signer = this.#v4,
    more: Partial<NegativeTarget> & { payload?: string } = {},
  ): Draft {
    const { method, body } = this.#target
    const { target, headers } = signer.sign({ ...this.#target, ...more }, nowMs)
    return { method, target, headers, body }
  }

  #authorization(draft: Draft): string {
    return draft.headers.find(([name]) => name === 'Authorization')![1]
  }

  #withAuthorization(name: string, change: (text: string) => string, codes: readonly string[]): void {
    const base = this.#base()
    const text = change(this.#authorization(base))
    const headers = base.headers.map(
      ([header, value]): Pair => [header, header === 'Authorization' ? text : value],
    )
    this.#add(`Authorization: ${name}`, { ...base, headers }, codes)
  }

  #signatures(): void {
    for (let at = 0; at < 64; at++) {
      const flip = (text: string) => {
        const start = text.length - 64
        const digit = Number.parseInt(text[start + at]!, 16) ^ 1
        return text.slice(0, start + at) + digit.toString(16) + text.slice(start + at + 1)
      }
      this.#withAuthorization(`digit ${at} of the signature is another`, flip, WRONG)
    }
    const tail = (change: (signature: string) => string) => (text: string) =>
      text.slice(0, -64) + change(text.slice(-64))
    this.#withAuthorization(
      'a digit less',
      tail((s) => s.slice(1)),
      WRONG,
    )
    this.#withAuthorization(
      'a digit more',
      tail((s) => `${s}0`),
      WRONG,
    )
    this.#withAuthorization(
      'zeros',
      tail(() => '0'.repeat(64)),
      WRONG,
    )
    this.#withAuthorization(
      'not hex',
      tail(() => 'z'.repeat(64)),
      WRONG,
    )
    this.#withAuthorization(
      'no signature',
      tail(() => ''),
      MALFORMED,
    )
    this.#withAuthorization(
      'reversed',
      tail((s) => [...s].reverse().join('')),
      WRONG,
    )
    this.#withAuthorization(
      'base64',
      tail((s) => Buffer.from(s, 'hex').toString('base64')),
      [...WRONG, ...MALFORMED],
    )
  }

  #components(): void {
    const all = ['Credential', 'SignedHeaders', 'Signature']
    const part = (name: string) => new RegExp(`${name}=[^,]*`)
    for (const name of all) {
      this.#withAuthorization(
        `without ${name}`,
        (t) => t.replace(new RegExp(`${name}=[^,]*,? ?`), ''),
        MALFORMED,
      )
      this.#withAuthorization(`${name} empty`, (t) => t.replace(part(name), `${name}=`), MALFORMED)
      this.#withAuthorization(`${name} twice`, (t) => `${t}, ${part(name).exec(t)![0]}`, MALFORMED)
      this.#withAuthorization(`${name} in lower case`, (t) => t.replace(name, name.toLowerCase()), MALFORMED)
    }
    this.#withAuthorization('a component more', (t) => `${t}, Extra=1`, MALFORMED)
    this.#withAuthorization('no commas', (t) => t.replaceAll(',', ''), MALFORMED)
    this.#withAuthorization('algorithm only', () => 'AWS4-HMAC-SHA256', INVALID)
    this.#withAuthorization('algorithm and a space', () => 'AWS4-HMAC-SHA256 ', [...INVALID, ...MALFORMED])
    for (const scheme of [
      'aws4-hmac-sha256',
      'AWS4-HMAC-SHA1',
      'AWS4-ECDSA-P256-SHA256',
      'AWS5-HMAC-SHA256',
      'Bearer',
    ])
      this.#withAuthorization(`scheme ${scheme}`, (t) => t.replace('AWS4-HMAC-SHA256', scheme), INVALID)
    this.#withAuthorization('Basic', () => `Basic ${Buffer.from('a:b').toString('base64')}`, INVALID)
    this.#withAuthorization('nothing', () => '', ['AccessDenied'])
    const names = /SignedHeaders=([^,]*)/
    const list = (change: (names: string[]) => string[]) => (text: string) =>
      text.replace(names, (_, given: string) => `SignedHeaders=${change(given.split(';')).join(';')}`)
    const refused = [...WRONG, ...MALFORMED, ...DENIED]
    this.#withAuthorization(
      'signed headers reversed',
      list((n) => n.reverse()),
      refused,
    )
    this.#withAuthorization(
      'a signed header twice',
      list((n) => [n[0]!, ...n]),
      refused,
    )
    this.#withAuthorization(
      'signed headers in upper case',
      list((n) => n.map((x) => x.toUpperCase())),
      refused,
    )
    this.#withAuthorization(
      'a signed header that is not there',
      list((n) => [...n, 'z-none']),
      refused,
    )
    this.#withAuthorization(
      'an empty signed header',
      list((n) => [...n, '']),
      refused,
    )
    this.#withAuthorization(
      'only host signed',
      list(() => ['host']),
      refused,
    )
    const signed = names.exec(this.#authorization(this.#base()))![1]!.split(';')
    for (const name of signed)
      this.#withAuthorization(
        `${name} not in the list`,
        list((n) => n.filter((x) => x !== name)),
        refused,
      )
  }

  #credentials(): void {
    const change = (name: string, replace: (parts: string[]) => string[], codes: readonly string[]) =>
      this.#withAuthorization(
        `credential ${name}`,
        (t) =>
          t.replace(
            /Credential=([^,]*)/,
            (_, given: string) => `Credential=${replace(given.split('/')).join('/')}`,
          ),
        codes,
      )
    const { otherKey } = this.#options
    change('of an unknown key', ([, ...rest]) => ['NOBODYKNOWSTHIS', ...rest], ['InvalidAccessKeyId'])
    change('of another account', ([, ...rest]) => [otherKey.accessKey, ...rest], WRONG)
    change('without a key', ([, ...rest]) => ['', ...rest], MALFORMED)
    change('in another case', ([key, ...rest]) => [swapCase(key!), ...rest], ['InvalidAccessKeyId'])
    for (const at of [1, 2, 3, 4]) {
      change(`without part ${at}`, (parts) => parts.filter((_, i) => i !== at), MALFORMED)
      change(`with part ${at} empty`, (parts) => parts.map((x, i) => (i === at ? '' : x)), MALFORMED)
      change(`with part ${at} changed`, (parts) => parts.map((x, i) => (i === at ? `${x}x` : x)), MALFORMED)
    }
    change('of one part', ([key]) => [key!], MALFORMED)
    change('of six parts', (parts) => [...parts, 'more'], MALFORMED)
    change(
      'of the day before',
      ([key, , ...rest]) => [key!, day(this.#options.nowMs - 86_400_000), ...rest],
      MALFORMED,
    )
    change(
      'of the next day',
      ([key, , ...rest]) => [key!, day(this.#options.nowMs + 86_400_000), ...rest],
      MALFORMED,
    )
    change('of another region', ([key, date, , ...rest]) => [key!, date!, 'xx-none-1', ...rest], MALFORMED)
    change(
      'of another service',
      ([key, date, region]) => [key!, date!, region!, 'iam', 'aws4_request'],
      MALFORMED,
    )
  }

  #headers(): void {
    const base = this.#base()
    const own = base.headers.filter(([name]) => name !== 'Authorization')
    for (const [name, value] of own) {
      const rest = base.headers.filter(([each]) => each !== name)
      const isPayload = name === 'x-amz-content-sha256'
      const isDate = name === 'X-Amz-Date'
      const codes = [
        ...WRONG,
        ...(isPayload ? [...INVALID, 'XAmzContentSHA256Mismatch'] : []),
        ...(isDate ? [...DENIED, ...MALFORMED, 'RequestTimeTooSkewed'] : []),
      ]
      // What has no Host at all, or two, is no request at all.
      if (name !== 'Host') {
        this.#add(`without the header ${name}`, { ...base, headers: rest }, codes)
        const twice: Pair[] = [...base.headers, [name, 'again']]
        this.#add(`the header ${name} twice`, { ...base, headers: twice }, codes)
      }
      const put = (what: string, changed: string) => {
        const headers = base.headers.map(([each, old]): Pair => [each, each === name ? changed : old])
        this.#add(`the header ${name} ${what}`, { ...base, headers }, codes)
      }
      put('longer', `${value}0`)
      put('changed', `${value.slice(0, -1)}${value.endsWith('1') ? '2' : '1'}`)
    }
    const unsigned = [
      ...[
        'acl',
        'meta-more',
        'copy-source',
        'tagging',
        'storage-class',
        'grant-read',
        'server-side-encryption',
      ],
      ...['website-redirect-location', 'object-lock-mode', 'bypass-governance-retention', 'security-token'],
      ...[
        'checksum-crc32',
        'trailer',
        'decoded-content-length',
        'expected-bucket-owner',
        'request-payer',
        'mfa',
      ],
    ]
    for (const name of unsigned) {
      const headers: Pair[] = [...base.headers, [`X-Amz-${name}`, 'x']]
      // One that is there and signed already is another by this.
      const codes = [...DENIED, ...WRONG, 'InvalidToken', 'MalformedTrailerError']
      this.#add(`x-amz-${name} is there and not signed`, { ...base, headers }, codes)
    }
    const without = base.headers.filter(([name]) => name !== 'Authorization')
    this.#add('no Authorization', { ...base, headers: without }, DENIED, { isAnonymous: true })
  }

  #requestLine(): void {
    const base = this.#base()
    const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'].filter((each) => each !== base.method)
    for (const method of methods) this.#add(`sent as ${method}`, { ...base, method }, WRONG)
    const [path, query = ''] = base.target.split('?') as [string, string?]
    const at = (p: string, q: string) => (q === '' ? p : `${p}?${q}`)
    const paths = [
      `${path}x`,
      `${path}/`,
      `/x${path}`,
      `${path}/..`,
      `${path}%00`,
      `${path}%2F`,
      `${path}%25`,
    ]
    if (path.length > 2) paths.push(path.slice(0, -1), swapCase(path))
    for (const other of paths)
      if (other !== path)
        this.#add(`path ${other}`, { ...base, target: at(other, query) }, [
          ...WRONG,
          'InvalidURI',
          'InvalidBucketName',
        ])
    const more = [
      'x',
      'x=1',
      'acl',
      'versionId=null',
      'uploads',
      'policy',
      'prefix=',
      'x=%20',
      'a=1&a=2',
      'X-Amz-Nothing=1',
    ]
    for (const extra of more) {
      const target = at(path, query === '' ? extra : `${query}&${extra}`)
      this.#add(`a parameter more: ${extra}`, { ...base, target }, WRONG)
    }
    const pairs = query === '' ? [] : query.split('&')
    for (const [i, pair] of pairs.entries()) {
      const less = pairs.filter((_, each) => each !== i).join('&')
      this.#add(`without the parameter ${pair}`, { ...base, target: at(path, less) }, WRONG)
      this.#add(`the parameter ${pair} twice`, { ...base, target: at(path, `${query}&${pair}`) }, WRONG)
      const changed = pairs.map((each, j) => (j === i ? `${each}1` : each)).join('&')
      this.#add(`the parameter ${pair} changed`, { ...base, target: at(path, changed) }, WRONG)
    }
  }

  #times(): void {
    const { nowMs } = this.#options
    for (const minutes of [-1_440, -60, -16, 16, 60, 1_440])
      this.#add(`signed ${minutes} minutes from now`, this.#base(nowMs + minutes * MINUTE_MS), [
        'RequestTimeTooSkewed',
      ])
    const base = this.#base()
    const put = (text: string) =>
      base.headers.map(([name, value]): Pair => [name, name === 'X-Amz-Date' ? text : value])
    const bad = [
      '',
      'now',
      '20260101',
      '2026-01-01',
      '20261301T000000Z',
      '20260230T000000Z',
      '99999999T999999Z',
      '-1',
    ]
    for (const text of bad) {
      const codes = [...DENIED, ...MALFORMED, 'RequestTimeTooSkewed']
      this.#add(`X-Amz-Date: ${text}`, { ...base, headers: put(text) }, codes)
    }
    const later = stamp(nowMs + 1_000)
    this.#add('a second later than signed', { ...base, headers: put(later) }, [...WRONG, ...MALFORMED])
  }

  #payloads(): void {
    for (const payload of [
      '',
      'x',
      'unsigned-payload',
      'UNSIGNED',
      '0'.repeat(63),
      '0'.repeat(65),
      'STREAMING-',
      'z'.repeat(64),
    ])
      this.#add(`x-amz-content-sha256: ${payload}`, this.#base(undefined, undefined, { payload }), INVALID)
    this.#add(
      'ECDSA chunks',
      this.#base(undefined, undefined, { payload: 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD' }),
      ['NotImplemented'],
    )
    for (const kind of [
      'AWS4-HMAC-SHA256-PAYLOAD',
      'AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      'UNSIGNED-PAYLOAD-TRAILER',
    ])
      this.#add(
        `${kind} without a length`,
        this.#base(undefined, undefined, { payload: `STREAMING-${kind}` }),
        ['MissingContentLength'],
      )
    const { body } = this.#target
    if (body === undefined) return
    const base = this.#base()
    const mismatch = ['XAmzContentSHA256Mismatch']
    const tampered = Buffer.from(body)
    if (tampered.length > 0) tampered[tampered.length - 1]! ^= 1
    const bodies: [string, Buffer][] = [
      ['a byte more', Buffer.concat([body, Buffer.from('x')])],
      ['another', Buffer.from('something else')],
    ]
    if (body.length > 0)
      bodies.push(['a byte less', body.subarray(1)], ['a bit changed', tampered], ['none', Buffer.alloc(0)])
    for (const [name, other] of bodies)
      this.#add(`body: ${name}`, { ...base, body: other }, mismatch, { isInBody: true })
    this.#add(
      'the digest of another body, signed',
      this.#base(undefined, undefined, { body: Buffer.from('not this') }),
      mismatch,
      { isInBody: true },
    )
  }

  #otherSigners(): void {
    const { key, otherKey, region, nowMs } = this.#options
    const sign = (name: string, signer: SignerV4, codes: readonly string[], more = {}) =>
      this.#add(`signed ${name}`, this.#base(nowMs, signer, more), codes)
    sign('with another secret', new SignerV4({ ...key, region, secretKey: `${key.secretKey}x` }), WRONG)
    sign(
      "with another account's secret",
      new SignerV4({ ...key, region, secretKey: otherKey.secretKey }),
      WRONG,
    )
    sign('by nobody', new SignerV4({ accessKey: 'NOBODYATALL', secretKey: 'xxxxxxxx', region }), [
      'InvalidAccessKeyId',
    ])
    sign('for another region', new SignerV4({ ...key, region: 'xx-none-1' }), MALFORMED)
    sign('for no region', new SignerV4({ ...key, region: '' }), MALFORMED)
    sign('for another service', new SignerV4({ ...key, region, service: 'sqs' }), [...MALFORMED, ...INVALID])
    for (const headers of [['host'], ['x-amz-date'], ['host', 'x-amz-date']]) {
      const base = this.#base()
      const draft = { ...base, headers: this.#signedOver(base, headers) }
      this.#add(`only ${headers.join(', ')} signed, rightly`, draft, DENIED)
    }
    const base = this.#base()
    const [path, query] = base.target.split('?') as [string, string?]
    const other = (name: string, text: string) => {
      const all = base.headers.map(([each]) => each.toLowerCase()).filter((each) => each !== 'authorization')
      const draft = { ...base, headers: this.#signedOver(base, all.sort(), text) }
      this.#add(`signed over ${name}`, draft, WRONG)
    }
    other('another path', `${base.method}\n${path}y\n${query ?? ''}`)
    other('an encoded path', `${base.method}\n${path.replaceAll('/', '%2F')}\n${query ?? ''}`)
    other('another method', `X${base.method}\n${path}\n${query ?? ''}`)
    other('another query', `${base.method}\n${path}\n${query ?? ''}z=1`)
    other('a method in lower case', `${base.method.toLowerCase()}\n${path}\n${query ?? ''}`)
  }

  /** The request signed by hand over these headers. */
  #signedOver(base: Draft, names: readonly string[], firstLines?: string): Pair[] {
    const { key, region } = this.#options
    const headers = new Map(base.headers.map(([name, value]) => [name.toLowerCase(), value.trim()]))
    const date = headers.get('x-amz-date')!
    const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`
    const [path, query = ''] = base.target.split('?') as [string, string?]
    const lines = names.map((name) => `${name}:${headers.get(name)}\n`).join('')
    const first = firstLines ?? `${base.method}\n${path}\n${query.split('&').sort().join('&')}`
    const canonical = `${first}\n${lines}\n${names.join(';')}\n${headers.get('x-amz-content-sha256')}`
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`
    let signature: Buffer | string = `AWS4${key.secretKey}`
    for (const part of [...scope.split('/'), text])
      signature = createHmac('sha256', signature).update(part).digest()
    const hex = (signature as Buffer).toString('hex')
    const authorization = `AWS4-HMAC-SHA256 Credential=${key.accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${hex}`
    return base.headers.map(([name, value]): Pair => [name, name === 'Authorization' ? authorization : value])
  }

  #severalClaims(): void {
    const base = this.#base()
    const codes = [...INVALID, ...WRONG]
    const again: Pair[] = [...base.headers, ['Authorization', this.#authorization(base)]]
    this.#add('two Authorization headers', { ...base, headers: again }, codes)
    const v2: Pair[] = [...base.headers, ['authorization', 'AWS a:b']]
    this.#add('two kinds of Authorization', { ...base, headers: v2 }, codes)
    const link = this.#link()
    const both: Pair[] = [...link.headers, ['Authorization', this.#authorization(base)]]
    this.#add('header and link', { ...link, headers: both }, codes)
    for (const name of [
      'X-Amz-Signature',
      'X-Amz-Algorithm',
      'X-Amz-Credential',
      'Signature',
      'AWSAccessKeyId',
    ]) {
      const target = `${base.target}${base.target.includes('?') ? '&' : '?'}${name}=x`
      this.#add(`header and ${name}`, { ...base, target }, codes)
    }
  }

  #link(nowMs = this.#options.nowMs, expiresS = 600, signer = this.#v4): Draft {
    const { method, body } = this.#target
    const { target, headers } = signer.presign(this.#target, { nowMs, expiresS })
    return { method, target, headers, body }
  }

  #links(): void {
    const { key, region, nowMs } = this.#options
    const link = this.#link()
    const [path, query] = link.target.split('?') as [string, string]
    const pairs = query.split('&')
    const own = [
      'X-Amz-Algorithm',
      'X-Amz-Credential',
      'X-Amz-Date',
      'X-Amz-Expires',
      'X-Amz-SignedHeaders',
      'X-Amz-Signature',
    ]
    for (const name of own) {
      const replaced = (text: (value: string) => string | undefined) => {
        const changed = pairs.map((pair) => {
          if (!pair.startsWith(`${name}=`)) return pair
          const value = text(pair.slice(name.length + 1))
          return value === undefined ? undefined : `${name}=${value}`
        })
        return { ...link, target: `${path}?${changed.filter((each) => each !== undefined).join('&')}` }
      }
      const any = [...MALFORMED_QUERY, ...WRONG, ...DENIED, 'InvalidAccessKeyId']
      this.#add(
        `link without ${name}`,
        replaced(() => undefined),
        MALFORMED_QUERY,
      )
      this.#add(
        `link with ${name} empty`,
        replaced(() => ''),
        MALFORMED_QUERY,
      )
      this.#add(
        `link with ${name} twice`,
        replaced((value) => `${value}&${name}=${value}`),
        MALFORMED_QUERY,
      )
      this.#add(
        `link with ${name} changed`,
        replaced((value) => `1${value}`),
        any,
      )
      this.#add(
        `link with ${name} in lower case`,
        replaced((value) => `${value}&${name.toLowerCase()}=${value}`),
        any,
      )
    }
    const late = [
      [-3_600, 60],
      [-604_801, 604_800],
      [0, 0],
      [-60, 59],
    ] as const
    for (const [atS, expiresS] of late)
      this.#add(`link of ${-atS} s ago for ${expiresS} s`, this.#link(nowMs + atS * 1_000, expiresS), DENIED)
    this.#add('link of the next hour', this.#link(nowMs + 3_600_000), DENIED)
    for (const expiresS of [-1, 604_801, 1e9, 1.5])
      this.#add(`link for ${expiresS} s`, this.#link(nowMs, expiresS), MALFORMED_QUERY)
    for (const method of ['GET', 'PUT', 'DELETE', 'HEAD', 'POST'])
      if (method !== link.method) this.#add(`link sent as ${method}`, { ...link, method }, WRONG)
    this.#add('link to another path', { ...link, target: `${path}z?${query}` }, WRONG)
    for (const extra of ['acl', 'versionId=1', 'response-content-type=text/html', 'x-amz-acl=public-read'])
      this.#add(`link with ${extra}`, { ...link, target: `${link.target}&${extra}` }, WRONG)
    for (const name of ['acl', 'copy-source', 'content-sha256', 'meta-x']) {
      const headers: Pair[] = [...link.headers, [`x-amz-${name}`, 'UNSIGNED-PAYLOAD']]
      this.#add(`link with the header x-amz-${name}`, { ...link, headers }, [...DENIED, ...WRONG])
    }
    const less = link.headers.filter(([name]) => name === 'Host')
    this.#add('link without a header that is signed', { ...link, headers: less }, WRONG)
    const sign = (name: string, signer: SignerV4, codes: readonly string[]) =>
      this.#add(`link ${name}`, this.#link(nowMs, 600, signer), codes)
    sign('of another secret', new SignerV4({ ...key, region, secretKey: 'another-secret' }), WRONG)
    sign('of nobody', new SignerV4({ accessKey: 'NOBODYATALL', secretKey: 'xxxxxxxx', region }), [
      'InvalidAccessKeyId',
    ])
    sign('for another region', new SignerV4({ ...key, region: 'xx-none-1' }), MALFORMED_QUERY)
    sign('for another service', new SignerV4({ ...key, region, service: 'sqs' }), MALFORMED_QUERY)
  }

  #version2(): void {
    const { key, otherKey, nowMs } = this.#options
    const { method, body } = this.#target
    const made = (signer = new SignerV2(key), ms = nowMs): Draft => ({
      method,
      body,
      ...signer.sign(this.#target, ms),
    })
    const base = made()
    const any = [...WRONG, ...INVALID, ...DENIED]
    this.#add('V2: another secret', made(new SignerV2({ ...key, secretKey: otherKey.secretKey })), [
      ...WRONG,
      ...INVALID,
    ])
    this.#add('V2: nobody', made(new SignerV2({ accessKey: 'NOBODY', secretKey: 'x' })), [
      'InvalidAccessKeyId',
      ...INVALID,
    ])
    for (const minutes of [-16, 16])
      this.#add(`V2: ${minutes} minutes from now`, made(undefined, nowMs + minutes * MINUTE_MS), [
        'RequestTimeTooSkewed',
        ...INVALID,
      ])
    this.#add('V2: sent as TRACE', { ...base, method: base.method === 'GET' ? 'HEAD' : 'GET' }, any)
    for (const extra of ['acl', 'versionId=1', 'policy'])
      this.#add(
        `V2: ${extra}`,
        { ...base, target: `${base.target}${base.target.includes('?') ? '&' : '?'}${extra}` },
        any,
      )
    this.#add('V2: a header more', { ...base, headers: [...base.headers, ['x-amz-acl', 'public-read']] }, any)
    this.#add('V2: no date', { ...base, headers: base.headers.filter(([name]) => name !== 'Date') }, any)
    const put = (text: string) =>
      base.headers.map(([name, value]): Pair => [name, name === 'Authorization' ? text : value])
    for (const text of [
      'AWS ',
      'AWS :',
      `AWS ${key.accessKey}`,
      `AWS ${key.accessKey}:`,
      `AWS ${key.accessKey}:x:y`,
      `AWS ${key.accessKey}:AAAA`,
    ])
      this.#add(`V2: ${text.replace(key.accessKey, 'key')}`, { ...base, headers: put(text) }, any)
    const nowS = Math.floor(nowMs / 1_000)
    const link = (expiresS: number): Draft => ({
      method,
      body,
      ...new SignerV2(key).presign(this.#target, expiresS),
    })
    this.#add('V2: link that is over', link(nowS - 1), any)
    const good = link(nowS + 600)
    for (const name of ['AWSAccessKeyId', 'Expires', 'Signature']) {
      const target = good.target.replace(new RegExp(`[?&]${name}=[^&]*`), '').replace(/^([^?&]*)&/, '$1?')
      this.#add(`V2: link without ${name}`, { ...good, target }, any)
    }
    this.#add(
      'V2: link that is longer good',
      { ...good, target: good.target.replace(/Expires=\d+/, `Expires=${nowS + 6_000}`) },
      any,
    )
    this.#add(
      'V2: link for words',
      { ...good, target: good.target.replace(/Expires=\d+/, 'Expires=soon') },
      any,
    )
    this.#add('V2: link twice', { ...good, target: `${good.target}&Signature=x` }, any)
  }

  #chunkedBodies(): void {
    for (const { name, draft, codes } of chunkedNegatives(this.#target, this.#v4, this.#options.nowMs))
      this.#add(name, draft, codes, { isInBody: true })
  }
}

/** Bodies in chunks that are not what their head and their signatures say. */
function* chunkedNegatives(
  target: NegativeTarget,
  signer: SignerV4,
  nowMs: number,
): Generator<{ name: string; draft: Draft; codes: string[] }> {
  const data = Buffer.alloc(20_000, 'chunk ')
  const parts = [data.subarray(0, 8_192), data.subarray(8_192, 16_384), data.subarray(16_384)]
  const incomplete = ['IncompleteBody']
  const signed = (trailer: boolean, change: (lines: Buffer[], signatures: string[]) => Buffer[]): Draft => {
    const payload = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer ? '-TRAILER' : ''}`
    const headers: Pair[] = [
      ...(target.headers ?? []),
      ['x-amz-decoded-content-length', String(data.length)],
      ...(trailer ? [['x-amz-trailer', 'x-amz-checksum-crc32'] as const] : []),
    ]
    const head = signer.sign({ ...target, headers, payload }, nowMs)
    const chain = signer.chunks(head.signature, nowMs)
    const signatures = [...parts, Buffer.alloc(0)].map((part) => chain.chunk(part))
    const lines = [...parts, Buffer.alloc(0)].map((part, i) => {
      const end = part.length === 0 && trailer ? '' : '\r\n'
      return Buffer.concat([
        Buffer.from(`${part.length.toString(16)};chunk-signature=${signatures[i]}\r\n`),
        part,
        Buffer.from(end),
      ])
    })
    if (trailer) {
      lines.push(Buffer.from('x-amz-checksum-crc32:AAAAAA==\r\n'))
      lines.push(
        Buffer.from(`x-amz-trailer-signature:${chain.trailer('x-amz-checksum-crc32:AAAAAA==\n')}\r\n\r\n`),
      )
    }
    const body = Buffer.concat(change(lines, signatures))
    return { method: target.method, target: head.target, headers: head.headers, body }
  }
  const swap = (lines: Buffer[], at: number, change: (text: string) => string) =>
    lines.map((line, i) => (i === at ? Buffer.from(change(line.toString('latin1')), 'latin1') : line))
  for (const at of [0, 1, 2, 3]) {
    const flip = (text: string) =>
      text.replace(/signature=(.)/, (_, c: string) => `signature=${c === '0' ? '1' : '0'}`)
    yield {
      name: `chunk ${at}: signature changed`,
      draft: signed(false, (lines) => swap(lines, at, flip)),
      codes: WRONG,
    }
    const none = (text: string) => text.replace(/;chunk-signature=[0-9a-f]*/, '')
    yield {
      name: `chunk ${at}: no signature`,
      draft: signed(false, (lines) => swap(lines, at, none)),
      codes: incomplete,
    }
    const cut = (text: string) => text.replace(/signature=../, 'signature=')
    yield {
      name: `chunk ${at}: signature short`,
      draft: signed(false, (lines) => swap(lines, at, cut)),
      codes: WRONG,
    }
    const named = (text: string) => text.replace('chunk-signature', 'signature')
    yield {
      name: `chunk ${at}: another parameter`,
      draft: signed(false, (lines) => swap(lines, at, named)),
      codes: WRONG,
    }
    yield {
      name: `chunk ${at}: left out`,
      draft: signed(false, (lines) => lines.filter((_, i) => i !== at)),
      codes: [...WRONG, ...incomplete, 'InvalidChunkSizeError'],
    }
    if (at === 3) continue
    const byte = (text: string) => `${text.slice(0, -3)}X\r\n`
    yield {
      name: `chunk ${at}: a byte changed`,
      draft: signed(false, (lines) => swap(lines, at, byte)),
      codes: WRONG,
    }
    const long = (text: string) => `f${text}`
    yield {
      name: `chunk ${at}: longer than all`,
      draft: signed(false, (lines) => swap(lines, at, long)),
      codes: incomplete,
    }
    const negative = (text: string) => `-${text}`
    yield {
      name: `chunk ${at}: of negative length`,
      draft: signed(false, (lines) => swap(lines, at, negative)),
      codes: incomplete,
    }
  }
  yield {
    name: 'chunks: two swapped',
    draft: signed(false, ([a, b, ...rest]) => [b!, a!, ...rest]),
    codes: WRONG,
  }
  yield {
    name: 'chunks: the last twice as data',
    draft: signed(false, ([a, b, , end]) => [a!, b!, b!, end!]),
    codes: [...WRONG, ...incomplete],
  }
  yield {
    name: 'chunks: cut off in the last line',
    draft: signed(false, (lines) => swap(lines, 3, (text) => text.slice(0, 20))),
    codes: incomplete,
  }
  yield { name: 'chunks: none at all', draft: signed(false, () => []), codes: incomplete }
  yield { name: 'chunks: not framed', draft: signed(false, () => [data]), codes: incomplete }
  yield {
    name: 'chunks: line feeds alone',
    draft: signed(false, (lines) =>
      lines.map((line) => Buffer.from(line.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')),
    ),
    codes: incomplete,
  }
  const trailers: [string, (lines: Buffer[]) => Buffer[], string[]][] = [
    ['changed', (lines) => swap(lines, 4, (text) => text.replace('AAAA', 'AAAB')), WRONG],
    [
      'renamed',
      (lines) => swap(lines, 4, (text) => text.replace('crc32', 'sha1')),
      ['MalformedTrailerError'],
    ],
    ['left out', (lines) => lines.filter((_, i) => i !== 4), ['MalformedTrailerError', ...WRONG]],
    ['not signed', (lines) => lines.slice(0, 5), incomplete],
    [
      'signed wrong',
      (lines) =>
        swap(lines, 5, (text) =>
          text.replace(/signature:(.)/, (_, c: string) => `signature:${c === '0' ? '1' : '0'}`),
        ),
      WRONG,
    ],
    [
      'with one more',
      (lines) => [...lines.slice(0, 5), Buffer.from('x-amz-meta-x:1\r\n'), lines[5]!],
      ['MalformedTrailerError'],
    ],
    [
      'with one behind the signature',
      (lines) => swap(lines, 5, (text) => text.replace('\r\n\r\n', '\r\nx-amz-checksum-crc32:AAAB\r\n')),
      ['MalformedTrailerError'],
    ],
    ['without colon', (lines) => swap(lines, 4, (text) => text.replace(':', '')), ['MalformedTrailerError']],
  ]
  for (const [name, change, codes] of trailers)
    yield { name: `trailer: ${name}`, draft: signed(true, change), codes }
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.[0-9]{3}/g, '')
}

function day(ms: number): string {
  return stamp(ms).slice(0, 8)
}

function swapCase(text: string): string {
  return text.replace(/[A-Za-z]/, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()))
}
