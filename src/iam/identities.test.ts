import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalIdOf, Identities } from './identities.ts'

const ROOT = { accessKey: 'root-key', secretKey: 'root-secret' }
const FILE = {
  accounts: [
    {
      name: 'alice',
      id: '123456789012',
      displayName: 'Alice Ä.',
      email: 'Alice@Example.com',
      accessKeys: [
        { accessKey: 'AKALICE1', secretKey: 'secret-of-alice/1+' },
        { accessKey: 'AKALICE2', secretKey: 'secret-of-alice/2+', status: 'inactive' },
      ],
      policies: [{ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 's3:*', Resource: '*' } }],
    },
    { name: 'bob', canonicalId: 'b0b0b0b0b0' },
  ],
}
const read = (value: unknown) =>
  new Identities(ROOT, { path: 'x.json', text: typeof value === 'string' ? value : JSON.stringify(value) })

test('accounts by key, id, name, canonical id and email', () => {
  const identities = read(FILE)
  const alice = identities.accessKey('AKALICE1')!.account
  assert.deepEqual(
    [alice.id, alice.displayName, alice.isRoot, alice.policies.length],
    ['123456789012', 'Alice Ä.', false, 1],
  )
  assert.equal(alice.canonicalId, canonicalIdOf('123456789012'))
  assert.match(alice.canonicalId, /^[0-9a-f]{64}$/)
  assert.equal(identities.accountByIdOrName('alice'), alice)
  assert.equal(identities.accountByEmail('alice@example.com'), alice)
  assert.equal(identities.accountByCanonicalId('b0b0b0b0b0')!.name, 'bob')
  assert.equal(identities.accessKey('AKALICE2'), undefined)
  assert.equal(identities.accessKey('__proto__'), undefined)
  assert.equal(identities.accessKey('root-key')!.account.isRoot, true)
  assert.equal(identities.root.id, 'root')
  assert.deepEqual(identities.ownerOf('gone'), { canonicalId: canonicalIdOf('gone'), displayName: 'gone' })
})

test('a file is taken as a whole or not at all', () => {
  const identities = read(FILE)
  assert.throws(() => identities.replace({ path: 'y.json', text: '{' }), /y\.json: not JSON/)
  assert.equal(identities.accountByIdOrName('bob')!.id, 'bob')
  identities.replace({ path: 'y.json', text: '{"accounts":[{"name":"carol"}]}' })
  assert.equal(identities.accountByIdOrName('bob'), undefined)
  assert.equal(identities.accountByIdOrName('carol')!.id, 'carol')
  identities.replace(undefined)
  assert.equal(identities.accountByIdOrName('carol'), undefined)
  assert.equal(identities.accessKey('root-key')!.account.isRoot, true)
})

const account = (change: object) => ({ accounts: [{ name: 'a', ...change }] })
const key = (change: object) =>
  account({ accessKeys: [{ accessKey: 'AKA', secretKey: 'secret-of-a', ...change }] })
const bad: [value: unknown, message: RegExp][] = [
  ['', /^x\.json: not JSON/],
  ['[]', /^x\.json: must be an object/],
  [{}, /^x\.json: accounts: must be a list/],
  [{ accounts: [], users: [] }, /^x\.json: unknown field users; known are accounts/],
  [{ accounts: [1] }, /^x\.json: accounts\[0\]: must be an object/],
  [{ accounts: [{}] }, /^x\.json: accounts\[0\]\.name: is missing/],
  [account({ nmae: 'x' }), /accounts\[0\]: unknown field nmae/],
  [account({ name: 'a b' }), /accounts\[0\]\.name: must be/],
  [account({ id: 'a/b' }), /accounts\[0\]\.id/],
  [account({ id: 7 }), /accounts\[0\]\.id/],
  [account({ displayName: 'x\n' }), /displayName/],
  [account({ email: 'x' }), /email/],
  [account({ canonicalId: '../..' }), /canonicalId/],
  [account({ accessKeys: {} }), /accounts\[0\]\.accessKeys: must be a list/],
  [account({ accessKeys: Array(21).fill({}) }), /more than 20/],
  [key({ accessKey: 'a/b' }), /accounts\[0\]\.accessKeys\[0\]: accessKey must be/],
  [key({ secretKey: 'short' }), /accounts\[0\]\.accessKeys\[0\]: secretKey must be/],
  [key({ status: 'off' }), /accessKeys\[0\]\.status/],
  [key({ accessKey: 'root-key' }), /root-key is there twice/],
  [account({ name: 'root' }), /accounts\[0\]: another account has root for its id or name/],
  [{ accounts: [{ name: 'a' }, { name: 'a', id: 'b' }] }, /accounts\[1\]: another account has a for/],
  [
    {
      accounts: [
        { name: 'a', id: 'b' },
        { name: 'b', id: 'c' },
      ],
    },
    /accounts\[1\]: another account has b for/,
  ],
  [
    {
      accounts: [
        { name: 'a', email: 'x@y.z' },
        { name: 'b', email: 'X@y.z' },
      ],
    },
    /accounts\[1\]: another account has the email/,
  ],
  [
    { accounts: [{ name: 'operators' }, { name: 'b', canonicalId: 'operators' }] },
    /accounts\[1\]: another account has operators/,
  ],
  [account({ policies: [{ Statement: [] }] }), /accounts\[0\]\.policies\[0\]: Could not parse/],
  [account({ policies: ['x'] }), /accounts\[0\]\.policies\[0\]: must be an object/],
]
for (const [value, message] of bad) {
  test(`refused: ${message.source}`, () => {
    assert.throws(
      () => read(value),
      (error: Error) => {
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /secret-of-a/)
        return true
      },
    )
  })
}

test('a root key that is none', () => {
  assert.throws(() => new Identities({ accessKey: '', secretKey: 'root-secret' }), /the root key: accessKey/)
  assert.throws(() => new Identities({ accessKey: 'root', secretKey: 'short' }), /the root key: secretKey/)
})
