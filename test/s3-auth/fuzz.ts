/**
 * Random input for everything that reads what strangers send before they are known: headers, links, chunk framing,
 * policies, forms. Nothing may crash, and nothing that was changed may be taken for what was signed.
 */
import assert from 'node:assert/strict'
import { BlockList, isIP } from 'node:net'
import type { Random } from '../../src/base/random.ts'
import { parsePolicy } from '../../src/iam/parse-policy.ts'
import { isInRange, parseIpRange } from '../../src/iam/policy/ip-range.ts'
import { compilePattern, matchText } from '../../src/iam/policy/pattern.ts'
import { evaluate, isPublicPolicy, NOBODY, PolicyError } from '../../src/iam/policy.ts'
import { SignerV4 } from '../../src/iam/sign.ts'
import type { ObjectInfo } from '../../src/objects/object-store.ts'
import type { ChunkedPayload } from '../../src/protocols/s3/auth/payload.ts'
import { partOf, rangeOf } from '../../src/protocols/s3/object-range.ts'
import { S3Error } from '../../src/protocols/s3/s3-error.ts'
import { ChunkDecoder, decodeChunked } from '../../src/protocols/s3/streaming-body.ts'
import { authenticatorAt, EXAMPLE_KEY, requestOf, type Wire } from './support.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
const signer = new SignerV4(EXAMPLE_KEY)
const authenticator = authenticatorAt(NOW)

export const FUZZERS: Record<string, (random: Random) => void> = {
  headers: fuzzHeaders,
  links: fuzzLinks,
  queries: fuzzQueries,
  chunks: fuzzChunks,
  policies: fuzzPolicies,
  forms: fuzzForms,
  wildcards: fuzzWildcards,
  addresses: fuzzAddresses,
  ranges: fuzzRanges,
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.below(list.length)]!
}

const PIECES = [
  ...[
    '',
    ' ',
    ',',
    ';',
    '=',
    '/',
    '%',
    '%2',
    '%2F',
    '%zz',
    '&',
    '?',
    '+',
    '\t',
    '\r',
    '\n',
    '\0',
    '\x80',
    '\xff',
    "'",
    '"',
  ],
  ...[
    'AWS4-HMAC-SHA256',
    'AWS ',
    'Credential=',
    'SignedHeaders=',
    'Signature=',
    'host',
    'x-amz-date',
    'x-amz-',
  ],
  ...[
    'X-Amz-Signature',
    'X-Amz-Expires',
    '20261121',
    '20261121T120000Z',
    'us-east-1',
    's3',
    'aws4_request',
    '-1',
    '0',
    '1e9',
  ],
  ...[
    'chunk-signature=',
    '\r\n',
    '0\r\n',
    'ffffffff',
    '{',
    '}',
    '[',
    ']',
    ':',
    '*',
    '$',
    '${',
    '__proto__',
    'constructor',
  ],
  ...['UNSIGNED-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'null', 'true', '9'.repeat(30)],
]

/** A few edits: something taken out, put in, doubled or replaced. */
function mutate(random: Random, text: string): string {
  let changed = text
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    const at = random.below(changed.length + 1)
    const end = Math.min(changed.length, at + random.below(random.below(4) === 0 ? 40 : 3))
    const piece = random.below(3) === 0 ? String.fromCharCode(random.below(256)) : pick(random, PIECES)
    const middle = [piece, '', changed.slice(at, end).repeat(2), piece + changed.slice(at, end)][
      random.below(4)
    ]!
    changed = changed.slice(0, at) + middle + changed.slice(end)
  }
  return changed
}

/** Runs it; false where it was refused in order. Anything else that is thrown is a finding. */
function isTaken(run: () => void): boolean {
  try {
    run()
    return true
  } catch (error) {
    if (error instanceof S3Error || error instanceof PolicyError) return false
    throw error
  }
}

function fuzzHeaders(random: Random): void {
  const request = { method: 'PUT', host: 'localhost:9000', path: '/bucket/a key', body: Buffer.from('x') }
  const signed = signer.sign({ ...request, headers: [['x-amz-meta-a', 'b']] }, NOW)
  const at = random.below(signed.headers.length)
  const headers = signed.headers.map(([name, value], i): [string, string] =>
    i === at ? [name, mutate(random, value)] : [name, value],
  )
  const isSame = squeezed(headers[at]![1]) === squeezed(signed.headers[at]![1])
  const taken = isTaken(() => {
    const { principal } = authenticator.authenticate(
      requestOf({ method: 'PUT', target: signed.target, headers }),
    )
    assert(principal.account !== undefined, 'a signed request is never anonymous')
  })
  // Of the Authorization header, spaces and the order of its parts may be others; the rest must be as it was.
  if (taken && headers[at]![0] !== 'Authorization') assert(isSame, `taken: ${JSON.stringify(headers[at])}`)
  if (taken)
    for (const part of signed.headers.at(-1)![1].split(/[ ,]+/)) assert(headers.at(-1)![1].includes(part))
}

