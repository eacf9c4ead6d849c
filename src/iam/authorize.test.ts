import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type Acl,
  ALL_USERS,
  AUTHENTICATED_USERS,
  cannedAcl,
  formatAcl,
  isPublicAcl,
  parseAcl,
} from './acl.ts'
import { type AccessRequest, authorize, type BucketRules, type PublicAccessBlock } from './authorize.ts'
import { ANONYMOUS, Identities, type Principal } from './identities.ts'
import { parsePolicy } from './parse-policy.ts'

const ARN = 'arn:aws:s3:::bucket'
const READ_ONLY = {
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: ['s3:GetObject', 's3:ListBucket', 's3:ListAllMyBuckets'], Resource: '*' },
    { Effect: 'Deny', Action: 's3:GetObject', Resource: `${ARN}/secret/*` },
  ],
}
const identities = new Identities(
  { accessKey: 'root-key', secretKey: 'root-secret' },
  {
    path: 'accounts.json',
    text: JSON.stringify({
      accounts: [{ name: 'owner' }, { name: 'other' }, { name: 'reader', policies: [READ_ONLY] }],
    }),
  },
)
const as = (id: string): Principal => ({ account: identities.account(id)!, accessKey: `${id}-key` })
const [ROOT, OWNER, OTHER, READER] = [as('root'), as('owner'), as('other'), as('reader')]
const canonical = (id: string) => identities.account(id)!.canonicalId
const OWNERS = { owner: canonical('owner'), bucketOwner: canonical('owner') }

function policy(...statements: object[]) {
  return parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }), { bucket: 'bucket' })
}

const TO = (
  principal: unknown,
  action: string | string[],
  resource: string | string[] = [`${ARN}/*`, ARN],
) => ({
  Effect: 'Allow',
  Principal: principal,
  Action: action,
  Resource: resource,
})
const DENY = (principal: unknown, action: string) => ({ ...TO(principal, action), Effect: 'Deny' })

function may(
  principal: Principal,
  action: string,
  rules: Partial<BucketRules> = {},
  more: Partial<AccessRequest> = {},
) {
  const isOnObject = /Object/.test(action) && !/^s3:(Get|Put)BucketObject/.test(action)
  return authorize({
    principal,
    action,
    bucket: { name: 'bucket', owner: 'owner', ...rules },
    ...(isOnObject && { key: 'key' }),
    context: () => new Map(),
    ...more,
  })
}

describe('without policies and lists', () => {
  test('the owner and root may do everything, others nothing', () => {
    for (const action of [
      's3:GetObject',
      's3:PutObject',
      's3:DeleteObject',
      's3:ListBucket',
      's3:PutBucketPolicy',
      's3:DeleteBucket',
      's3:PutBucketAcl',
    ]) {
      assert.equal(may(OWNER, action), true, action)
      assert.equal(may(ROOT, action), true, action)
      for (const who of [OTHER, READER, ANONYMOUS]) assert.equal(may(who, action), false, action)
    }
  })

  test('accounts without policies make and list buckets, nobody does not', () => {
    const ask = (principal: Principal, action: string) =>
      authorize({ principal, action, newBucket: 'new', context: () => new Map() })
    for (const action of ['s3:CreateBucket', 's3:ListAllMyBuckets']) {
      assert.equal(ask(OWNER, action), true)
      assert.equal(ask(ROOT, action), true)
      assert.equal(ask(ANONYMOUS, action), false)
    }
    assert.equal(ask(READER, 's3:ListAllMyBuckets'), true)
    assert.equal(ask(READER, 's3:CreateBucket'), false)
  })

  test('an account with policies has what they allow, in its own buckets', () => {
    const own = { owner: 'reader' }
    assert.equal(may(READER, 's3:GetObject', own), true)
    assert.equal(may(READER, 's3:PutObject', own), false)
    assert.equal(may(READER, 's3:GetObject', own, { key: 'secret/x' }), false)
    assert.equal(may(READER, 's3:PutBucketPolicy', own), false)
  })
})

