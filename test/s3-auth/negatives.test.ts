/** Every negative against the verifier itself; the same are sent to every route of a running server elsewhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Identities } from '../../src/iam/identities.ts'
import { SignerV4 } from '../../src/iam/sign.ts'
import { openPayload } from '../../src/protocols/s3/auth/open-payload.ts'
import { wholeBody } from '../../src/protocols/s3/request-body.ts'
import { S3Error } from '../../src/protocols/s3/s3-error.ts'
import { type NegativeTarget, negativesOf } from './negatives.ts'
import { authenticatorAt, EXAMPLE_KEY, REGION, requestOf } from './support.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
const OTHER_KEY = { accessKey: 'OTHERACCOUNT', secretKey: 'another-secret-of-it' }
const ACCOUNTS = JSON.stringify({ accounts: [{ name: 'other', accessKeys: [OTHER_KEY] }] })

const TARGETS: NegativeTarget[] = [
  { method: 'GET', host: 'localhost:9000', path: '/' },
  {
    method: 'GET',
    host: 'localhost:9000',
    path: '/bucket',
    query: [
      ['list-type', '2'],
      ['prefix', 'a/b c'],
    ],
  },
  { method: 'PUT', host: 'localhost:9000', path: '/bucket/a key+ü', body: Buffer.from('the body') },
  {
    method: 'POST',
    host: 'localhost:9000',
    path: '/bucket',
    query: [['delete', '']],
    body: Buffer.from('<Delete/>'),
  },
  { method: 'DELETE', host: 'localhost:9000', path: '/bucket/key', query: [['versionId', 'x']] },
]

const identities = new Identities(EXAMPLE_KEY, { path: 'accounts.json', text: ACCOUNTS })
const authenticator = authenticatorAt(NOW, { identities })

/** What becomes of a request: the code of its error, or who it is taken for. */
function outcomeOf(
  wire: { method: string; target: string; headers: readonly (readonly [string, string])[] },
  body: Buffer,
) {
  try {
    const { principal, payload } = authenticator.authenticate(requestOf(wire))
    openPayload(wholeBody(body), payload)
    return principal.account === undefined ? 'anonymous' : `accepted for ${principal.account.id}`
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

for (const target of TARGETS) {
  test(`${target.method} ${target.path}: nothing that is wrong in any way is taken`, () => {
    const signed = new SignerV4(EXAMPLE_KEY).sign(target, NOW)
    const body = target.body ?? Buffer.alloc(0)
    assert.equal(outcomeOf({ method: target.method, ...signed }, body), 'accepted for root')
    const negatives = negativesOf(target, {
      key: EXAMPLE_KEY,
      otherKey: OTHER_KEY,
      region: REGION,
      nowMs: NOW,
    })
    assert(negatives.length >= 200, `${negatives.length} negatives`)
    const wrong: string[] = []
    for (const negative of negatives) {
      const outcome = outcomeOf(negative, negative.body ?? Buffer.alloc(0))
      const isRight = negative.isAnonymous ? outcome === 'anonymous' : negative.codes.includes(outcome)
      if (!isRight) wrong.push(`${negative.name}: ${outcome} instead of ${negative.codes.join(' or ')}`)
    }
    assert.deepEqual(wrong, [])
    assert.equal(new Set(negatives.map(({ name }) => name)).size, negatives.length, 'names are told apart')
  })
}
