/** Signatures of version 2: the examples of the S3 developer guide, and links, dates and switches. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SignerV2 } from '../../src/iam/sign.ts'
import { ROUTES } from '../../src/protocols/s3/routes.ts'
import { authenticatorAt, EXAMPLE_KEY, refusal, requestOf, type Wire } from './support.ts'

const HOST = 'johnsmith.s3.amazonaws.com'

const EXAMPLES: { name: string; wire: Wire; signature: string; at: string }[] = [
  {
    name: 'object GET',
    wire: { method: 'GET', target: '/photos/puppy.jpg', headers: [['Host', HOST]] },
    at: 'Tue, 27 Mar 2007 19:36:42 +0000',
    signature: 'bWq2s1WEIj+Ydj0vQ697zp+IXMU=',
  },
  {
    name: 'object PUT',
    wire: {
      method: 'PUT',
      target: '/photos/puppy.jpg',
      headers: [
        ['Host', HOST],
        ['Content-Type', 'image/jpeg'],
        ['Content-Length', '94328'],
      ],
    },
    at: 'Tue, 27 Mar 2007 21:15:45 +0000',
    signature: 'MyyxeRY7whkBe+bq8fHCL/2kKUg=',
  },
  {
    name: 'list',
    wire: {
      method: 'GET',
      target: '/?prefix=photos&max-keys=50&marker=puppy',
      headers: [
        ['Host', HOST],
        ['User-Agent', 'Mozilla/5.0'],
      ],
    },
    at: 'Tue, 27 Mar 2007 19:42:41 +0000',
    signature: 'htDYFYduRNen8P9ZfE/s9SuKy0U=',
  },
  {
    name: 'fetch',
    wire: { method: 'GET', target: '/?acl', headers: [['Host', HOST]] },
    at: 'Tue, 27 Mar 2007 19:44:46 +0000',
    signature: 'c2WLPFtWHVgbEmeEG93a4cG37dM=',
  },
  {
    name: 'delete',
    wire: { method: 'DELETE', target: '/photos/puppy.jpg', headers: [['Host', HOST]] },
    at: 'Tue, 27 Mar 2007 21:20:26 +0000',
    signature: 'lx3byBScXR6KzyMaifNkardMwNk=',
  },
]

const key = `AWS ${EXAMPLE_KEY.accessKey}`

describe('the examples of the developer guide', () => {
  for (const { name, wire, signature, at } of EXAMPLES) {
    test(name, () => {
      const headers: Wire['headers'] = [
        ...wire.headers,
        ['Date', at],
        ['Authorization', `${key}:${signature}`],
      ]
      const authenticator = authenticatorAt(Date.parse(at))
      const { principal, mechanism } = authenticator.authenticate(requestOf({ ...wire, headers }))
      assert.deepEqual([principal.accessKey, mechanism], [EXAMPLE_KEY.accessKey, 'v2-header'])
    })
  }

  test('a link', () => {
    const target = `/photos/puppy.jpg?AWSAccessKeyId=${EXAMPLE_KEY.accessKey}&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620`
    const request = requestOf({ method: 'GET', target, headers: [['Host', HOST]] })
    assert.equal(authenticatorAt(1_175_139_619_999).authenticate(request).mechanism, 'v2-query')
    const late = refusal(() => authenticatorAt(1_175_139_620_000).authenticate(request))
    assert.deepEqual([late.code, late.message], ['AccessDenied', 'Request has expired'])
  })
})

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)
const signer = new SignerV2(EXAMPLE_KEY)

describe('what the signer makes', () => {
  const headers = [
    ['x-amz-meta-b', 'two'],
    ['X-Amz-Acl', 'private'],
    ['x-amz-meta-c', 'two  spaces'],
    ['Content-Type', 'text/plain'],
    ['Content-MD5', 'CY9rzUYh03PK3k6DJie09g=='],
  ] as const
  const query = [
    ['uploadId', 'a b/c'],
    ['partNumber', '3'],
    ['prefix', 'not signed'],
    ['uploads', ''],
  ] as const

  test('is taken, by path and by host', () => {
    const authenticator = authenticatorAt(NOW)
    const byPath = { method: 'PUT', host: 'localhost:9000', path: '/bucket/ä ö+', query, headers }
    const signed = signer.sign(byPath, NOW)
    assert.equal(authenticator.authenticate(requestOf({ method: 'PUT', ...signed })).mechanism, 'v2-header')
    const byHost = { ...byPath, host: 'bucket.s3.amazonaws.com', path: '/ä ö+' }
    const hosted = signer.sign(byHost, NOW, 'bucket')
    assert.equal(authenticator.authenticate(requestOf({ method: 'PUT', ...hosted })).mechanism, 'v2-header')
    const link = signer.presign(byPath, NOW / 1_000 + 10)
    assert.equal(authenticator.authenticate(requestOf({ method: 'PUT', ...link })).mechanism, 'v2-query')
  })

  test('of a bucket, whether or not a slash behind it is signed', () => {
    const listing = {
      method: 'GET',
      host: 'localhost:9000',
      path: '/bucket/',
      query: [['prefix', 'a']] as const,
    }
    const signed = signer.sign(listing, NOW)
    for (const target of [signed.target, signed.target.replace('bucket/', 'bucket')]) {
      const request = requestOf({ method: 'GET', target, headers: signed.headers })
      assert.equal(authenticatorAt(NOW).authenticate(request).mechanism, 'v2-header', target)
    }
    const other = requestOf({ method: 'GET', target: '/bucke', headers: signed.headers })
    assert.equal(refusal(() => authenticatorAt(NOW).authenticate(other)).code, 'SignatureDoesNotMatch')
  })

  test('of a parameter without a value, whether or not its equals sign is signed', () => {
    const asked = { method: 'PUT', host: 'localhost', path: '/bucket', query: [['policy', '']] as const }
    const signed = signer.sign(asked, NOW)
    assert.match(signed.target, /\?policy=?$/)
    for (const target of ['/bucket?policy', '/bucket?policy=']) {
      const request = requestOf({ method: 'PUT', target, headers: signed.headers })
      assert.equal(authenticatorAt(NOW).authenticate(request).mechanism, 'v2-header', target)
    }
    const other = requestOf({ method: 'PUT', target: '/bucket?policy=x', headers: signed.headers })
    assert.equal(refusal(() => authenticatorAt(NOW).authenticate(other)).code, 'SignatureDoesNotMatch')
  })

  test('is refused when it is changed, late, unknown or switched off', () => {
    const request = { method: 'GET', host: 'localhost', path: '/bucket/key', query, headers }
    const signed = { method: 'GET', ...signer.sign(request, NOW) }
    const codeAt = (ms: number, wire: Wire, allowsV2 = true) =>
      refusal(() => authenticatorAt(ms, { allowsV2 }).authenticate(requestOf(wire))).code
    assert.equal(codeAt(NOW, { ...signed, method: 'HEAD' }), 'SignatureDoesNotMatch')
    assert.equal(
      codeAt(NOW, { ...signed, target: signed.target.replace('key', 'kez') }),
      'SignatureDoesNotMatch',
    )
    assert.equal(codeAt(NOW, { ...signed, target: `${signed.target}&acl` }), 'SignatureDoesNotMatch')
    const more: Wire['headers'] = [...signed.headers, ['x-amz-meta-c', 'x']]
    assert.equal(codeAt(NOW, { ...signed, headers: more }), 'SignatureDoesNotMatch')
    assert.equal(codeAt(NOW + 901_000, signed), 'RequestTimeTooSkewed')
    assert.equal(codeAt(NOW - 901_000, signed), 'RequestTimeTooSkewed')
    assert.equal(codeAt(NOW, signed, false), 'InvalidRequest')
    const other = new SignerV2({ accessKey: 'NOBODY', secretKey: 'x' }).sign(request, NOW)
    assert.equal(codeAt(NOW, { method: 'GET', ...other }), 'InvalidAccessKeyId')
    const undated = signed.headers.filter(([name]) => name !== 'Date')
    assert.equal(codeAt(NOW, { ...signed, headers: undated }), 'AccessDenied')
  })
})

describe('a link is good for what it was made for', () => {
  const parameters = [...new Set(ROUTES.map(({ sub }) => sub))].filter((sub) => sub !== '')
  parameters.push('versionId', 'partNumber', 'response-content-type', 'response-expires', 'response-other')
  const codeOf = (wire: Wire) => refusal(() => authenticatorAt(NOW).authenticate(requestOf(wire))).code
  const encoded = (name: string) => `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`

  for (const name of parameters) {
    test(name, () => {
      for (const path of ['/bucket', '/bucket/key']) {
        const asked = { method: 'PUT', host: 'localhost', path }
        const link = { method: 'PUT', ...signer.presign(asked, NOW / 1_000 + 10) }
        for (const added of [name, encoded(name)]) {
          const more = { ...link, target: `${link.target}&${added}=1` }
          assert.match(codeOf(more), /^(AccessDenied|SignatureDoesNotMatch)$/, added)
        }
      }
    })
  }

  test('in another spelling it is the same', () => {
    const asked = {
      method: 'GET',
      host: 'localhost',
      path: '/bucket/key',
      query: [['versionId', 'abc']] as const,
    }
    const link = signer.presign(asked, NOW / 1_000 + 10)
    const target = link.target.replace('versionId', '%76ersionId')
    const request = requestOf({ method: 'GET', target, headers: link.headers })
    assert.equal(authenticatorAt(NOW).authenticate(request).mechanism, 'v2-query')
    const other = { method: 'GET', target: target.replace('abc', 'abd'), headers: link.headers }
    assert.equal(codeOf(other), 'SignatureDoesNotMatch')
  })

  test('names in the header count as they are read, too', () => {
    const asked = { method: 'DELETE', host: 'localhost', path: '/bucket/key' }
    const signed = { method: 'DELETE', ...signer.sign(asked, NOW) }
    for (const added of ['versionId=abc', '%76ersionId=abc', '%74agging'])
      assert.equal(codeOf({ ...signed, target: `/bucket/key?${added}` }), 'SignatureDoesNotMatch', added)
    // Clients do not sign names that are newer than they are.
    const newer = requestOf({ ...signed, target: '/bucket/key?retention' })
    assert.equal(authenticatorAt(NOW).authenticate(newer).mechanism, 'v2-header')
  })

  test('a parameter does not vanish in the value of another', () => {
    const query = [
      ['response-content-type', 'a'],
      ['versionId', 'abc'],
    ] as const
    const asked = { method: 'GET', host: 'localhost', path: '/bucket/key', query }
    for (const signed of [signer.presign(asked, NOW / 1_000 + 10), signer.sign(asked, NOW)]) {
      const target = signed.target.replace('a&versionId=abc', 'a%26versionId%3Dabc')
      assert.notEqual(target, signed.target)
      assert.equal(codeOf({ method: 'GET', target, headers: signed.headers }), 'AccessDenied')
    }
    const plain = { ...asked, query: [['response-content-disposition', 'Q&A; a=b&policy.pdf']] as const }
    const link = { method: 'GET', ...signer.presign(plain, NOW / 1_000 + 10) }
    assert.equal(authenticatorAt(NOW).authenticate(requestOf(link)).mechanism, 'v2-query')
  })

  test('what only narrows a listing stays unsigned, as clients have it', () => {
    const query = [
      ['list-type', '2'],
      ['prefix', 'a'],
    ] as const
    const asked = { method: 'GET', host: 'localhost', path: '/bucket', query }
    const link = { method: 'GET', ...signer.presign(asked, NOW / 1_000 + 10) }
    assert.equal(authenticatorAt(NOW).authenticate(requestOf(link)).mechanism, 'v2-query')
  })
})