describe('bucket policies', () => {
  test('let others in, where their own policies do too', () => {
    const rules = { policy: policy(TO('*', ['s3:GetObject', 's3:PutObject'])) }
    assert.equal(may(OTHER, 's3:GetObject', rules), true)
    assert.equal(may(OTHER, 's3:DeleteObject', rules), false)
    assert.equal(may(ANONYMOUS, 's3:GetObject', rules), true)
    assert.equal(may(READER, 's3:GetObject', rules), true)
    assert.equal(may(READER, 's3:PutObject', rules), false)
    assert.equal(may(READER, 's3:GetObject', rules, { key: 'secret/x' }), false)
    const named = { policy: policy(TO({ AWS: 'other' }, 's3:ListBucket')) }
    assert.equal(may(OTHER, 's3:ListBucket', named), true)
    assert.equal(may(ANONYMOUS, 's3:ListBucket', named), false)
  })

  test('in one account it is enough that either allows', () => {
    const own = { owner: 'reader', policy: policy(TO({ AWS: 'reader' }, 's3:PutObject')) }
    assert.equal(may(READER, 's3:PutObject', own), true)
    assert.equal(may(READER, 's3:DeleteObject', own), false)
  })

  test('deny the owner and root too, but not the way back', () => {
    const rules = { policy: policy(DENY('*', 's3:*')) }
    for (const who of [OWNER, ROOT]) {
      assert.equal(may(who, 's3:GetObject', rules), false)
      assert.equal(may(who, 's3:ListBucket', rules), false)
      for (const action of ['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy'])
        assert.equal(may(who, action, rules), true, action)
    }
    const own = { owner: 'reader', policy: policy(DENY('*', 's3:*')) }
    assert.equal(may(READER, 's3:GetBucketPolicy', own), false)
  })

  test('do not let others change them', () => {
    const rules = { policy: policy(TO('*', 's3:*')) }
    assert.equal(may(OTHER, 's3:PutBucketPolicy', rules), false)
    assert.equal(may(ANONYMOUS, 's3:DeleteBucketPolicy', rules), false)
    assert.equal(may(OTHER, 's3:PutBucketAcl', rules), true)
  })

  test('count for the own account only where public ones are restricted', () => {
    const publicAccessBlock = block({ restrictPublicBuckets: true })
    const rules = { policy: policy(TO('*', 's3:GetObject')), publicAccessBlock }
    assert.equal(may(ANONYMOUS, 's3:GetObject', rules), false)
    assert.equal(may(OTHER, 's3:GetObject', rules), false)
    assert.equal(may(OWNER, 's3:GetObject', rules), true)
    const named = { policy: policy(TO({ AWS: 'other' }, 's3:GetObject')), publicAccessBlock }
    assert.equal(may(OTHER, 's3:GetObject', named), true)
  })

  test('ask for values only when they have conditions', () => {
    const context = () => assert.fail('nobody asked')
    assert.equal(may(ROOT, 's3:GetObject', {}, { context }), true)
    assert.equal(may(OTHER, 's3:GetObject', { policy: policy(TO('*', 's3:GetObject')) }, { context }), true)
    const rules = {
      policy: policy({ ...TO('*', 's3:ListBucket'), Condition: { StringEquals: { 's3:prefix': 'a' } } }),
    }
    const given = (prefix: string) => ({ context: () => new Map([['s3:prefix', [prefix]]]) })
    assert.equal(may(OTHER, 's3:ListBucket', rules, given('a')), true)
    assert.equal(may(OTHER, 's3:ListBucket', rules, given('b')), false)
  })
})

function block(parts: Partial<PublicAccessBlock>): PublicAccessBlock {
  const none = { blockPublicAcls: false, ignorePublicAcls: false, blockPublicPolicy: false }
  return { ...none, restrictPublicBuckets: false, ...parts }
}