function squeezed(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '').replace(/ +/g, ' ')
}

function fuzzLinks(random: Random): void {
  const link = signer.presign(
    { method: 'GET', host: 'localhost', path: '/b/k' },
    { nowMs: NOW, expiresS: 60 },
  )
  const target = `/${mutate(random, link.target.slice(1))}`
  const wire: Wire = { method: 'GET', target, headers: link.headers }
  isTaken(() => {
    const { mechanism } = authenticator.authenticate(requestOf(wire))
    if (mechanism !== 'anonymous') assert.equal(meaning(target), meaning(link.target), target)
  })
}

/** The target with every escape taken off and its parameters in order. */
function meaning(target: string): string {
  const [path, query = ''] = target.split('?') as [string, string?]
  const pairs = query.split('&').filter((pair) => pair !== '')
  const plain = (text: string) =>
    Buffer.from(decodeEscapes(text.replaceAll('+', ' ')), 'latin1').toString('hex')
  const decoded = pairs.map((pair) => {
    const equals = pair.indexOf('=')
    return equals < 0 ? `${plain(pair)}=` : `${plain(pair.slice(0, equals))}=${plain(pair.slice(equals + 1))}`
  })
  return `${Buffer.from(decodeEscapes(path), 'latin1').toString('hex')}?${decoded.sort().join('&')}`
}

