/** Signatures of version 4 against AWS's published test suite and the examples of the S3 API reference. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { SignerV4 } from '../../src/iam/sign.ts'
import {
  canonicalPath,
  canonicalQuery,
  canonicalRequest,
  headersOf,
} from '../../src/protocols/s3/auth/canonical.ts'
import { decodeChunked } from '../../src/protocols/s3/streaming-body.ts'
import { authenticatorAt, EXAMPLE_KEY, refusal, requestOf, type Wire } from './support.ts'

const SUITE_KEY = { accessKey: 'AKIDEXAMPLE', secretKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const SUITE_MS = Date.UTC(2015, 7, 30, 12, 36, 0)
const SUITE_DATE = '20150830T123600Z'
const UNRESERVED = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

interface SuiteCase {
  name: string
  method?: string
  path?: string
  query?: [string, string][]
  headers?: [string, string][]
  body?: string
  signature: string
}

/** Those that normalise paths are left out: S3 does not. */
const SUITE: SuiteCase[] = [
  { name: 'get-vanilla', signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31' },
  {
    name: 'get-vanilla-empty-query-key',
    query: [['Param1', 'value1']],
    signature: 'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
  },
  {
    name: 'get-vanilla-query-order-key-case',
    query: [
      ['Param2', 'value2'],
      ['Param1', 'value1'],
    ],
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  {
    name: 'get-vanilla-query-order-key',
    query: [
      ['Param1', 'value2'],
      ['Param1', 'Value1'],
    ],
    signature: 'eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1',
  },
  {
    name: 'get-vanilla-query-order-value',
    query: [
      ['Param1', 'value2'],
      ['Param1', 'value1'],
    ],
    signature: '5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694',
  },
  {
    name: 'get-vanilla-query-order-encoded',
    query: [
      ['Param-3', 'Value3'],
      ['Param', 'Value2'],
      ['ሴ', 'Value1'],
    ],
    signature: '371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac',
  },
  {
    name: 'get-vanilla-query-unreserved',
    query: [[UNRESERVED, UNRESERVED]],
    signature: '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
  },
  {
    name: 'get-vanilla-utf8-query',
    query: [['ሴ', 'bar']],
    signature: '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
  },
  {
    name: 'get-unreserved',
    path: `/${UNRESERVED}`,
    signature: '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
  },
  {
    name: 'get-utf8',
    path: '/ሴ',
    signature: '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85',
  },
  {
    name: 'get-space',
    path: '/example space/',
    signature: '652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741',
  },
  {
    name: 'get-special-character',
    path: '/example/$delete',
    signature: 'a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27',
  },
  {
    name: 'get-header-key-duplicate',
    headers: [
      ['My-Header1', 'value2'],
      ['My-Header1', 'value2'],
      ['My-Header1', 'value1'],
    ],
    signature: 'c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
  },
  {
    name: 'get-header-value-order',
    headers: [
      ['My-Header1', 'value4'],
      ['My-Header1', 'value1'],
      ['My-Header1', 'value3'],
      ['My-Header1', 'value2'],
    ],
    signature: '08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01',
  },
  {
    name: 'get-header-value-trim',
    headers: [
      ['My-Header1', ' value1'],
      ['My-Header2', ' "a   b   c"'],
    ],
    signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  },
  {
    name: 'post-vanilla',
    method: 'POST',
    signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  },
  {
    name: 'post-vanilla-query',
    method: 'POST',
    query: [['Param1', 'value1']],
    signature: '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11',
  },
  {
    name: 'post-header-key-sort',
    method: 'POST',
    headers: [['My-Header1', 'value1']],
    signature: 'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c',
  },
  {
    name: 'post-header-value-case',
    method: 'POST',
    headers: [['My-Header1', 'VALUE1']],
    signature: 'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d',
  },
  {
    name: 'post-x-www-form-urlencoded',
    method: 'POST',
    headers: [['Content-Type', 'application/x-www-form-urlencoded']],
    body: 'Param1=value1',
    signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  },
  {
    name: 'post-x-www-form-urlencoded-parameters',
    method: 'POST',
    headers: [['Content-Type', 'application/x-www-form-urlencoded; charset=utf8']],
    body: 'Param1=value1',
    signature: '1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe',
  },
]

/** The verifier's canonical form, signed for another service than its own by the book. */
function signatureByVerifier(wire: Wire, body: string): string {
  const [path, query = ''] = wire.target.split('?')
  const signed = wire.headers.filter(([name]) => name !== 'Authorization')
  const headers = headersOf(signed.flat())
  const names = [...headers.keys()].sort()
  const canonical = canonicalRequest({
    method: wire.method,
    path: canonicalPath(path!),
    query: canonicalQuery(query),
    headers,
    signedNames: names,
    signedHeaders: names.join(';'),
    payload: createHash('sha256').update(body).digest('hex'),
  })
  const scope = '20150830/us-east-1/service/aws4_request'
  const text = `AWS4-HMAC-SHA256\n${SUITE_DATE}\n${scope}\n${createHash('sha256').update(canonical, 'latin1').digest('hex')}`
  let key: Buffer | string = `AWS4${SUITE_KEY.secretKey}`
  for (const part of [...scope.split('/'), text]) key = createHmac('sha256', key).update(part).digest()
  return (key as Buffer).toString('hex')
}

describe('the published test suite', () => {
  for (const { name, method = 'GET', path = '/', query = [], headers = [], body = '', signature } of SUITE) {
    test(name, () => {
      const signer = new SignerV4({ ...SUITE_KEY, service: 'service' })
      const host = 'example.amazonaws.com'
      const signed = signer.sign({ method, host, path, query, headers, body: Buffer.from(body) }, SUITE_MS)
      assert.equal(signed.signature, signature, 'the signer')
      assert.equal(signatureByVerifier({ method, ...signed }, body), signature, 'the verifier')
    })
  }
})

const EXAMPLE_MS = Date.UTC(2013, 4, 24)
const BUCKET_HOST = 'examplebucket.s3.amazonaws.com'

function exampleHeader(signedHeaders: string, signature: string): [string, string] {
  const credential = `${EXAMPLE_KEY.accessKey}/20130524/us-east-1/s3/aws4_request`
  return [
    'Authorization',
    `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${signedHeaders},Signature=${signature}`,
  ]
}

const EXAMPLES: { name: string; wire: Wire }[] = [
  {
    name: 'GET of a range',
    wire: {
      method: 'GET',
      target: '/test.txt',
      headers: [
        ['Host', BUCKET_HOST],
        ['Range', 'bytes=0-9'],
        ['x-amz-content-sha256', EMPTY],
        ['x-amz-date', '20130524T000000Z'],
        exampleHeader(
          'host;range;x-amz-content-sha256;x-amz-date',
          'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
        ),
      ],
    },
  },
  {
    name: 'PUT',
    wire: {
      method: 'PUT',
      target: '/test%24file.text',
      headers: [
        ['Host', BUCKET_HOST],
        ['Date', 'Fri, 24 May 2013 00:00:00 GMT'],
        ['x-amz-date', '20130524T000000Z'],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ['x-amz-content-sha256', '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'],
        exampleHeader(
          'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
          '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
        ),
      ],
    },
  },
  {
    name: 'GET of a sub-resource',
    wire: {
      method: 'GET',
      target: '/?lifecycle',
      headers: [
        ['Host', BUCKET_HOST],
        ['x-amz-date', '20130524T000000Z'],
        ['x-amz-content-sha256', EMPTY],
        exampleHeader(
          'host;x-amz-content-sha256;x-amz-date',
          'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
        ),
      ],
    },
  },
  {
    name: 'GET with parameters',
    wire: {
      method: 'GET',
      target: '/?max-keys=2&prefix=J',
      headers: [
        ['Host', BUCKET_HOST],
        ['x-amz-date', '20130524T000000Z'],
        ['x-amz-content-sha256', EMPTY],
        exampleHeader(
          'host;x-amz-content-sha256;x-amz-date',
          '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
        ),
      ],
    },
  },
]

const PRESIGNED: Wire = {
  method: 'GET',
  target:
    '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  headers: [['Host', BUCKET_HOST]],
}

test('what is wrong with an Authorization header is told as S3 tells it', () => {
  const credential = 'Credential=KEY/20130524/us-east-1/s3/aws4_request'
  const cases: [string, string][] = [
    [
      credential,
      'the authorization header requires three components: Credential, SignedHeaders, and Signature.',
    ],
    [`Else=1,SignedHeaders=host,Signature=a`, 'missing Credential.'],
    [`${credential},SignedHeaders=host,Else=1`, 'missing Signature.'],
    [
      `${credential},SignedHeaders=host,Signature=a,Else=1`,
      'the authorization component "Else=1" is malformed.',
    ],
    [
      'Credential=KEY/today/eu-west-1/ec2/aws4,SignedHeaders=host,Signature=a',
      'incorrect terminal "aws4". This endpoint uses "aws4_request".',
    ],
  ]
  for (const [text, reason] of cases) {
    const headers: Wire['headers'] = [['Authorization', `AWS4-HMAC-SHA256 ${text}`]]
    const wire: Wire = { method: 'GET', target: '/', headers: [['Host', 'localhost'], ...headers] }
    const { code, message } = refusal(() => authenticatorAt(0).authenticate(requestOf(wire)))
    assert.deepEqual(
      [code, message],
      ['AuthorizationHeaderMalformed', `The authorization header is malformed; ${reason}`],
    )
  }
})

describe('the examples of the S3 API reference', () => {
  for (const { name, wire } of EXAMPLES) {
    test(name, () => {
      const { principal, mechanism } = authenticatorAt(EXAMPLE_MS).authenticate(requestOf(wire))
      assert.equal(principal.accessKey, EXAMPLE_KEY.accessKey)
      assert.equal(mechanism, 'v4-header')
    })
  }

  test('a presigned link', () => {
    const last = EXAMPLE_MS + 86_399_999
    for (const nowMs of [EXAMPLE_MS - 60_000, EXAMPLE_MS, last]) {
      const { mechanism } = authenticatorAt(nowMs).authenticate(requestOf(PRESIGNED))
      assert.equal(mechanism, 'v4-query')
    }
    const { code, message } = refusal(() => authenticatorAt(last + 1).authenticate(requestOf(PRESIGNED)))
    assert.deepEqual([code, message], ['AccessDenied', 'Request has expired'])
  })

  test('the signer makes the same link', () => {
    const request = { method: 'GET', host: BUCKET_HOST, path: '/test.txt' }
    const options = { nowMs: EXAMPLE_MS, expiresS: 86_400 }
    assert.equal(new SignerV4(EXAMPLE_KEY).presign(request, options).target, PRESIGNED.target)
  })

  test('a chunked upload', () => {
    const wire: Wire = {
      method: 'PUT',
      target: '/examplebucket/chunkObject.txt',
      headers: [
        ['Host', 's3.amazonaws.com'],
        ['x-amz-date', '20130524T000000Z'],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'],
        ['Content-Encoding', 'aws-chunked'],
        ['x-amz-decoded-content-length', '66560'],
        ['Content-Length', '66824'],
        exampleHeader(
          'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
          '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
        ),
      ],
    }
    const { payload } = authenticatorAt(EXAMPLE_MS).authenticate(requestOf(wire))
    assert(payload.kind === 'chunked')
    const chunks = [
      ['10000', 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648', 'a'.repeat(65_536)],
      ['400', '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497', 'a'.repeat(1_024)],
      ['0', 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9', ''],
    ]
    const body = chunks.map(
      ([size, signature, data]) => `${size};chunk-signature=${signature}\r\n${data}\r\n`,
    )
    const bytes = Buffer.from(body.join(''))
    assert.equal(bytes.length, 66_824)
    assert.equal(decodeChunked(bytes, payload).data.toString(), 'a'.repeat(66_560))
    const signer = new SignerV4(EXAMPLE_KEY).chunks(payload.chain!.seed, EXAMPLE_MS)
    for (const [, signature, data] of chunks) assert.equal(signer.chunk(Buffer.from(data!)), signature)
  })

  test('a chunked upload with a trailing header', () => {
    const wire: Wire = {
      method: 'PUT',
      target: '/examplebucket/chunkObject.txt',
      headers: [
        ['Host', 's3.amazonaws.com'],
        ['x-amz-date', '20130524T000000Z'],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'],
        ['Content-Encoding', 'aws-chunked'],
        ['x-amz-decoded-content-length', '66560'],
        ['x-amz-trailer', 'x-amz-checksum-crc32c'],
        exampleHeader(
          'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
          '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
        ),
      ],
    }
    const { payload } = authenticatorAt(EXAMPLE_MS).authenticate(requestOf(wire))
    assert(payload.kind === 'chunked')
    const body = [
      `10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n${'a'.repeat(65_536)}\r\n`,
      `400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n${'a'.repeat(1_024)}\r\n`,
      '0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n',
      'x-amz-checksum-crc32c:sOO8/Q==\r\n',
      'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n',
      '\r\n',
    ]
    const { data, trailers } = decodeChunked(Buffer.from(body.join('')), payload)
    assert.equal(data.length, 66_560)
    assert.deepEqual([...trailers], [['x-amz-checksum-crc32c', 'sOO8/Q==']])
    // The trailer as it is signed, with a line feed, and an empty line behind it.
    const other = body.join('').replace('sOO8/Q==\r\n', 'sOO8/Q==\n\r\n')
    const { payload: again } = authenticatorAt(EXAMPLE_MS).authenticate(requestOf(wire))
    assert(again.kind === 'chunked')
    assert.deepEqual([...decodeChunked(Buffer.from(other), again).trailers], [...trailers])
    const unsigned = other.replace(/x-amz-trailer-signature.*\r\n/, '')
    assert.equal(refusal(() => decodeChunked(Buffer.from(unsigned), again)).code, 'IncompleteBody')
  })
})