const BUCKET_ACTIONS = {
  read: 's3:ListBucket',
  write: 's3:PutObject',
  readAcp: 's3:GetBucketAcl',
  writeAcp: 's3:PutBucketAcl',
}

describe('lists of buckets', () => {
  const cases: [name: Parameters<typeof cannedAcl>[0], others: string[], everyone: string[]][] = [
    ['private', [], []],
    ['public-read', ['read'], ['read']],
    ['public-read-write', ['read', 'write'], ['read', 'write']],
    ['authenticated-read', ['read'], []],
    ['bucket-owner-read', [], []],
    ['log-delivery-write', [], []],
  ]
  for (const [name, others, everyone] of cases) {
    test(name, () => {
      const rules = { acl: cannedAcl(name, OWNERS) }
      for (const [right, action] of Object.entries(BUCKET_ACTIONS)) {
        assert.equal(may(OTHER, action, rules), others.includes(right), `other ${action}`)
        assert.equal(may(ANONYMOUS, action, rules), everyone.includes(right), `anonymous ${action}`)
      }
    })
  }

  test('grants to one account, of everything or of a part', () => {
    const grant = (permission: Acl['grants'][number]['permission']): Partial<BucketRules> => ({
      acl: {
        owner: canonical('owner'),
        grants: [{ grantee: { kind: 'user', id: canonical('other') }, permission }],
      },
    })
    for (const action of Object.values(BUCKET_ACTIONS))
      assert.equal(may(OTHER, action, grant('FULL_CONTROL')), true)
    assert.equal(may(OTHER, 's3:ListBucket', grant('READ')), true)
    assert.equal(may(OTHER, 's3:PutObject', grant('READ')), false)
    assert.equal(may(OTHER, 's3:DeleteObject', grant('WRITE')), true)
    assert.equal(may(OTHER, 's3:PutBucketAcl', grant('WRITE_ACP')), true)
    for (const action of ['s3:DeleteBucket', 's3:PutBucketPolicy', 's3:GetBucketVersioning', 's3:GetObject'])
      assert.equal(may(OTHER, action, grant('FULL_CONTROL')), false, action)
    assert.equal(may(READER, 's3:ListBucket', grant('FULL_CONTROL')), false)
  })

  test('that let write, let say what goes with it, but not of what is there', () => {
    const rules = { acl: cannedAcl('public-read-write', OWNERS) }
    const there = { object: { owner: 'owner', acl: undefined } }
    for (const who of [OTHER, ANONYMOUS]) {
      assert.equal(may(who, 's3:PutObjectAcl', rules), true)
      assert.equal(may(who, 's3:PutObjectTagging', rules), true)
      assert.equal(may(who, 's3:PutObjectAcl', rules, there), false)
      assert.equal(may(who, 's3:PutObjectTagging', rules, there), false)
      assert.equal(may(who, 's3:PutObjectRetention', rules), false)
      assert.equal(may(who, 's3:PutObjectAcl', { acl: cannedAcl('public-read', OWNERS) }), false)
    }
    const byPolicy = { policy: policy(TO('*', 's3:PutObject')) }
    assert.equal(may(OTHER, 's3:PutObjectAcl', byPolicy), true)
    assert.equal(may(OTHER, 's3:PutObjectAcl', byPolicy, there), false)
    assert.equal(may(OTHER, 's3:PutObjectAcl', { ...byPolicy, ownership: 'BucketOwnerEnforced' }), false)
    const denied = { policy: policy(TO('*', 's3:PutObject'), DENY('*', 's3:PutObjectAcl')) }
    assert.equal(may(OTHER, 's3:PutObjectAcl', denied), false)
    assert.equal(may(READER, 's3:PutObjectAcl', byPolicy), false)
  })

  test('count for nothing when they are off, ignored, or against a policy', () => {
    const acl = cannedAcl('public-read', OWNERS)
    assert.equal(may(OTHER, 's3:ListBucket', { acl, ownership: 'BucketOwnerEnforced' }), false)
    assert.equal(
      may(OTHER, 's3:ListBucket', { acl, publicAccessBlock: block({ ignorePublicAcls: true }) }),
      false,
    )
    assert.equal(may(OTHER, 's3:ListBucket', { acl, policy: policy(DENY('*', 's3:ListBucket')) }), false)
    assert.equal(may(READER, 's3:ListBucket', { acl }), true)
    assert.equal(may(READER, 's3:GetBucketAcl', { acl: cannedAcl('public-read', OWNERS) }), false)
  })
})