function decodeEscapes(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

const CHARACTERS = [...'aZ09-._~ !"#$%&\'()*+,/:;<=>?@[]^`{|}äß漢😀']

/** Whatever names and values: the signer and the verifier write them alike. */
function fuzzQueries(random: Random): void {
  const word = () => Array.from({ length: random.below(6) }, () => pick(random, CHARACTERS)).join('')
  const query = Array.from({ length: random.below(5) }, (): [string, string] => [`p${word()}`, word()])
  const path = `/bucket/${word()}/${word()}`
  const headers: [string, string][] = [['x-amz-meta-a', `${word().replace(/[^ -~]/g, '')}`]]
  const signed = signer.sign({ method: 'GET', host: 'localhost', path, query, headers }, NOW)
  const { mechanism } = authenticator.authenticate(requestOf({ method: 'GET', ...signed }))
  assert.equal(mechanism, 'v4-header')
}

function fuzzChunks(random: Random): void {
  const { bytes, payload, data } = chunkedBody(random)
  const text = mutate(random, bytes.toString('latin1'))
  const changed = Buffer.from(text, 'latin1')
  let whole: Buffer | undefined
  const taken = isTaken(() => {
    whole = decodeChunked(changed, payload).data
  })
  if (taken && payload.chain !== undefined)
    assert(whole!.equals(data), 'signed bytes are those that were signed')
  if (taken) assert.equal(whole!.length, payload.decodedBytes)
  // In pieces it is the same body.
  const found: Buffer[] = []
  const decoder = new ChunkDecoder(payload)
  const takenInPieces = isTaken(() => {
    for (let at = 0; at < changed.length; ) {
      const end = at + 1 + random.below(random.below(2) === 0 ? 8 : 9_000)
      decoder.push(changed.subarray(at, end), (piece) => found.push(piece))
      at = end
    }
    decoder.finish()
  })
  assert.equal(takenInPieces, taken)
  if (taken) assert(Buffer.concat(found).equals(whole!))
}

function chunkedBody(random: Random): { bytes: Buffer; payload: ChunkedPayload; data: Buffer } {
  const isSigned = random.below(2) === 0
  const hasTrailer = !isSigned || random.below(2) === 0
  const data = random.bytes(8_192 + random.below(200))
  const kind = isSigned ? 'AWS4-HMAC-SHA256-PAYLOAD' : 'UNSIGNED-PAYLOAD'
  const trailer = 'x-amz-checksum-crc32'
  const headers: [string, string][] = [['x-amz-decoded-content-length', String(data.length)]]
  if (hasTrailer) headers.push(['x-amz-trailer', trailer])
  const payloadName = `STREAMING-${kind}${hasTrailer ? '-TRAILER' : ''}`
  const signed = signer.sign(
    { method: 'PUT', host: 'localhost', path: '/b/k', headers, payload: payloadName },
    NOW,
  )
  const { payload } = authenticator.authenticate(requestOf({ method: 'PUT', ...signed }))
  assert(payload.kind === 'chunked')
  const chain = signer.chunks(signed.signature, NOW)
  const parts: Buffer[] = []
  for (const part of [data.subarray(0, 8_192), data.subarray(8_192), Buffer.alloc(0)]) {
    if (part.length === 0 && parts.length > 0 && parts.at(-1)!.length === 0) continue
    const signature = isSigned ? `;chunk-signature=${chain.chunk(part)}` : ''
    const end = part.length === 0 && hasTrailer ? '' : '\r\n'
    parts.push(Buffer.from(`${part.length.toString(16)}${signature}\r\n`), part, Buffer.from(end))
  }
  if (hasTrailer) {
    parts.push(Buffer.from(`${trailer}:AAAAAA==\r\n`))
    if (isSigned)
      parts.push(Buffer.from(`x-amz-trailer-signature:${chain.trailer(`${trailer}:AAAAAA==\n`)}\r\n`))
    parts.push(Buffer.from('\r\n'))
  }
  return { bytes: Buffer.concat(parts), payload, data }
}

const POLICY = {
  Version: '2012-10-17',
  Id: 'x',
  Statement: [
    {
      Sid: 'one',
      Effect: 'Allow',
      Principal: { AWS: ['*', 'arn:aws:iam::alice:user/bob'], CanonicalUser: 'abcdef' },
      Action: ['s3:Get*', 's3:ListBucket'],
      Resource: ['arn:aws:s3:::bucket', `arn:aws:s3:::bucket/\${aws:username}/*`],
      Condition: {
        StringLike: { 's3:prefix': ['a*', `\${aws:username}?`] },
        IpAddress: { 'aws:SourceIp': ['10.0.0.0/8', '2001:db8::/32'] },
        'ForAllValues:StringEquals': { 's3:RequestObjectTagKeys': ['a'] },
        DateLessThan: { 'aws:CurrentTime': '2030-01-01T00:00:00Z' },
        Null: { 's3:x-amz-acl': 'true' },
      },
    },
    {
      Effect: 'Deny',
      NotPrincipal: { AWS: 'alice' },
      NotAction: 's3:*',
      NotResource: 'arn:aws:s3:::bucket/*',
    },
  ],
}
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  '',
  '*',
  's3:*',
  'arn:aws:s3:::bucket/*',
  [],
  {},
  [[]],
  ['*'],
  { AWS: 1 },
]

/** One value somewhere in a tree replaced, or a field added or taken away. */
function mutateTree(random: Random, value: unknown): unknown {
  if (random.below(4) === 0 || value === null || typeof value !== 'object') {
    if (typeof value === 'string' && random.below(2) === 0) return mutate(random, value)
    return pick(random, VALUES)
  }
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>
  const keys = Object.keys(copy)
  if (keys.length === 0) return copy
  const key = pick(random, keys)
  const kind = random.below(8)
  if (kind === 0) delete copy[key]
  else if (kind === 1 && !Array.isArray(copy)) copy[mutate(random, key)] = copy[key]
  else copy[key] = mutateTree(random, copy[key])
  return copy
}

function fuzzPolicies(random: Random): void {
  const tree = mutateTree(random, POLICY)
  const text = random.below(4) === 0 ? mutate(random, JSON.stringify(POLICY)) : JSON.stringify(tree)
  isTaken(() => {
    const policy = parsePolicy(text ?? '', random.below(4) === 0 ? {} : { bucket: 'bucket' })
    isPublicPolicy(policy)
    const context = new Map([
      ['aws:username', ['bob']],
      ['s3:prefix', [mutate(random, 'abc')]],
      ['aws:sourceip', [mutate(random, '10.1.2.3')]],
      ['aws:currenttime', [mutate(random, '2026-01-01T00:00:00Z')]],
    ])
    const resource = `arn:aws:s3:::bucket/${mutate(random, 'bob/x')}`
    for (const action of ['s3:GetObject', 's3:PutObject'])
      evaluate([policy], { principal: NOBODY, action, resource, context: () => context })
  })
}