describe('objects', () => {
  const object = (owner: string, acl?: Acl) => ({ object: { owner, acl } })

  test('of the bucket owner, by their lists', () => {
    const read = object('owner', cannedAcl('public-read', OWNERS))
    assert.equal(may(OTHER, 's3:GetObject', {}, read), true)
    assert.equal(may(ANONYMOUS, 's3:GetObjectVersion', {}, read), true)
    assert.equal(may(OTHER, 's3:GetObjectAcl', {}, read), false)
    assert.equal(may(OTHER, 's3:DeleteObject', {}, read), false)
    assert.equal(may(OTHER, 's3:GetObjectTagging', {}, read), false)
    assert.equal(may(OTHER, 's3:GetObject', {}, object('owner')), false)
    assert.equal(
      may(ANONYMOUS, 's3:GetObject', {}, object('owner', cannedAcl('authenticated-read', OWNERS))),
      false,
    )
    assert.equal(
      may(OTHER, 's3:GetObject', { acl: cannedAcl('public-read', OWNERS) }, object('owner')),
      false,
    )
  })

  test('of another account, are its own', () => {
    const owners = { owner: canonical('other'), bucketOwner: canonical('owner') }
    const own = object('other', cannedAcl('private', owners))
    assert.equal(may(OTHER, 's3:GetObject', {}, own), true)
    assert.equal(may(OTHER, 's3:PutObjectAcl', {}, own), true)
    assert.equal(may(OWNER, 's3:GetObject', {}, own), false)
    assert.equal(may(OWNER, 's3:DeleteObject', {}, own), true)
    assert.equal(may(ROOT, 's3:GetObject', {}, own), true)
    const open = { policy: policy(TO('*', 's3:GetObject')) }
    assert.equal(may(ANONYMOUS, 's3:GetObject', open, own), false)
    assert.equal(
      may(OWNER, 's3:GetObject', {}, object('other', cannedAcl('bucket-owner-read', owners))),
      true,
    )
    const full = object('other', cannedAcl('bucket-owner-full-control', owners))
    assert.equal(may(OWNER, 's3:PutObjectAcl', {}, full), true)
    assert.equal(may(OWNER, 's3:GetObject', { ownership: 'BucketOwnerEnforced' }, own), true)
    assert.equal(may(OTHER, 's3:GetObject', { ownership: 'BucketOwnerEnforced' }, own), false)
  })

  test('policies of the bucket may deny their owners', () => {
    const own = object(
      'other',
      cannedAcl('private', { owner: canonical('other'), bucketOwner: canonical('owner') }),
    )
    assert.equal(may(OTHER, 's3:GetObject', { policy: policy(DENY('*', 's3:GetObject')) }, own), false)
  })
})

test('lists are kept as text, and what cannot be read is refused', () => {
  const acl = cannedAcl('public-read-write', OWNERS)
  assert.deepEqual(parseAcl(formatAcl(acl)), acl)
  assert.equal(isPublicAcl(acl), true)
  assert.equal(isPublicAcl(cannedAcl('private', OWNERS)), false)
  for (const text of [
    '',
    '{}',
    'null',
    '[]',
    '{"owner":"x","grants":[{}]}',
    '{"owner":"x","grants":[{"grantee":{"kind":"x"},"permission":"READ"}]}',
  ])
    assert.throws(() => parseAcl(text), { code: 'corrupt' })
  assert.notEqual(ALL_USERS, AUTHENTICATED_USERS)
})