function fuzzForms(random: Random): void {
  const conditions: unknown[] = [
    { bucket: 'bucket' },
    ['starts-with', '$key', 'a'],
    ['content-length-range', 1, 100],
    ['starts-with', '$x-amz-date', ''],
    ['starts-with', '$x-amz-algorithm', ''],
    ['starts-with', '$x-amz-credential', ''],
  ]
  const document = { expiration: '2026-12-01T00:00:00Z', conditions }
  const text =
    random.below(3) === 0
      ? mutate(random, JSON.stringify(document))
      : JSON.stringify(mutateTree(random, document))
  const fields: [string, string][] = [['key', 'abc'], ...signer.signForm(text ?? '', NOW)]
  if (random.below(3) === 0) {
    const at = random.below(fields.length)
    fields[at] = [fields[at]![0], mutate(random, fields[at]![1])]
  }
  isTaken(() => authenticator.authenticateForm({ bucket: 'bucket', fields, filename: mutate(random, 'a/b') }))
}

/** Against the obvious way, on texts so short that it cannot run away. */
function fuzzWildcards(random: Random): void {
  const text = (from: string) =>
    Array.from({ length: random.below(8) }, () => pick(random, [...from])).join('')
  const [pattern, subject] = [text('ab*?'), text('ab')]
  const compiled = compilePattern(pattern, { variables: false, wildcards: true })!
  const regExp = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's')
  assert.equal(matchText(compiled, subject), regExp.test(subject), `${pattern} ${subject}`)
}

/** Against the platform's own reading of addresses. */
function fuzzAddresses(random: Random): void {
  const bytes = () => Array.from({ length: 4 }, () => random.below(random.below(2) === 0 ? 2 : 256)).join('.')
  const words = () =>
    Array.from({ length: 8 }, () => random.below(random.below(2) === 0 ? 1 : 65_536).toString(16)).join(':')
  const isV4 = random.below(2) === 0
  const plain = () =>
    isV4
      ? bytes()
      : words()
          .replace(/\b0(:0)+\b/, random.below(2) === 0 ? ':' : '$&')
          .replace(':::', '::')
  const base = random.below(4) === 0 ? mutate(random, plain()) : plain()
  const bits = random.below(isV4 ? 33 : 129)
  const range = parseIpRange(`${base}/${bits}`)
  const isMapped = !isV4 && range?.family === 4
  const isAddress = isIP(base) === (isV4 ? 4 : 6) && !base.includes('%')
  if (range === undefined) assert(!isAddress || bits > 32, `${base}/${bits} is one`)
  if (range === undefined || !isAddress || isMapped) return
  const list = new BlockList()
  list.addSubnet(base, bits, isV4 ? 'ipv4' : 'ipv6')
  const other = plain()
  if (isIP(other) !== (isV4 ? 4 : 6) || /^(0*:)*:?ffff:/i.test(other)) return
  assert.equal(isInRange(range, other), list.check(other, isV4 ? 'ipv4' : 'ipv6'), `${base}/${bits} ${other}`)
}

/** Whatever a Range or partNumber says, what it names lies within the object. */
function fuzzRanges(random: Random): void {
  const number = () => pick(random, ['', '0', '1', '4', '5', '9'.repeat(30), String(random.below(12))])
  const plain = `bytes=${number()}-${number()}`
  const range = random.below(2) === 0 ? plain : mutate(random, plain)
  const part = random.below(2) === 0 ? number() : mutate(random, number())
  const partSizes = pick(random, [undefined, [2, 3], [5]])
  const info = { sizeBytes: pick(random, [0, 5]), modifiedMs: NOW, etag: 'a', attributes: { partSizes } }
  const assertWithin = (found: { start: number; end: number } | undefined) => {
    if (found === undefined) return
    assert(
      found.start >= 0 && found.start <= found.end && found.end <= 5,
      `${range} ${JSON.stringify(found)}`,
    )
  }
  const headers: [string, string][] = [['Range', range]]
  if (random.below(2) === 0) headers.push(['If-Range', pick(random, ['"a"', 'W/"a"', mutate(random, '"a"')])])
  const asked = requestOf({ method: 'GET', target: '/bucket/key', headers })
  isTaken(() => assertWithin(rangeOf(asked, info as unknown as ObjectInfo)))
  const target = `/bucket/key?partNumber=${encodeURIComponent(part)}`
  isTaken(() =>
    assertWithin(partOf(requestOf({ method: 'GET', target, headers: [] }), info as unknown as ObjectInfo)),
  )
}
