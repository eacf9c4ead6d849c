import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Identities } from './identities.ts'
import { parsePolicy } from './parse-policy.ts'
import { evaluate, isPublicPolicy, NOBODY, PolicyError, type PolicyPrincipal } from './policy.ts'

const BUCKET = 'bucket'
const ARN = `arn:aws:s3:::${BUCKET}`
const ALICE: PolicyPrincipal = { accountId: 'alice', name: 'alice', canonicalId: 'c-alice' }
const BOB: PolicyPrincipal = { accountId: '123456789012', name: 'bob', canonicalId: 'c-bob' }

interface Ask {
  principal?: PolicyPrincipal
  action?: string
  resource?: string
  context?: Record<string, string | string[]>
}

function document(statements: object | object[], version = '2012-10-17'): string {
  return JSON.stringify({ Version: version, Statement: statements })
}

function verdict(statements: object | object[], ask: Ask = {}, version?: string) {
  const { principal = ALICE, action = 's3:GetObject', resource = `${ARN}/key`, context = {} } = ask
  const policy = parsePolicy(document(statements, version), { bucket: BUCKET })
  const values = new Map(Object.entries(context).map(([key, value]) => [key, [value].flat()]))
  return evaluate([policy], { principal, action, resource, context: () => values })
}

const ALLOW = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `${ARN}/*` }

describe('statements', () => {
  test('deny comes first, then allow, else nothing', () => {
    const deny = { ...ALLOW, Effect: 'Deny' }
    assert.equal(verdict(ALLOW), 'allow')
    assert.equal(verdict([ALLOW, deny]), 'deny')
    assert.equal(verdict([deny, ALLOW]), 'deny')
    assert.equal(verdict(ALLOW, { action: 's3:PutObject' }), 'none')
    assert.equal(verdict(ALLOW, { resource: ARN }), 'none')
    assert.equal(verdict(deny, { action: 's3:PutObject' }), 'none')
  })

  test('actions by wildcard, without regard to case', () => {
    const ask = (action: string | string[], asked = 's3:GetObject') =>
      verdict({ ...ALLOW, Action: action }, { action: asked })
    for (const action of [
      's3:GetObject',
      'S3:getobject',
      's3:Get*',
      's3:*',
      '*',
      's3:GetObjec?',
      's3:*Object',
    ])
      assert.equal(ask(action), 'allow', action)
    for (const action of [
      's3:GetObjectAcl',
      's3:PutObject',
      's3:GetObject???',
      ['s3:DeleteObject', 's3:PutObject*'],
    ])
      assert.equal(ask(action), 'none', String(action))
    const { Action: _, ...rest } = ALLOW
    assert.equal(verdict({ ...rest, NotAction: 's3:Put*' }), 'allow')
    assert.equal(verdict({ ...rest, NotAction: 's3:Get*' }), 'none')
  })

  test('resources by wildcard, with regard to case', () => {
    const ask = (resource: string | string[], key = 'a/b/c.txt') =>
      verdict({ ...ALLOW, Resource: resource }, { resource: `${ARN}/${key}` })
    for (const resource of [
      `${ARN}/*`,
      `${ARN}*`,
      'arn:aws:s3:::*',
      `${ARN}/a/*.txt`,
      `${ARN}/a/?/c.txt`,
      'arn:aws:s3:::b*t/*',
    ])
      assert.equal(ask(resource), 'allow', resource)
    for (const resource of [`${ARN}/A/*`, `${ARN}/a/?.txt`, `${ARN}/a`, `${ARN}/a/b/c.txt?`])
      assert.equal(ask(resource), 'none', resource)
    assert.equal(ask(`${ARN}/a*b*c*d*e*f*g*h*i*j*k*z`, 'a'.repeat(1_000)), 'none')
    const { Resource: _, ...rest } = ALLOW
    assert.equal(verdict({ ...rest, NotResource: `${ARN}/private/*` }), 'allow')
    assert.equal(verdict({ ...rest, NotResource: `${ARN}/k*` }), 'none')
  })

  test('principals in all their forms', () => {
    const ask = (principal: unknown, who = ALICE) =>
      verdict({ ...ALLOW, Principal: principal }, { principal: who })
    for (const principal of ['*', { AWS: '*' }, { AWS: 'alice' }, { AWS: 'arn:aws:iam::alice:root' }])
      assert.equal(ask(principal), 'allow', JSON.stringify(principal))
    for (const text of [
      'arn:aws:iam::alice:user/alice',
      'arn:aws:iam:::user/alice',
      'arn:aws:iam::alice:user/team/alice',
    ])
      assert.equal(ask({ AWS: text }), 'allow', text)
    assert.equal(ask({ CanonicalUser: 'c-alice' }), 'allow')
    assert.equal(ask({ AWS: 'arn:aws:iam:::user/c-alice' }), 'allow')
    assert.equal(ask({ AWS: 'c-alice' }), 'allow')
    assert.equal(ask({ AWS: 'arn:aws:iam::bob:user/alice' }), 'none')
    assert.equal(ask({ AWS: ['nobody', 'alice'] }), 'allow')
    assert.equal(ask({ AWS: '123456789012' }, BOB), 'allow')
    assert.equal(ask({ AWS: 'arn:aws:iam::123456789012:user/bob' }, BOB), 'allow')
    for (const principal of [
      { AWS: 'bob' },
      { AWS: 'arn:aws:iam::bob:root' },
      { CanonicalUser: 'c-bob' },
      { Service: 'logging.s3.amazonaws.com' },
    ])
      assert.equal(ask(principal), 'none', JSON.stringify(principal))
    assert.equal(ask({ AWS: 'alice' }, NOBODY), 'none')
    assert.equal(ask('*', NOBODY), 'allow')
  })

  test('everyone but', () => {
    const { Principal: _, ...rest } = ALLOW
    const deny = { ...rest, Effect: 'Deny', NotPrincipal: { AWS: 'alice' } }
    assert.equal(verdict([ALLOW, deny]), 'allow')
    assert.equal(verdict([ALLOW, deny], { principal: BOB }), 'deny')
    assert.equal(verdict([ALLOW, deny], { principal: NOBODY }), 'deny')
  })

  test('variables', () => {
    const home = { ...ALLOW, Resource: `${ARN}/home/\${aws:username}/*` }
    const ask = (username: string | undefined, key: string, version?: string) =>
      verdict(
        home,
        { resource: `${ARN}/${key}`, ...(username && { context: { 'aws:username': username } }) },
        version,
      )
    assert.equal(ask('alice', 'home/alice/x'), 'allow')
    assert.equal(ask('alice', 'home/bob/x'), 'none')
    assert.equal(ask('*', 'home/alice/x'), 'none')
    assert.equal(ask('*', 'home/*/x'), 'allow')
    assert.equal(ask(undefined, 'home/alice/x'), 'none')
    assert.equal(ask('alice', 'home/alice/x', '2008-10-17'), 'none')
    assert.equal(ask('alice', `home/\${aws:username}/x`, '2008-10-17'), 'allow')
    const literal = { ...ALLOW, Resource: `${ARN}/\${*}\${?}\${$}` }
    assert.equal(verdict(literal, { resource: `${ARN}/*?$` }), 'allow')
    assert.equal(verdict(literal, { resource: `${ARN}/abc` }), 'none')
    const fallback = { ...ALLOW, Resource: `${ARN}/\${aws:username, 'nobody'}` }
    assert.equal(verdict(fallback, { resource: `${ARN}/nobody` }), 'allow')
  })
})

describe('conditions', () => {
  const ask = (condition: object, context: Ask['context'] = {}) =>
    verdict({ ...ALLOW, Condition: condition }, { context })
  /** Operator, value of the policy, values that match, values that do not. */
  const table: [operator: string, key: string, value: unknown, matching: string[], other: string[]][] = [
    ['StringEquals', 's3:prefix', 'a*', ['a*'], ['ab', 'A*', '']],
    ['StringEquals', 's3:prefix', ['a', 'b'], ['a', 'b'], ['c', 'ab']],
    ['StringNotEquals', 's3:prefix', ['a', 'b'], ['c'], ['a', 'b']],
    ['StringEqualsIgnoreCase', 's3:prefix', 'AbC', ['abc', 'ABC'], ['abcd']],
    ['StringNotEqualsIgnoreCase', 's3:prefix', 'AbC', ['x'], ['abc']],
    ['StringLike', 's3:prefix', 'a*c?', ['abcd', 'acd'], ['abc', 'Abcd']],
    ['StringNotLike', 's3:prefix', 'a*', ['b'], ['a', 'ab']],
    ['NumericEquals', 's3:max-keys', 10, ['10', '10.0', '+10'], ['11', 'x']],
    ['NumericNotEquals', 's3:max-keys', '10', ['11'], ['10']],
    ['NumericLessThan', 's3:max-keys', '10', ['9', '-1', '9.99'], ['10', '11', 'x']],
    ['NumericLessThanEquals', 's3:max-keys', '10', ['10'], ['10.1']],
    ['NumericGreaterThan', 's3:max-keys', '10', ['11'], ['10']],
    ['NumericGreaterThanEquals', 's3:max-keys', '10', ['10'], ['9']],
    [
      'DateEquals',
      'aws:CurrentTime',
      '2026-01-01T00:00:00Z',
      ['2026-01-01T00:00:00Z', '1767225600'],
      ['2026-01-01T00:00:01Z'],
    ],
    ['DateNotEquals', 'aws:CurrentTime', '2026-01-01', ['2026-01-02T00:00:00Z'], ['2026-01-01T00:00:00Z']],
    [
      'DateLessThan',
      'aws:CurrentTime',
      '2026-01-01T00:00:00Z',
      ['2025-12-31T23:59:59Z'],
      ['2026-01-01T00:00:00Z'],
    ],
    [
      'DateLessThanEquals',
      'aws:CurrentTime',
      '2026-01-01T00:00:00Z',
      ['2026-01-01T00:00:00Z'],
      ['2026-01-01T00:00:01Z'],
    ],
    [
      'DateGreaterThan',
      'aws:CurrentTime',
      '2026-01-01T01:00:00+01:00',
      ['2026-01-01T00:00:01Z'],
      ['2026-01-01T00:00:00Z', 'x'],
    ],
    ['DateGreaterThanEquals', 'aws:EpochTime', '1767225600', ['1767225600'], ['1767225599']],
    ['Bool', 'aws:SecureTransport', 'false', ['false', 'FALSE'], ['true']],
    ['Bool', 'aws:SecureTransport', true, ['true'], ['false']],
    ['BinaryEquals', 's3:prefix', 'QmluYXJ5', ['QmluYXJ5'], ['QmluYXJ6']],
    ['IpAddress', 'aws:SourceIp', '10.1.0.0/16', ['10.1.2.3', '::ffff:10.1.2.3'], ['10.2.0.1', '::1', 'x']],
    [
      'IpAddress',
      'aws:SourceIp',
      ['192.0.2.7', '2001:db8::/33'],
      ['192.0.2.7', '2001:db8:7fff::1'],
      ['192.0.2.8', '2001:db8:8000::1'],
    ],
    ['IpAddress', 'aws:SourceIp', '10.0.0.0/9', ['10.127.255.255'], ['10.128.0.0']],
    ['NotIpAddress', 'aws:SourceIp', '10.0.0.0/8', ['11.0.0.1'], ['10.0.0.1']],
    [
      'ArnEquals',
      'aws:PrincipalArn',
      'arn:aws:iam::*:user/a*',
      ['arn:aws:iam::1:user/ab'],
      ['arn:aws:iam::1:2:user/ab', 'arn:aws:sts::1:user/ab', 'x'],
    ],
    ['ArnLike', 'aws:SourceArn', 'arn:aws:s3:::b*', ['arn:aws:s3:::bucket:x'], ['arn:aws:s3::1:bucket']],
    ['ArnNotEquals', 'aws:SourceArn', 'arn:aws:s3:::b', ['arn:aws:s3:::c'], ['arn:aws:s3:::b']],
    ['ArnNotLike', 'aws:SourceArn', 'arn:aws:s3:::b*', ['arn:aws:s3:::c'], ['arn:aws:s3:::bc']],
  ]
  for (const [operator, key, value, matching, other] of table) {
    test(`${operator} ${JSON.stringify(value)}`, () => {
      const condition = { [operator]: { [key]: value } }
      const name = key.toLowerCase()
      for (const each of matching) assert.equal(ask(condition, { [name]: each }), 'allow', each)
      for (const each of other) assert.equal(ask(condition, { [name]: each }), 'none', each)
      const isNegated = /Not/.test(operator)
      assert.equal(ask(condition), isNegated ? 'allow' : 'none', 'without the key')
      assert.equal(ask({ [`${operator}IfExists`]: { [key]: value } }), 'allow', 'IfExists')
    })
  }

  test('Null asks whether the key is there', () => {
    assert.equal(ask({ Null: { 's3:x-amz-acl': 'true' } }), 'allow')
    assert.equal(ask({ Null: { 's3:x-amz-acl': true } }, { 's3:x-amz-acl': 'x' }), 'none')
    assert.equal(ask({ Null: { 's3:x-amz-acl': 'false' } }, { 's3:x-amz-acl': 'x' }), 'allow')
  })

  test('all of them must hold, and of each one value', () => {
    const condition = {
      StringEquals: { 's3:prefix': ['a', 'b'], 's3:delimiter': '/' },
      Bool: { 'aws:SecureTransport': 'true' },
    }
    const context = { 's3:prefix': 'b', 's3:delimiter': '/', 'aws:securetransport': 'true' }
    assert.equal(ask(condition, context), 'allow')
    for (const key of Object.keys(context))
      assert.equal(ask(condition, { ...context, [key]: 'x' }), 'none', key)
  })

  test('keys with several values', () => {
    const key = 's3:RequestObjectTagKeys'
    const keys = (...values: string[]) => ({ [key.toLowerCase()]: values })
    const all = { 'ForAllValues:StringEquals': { [key]: ['a', 'b'] } }
    assert.equal(ask(all, keys('a', 'b')), 'allow')
    assert.equal(ask(all, keys('a', 'c')), 'none')
    assert.equal(ask(all), 'allow')
    const any = { 'ForAnyValue:StringEquals': { [key]: ['a', 'b'] } }
    assert.equal(ask(any, keys('c', 'b')), 'allow')
    assert.equal(ask(any, keys('c')), 'none')
    assert.equal(ask(any), 'none')
    assert.equal(ask({ 'ForAnyValue:StringNotEquals': { [key]: 'a' } }), 'none')
  })

  test('keys of tags keep their case, names of keys do not matter', () => {
    const condition = { StringEquals: { 's3:existingObjectTag/Team': 'x' } }
    assert.equal(ask(condition, { 's3:existingobjecttag/Team': 'x' }), 'allow')
    assert.equal(ask(condition, { 's3:existingobjecttag/team': 'x' }), 'none')
  })

  test('variables in values', () => {
    const condition = { StringLike: { 's3:prefix': [`\${aws:username}/*`, ''] } }
    assert.equal(ask(condition, { 's3:prefix': 'al*ce/x', 'aws:username': 'al*ce' }), 'allow')
    assert.equal(ask(condition, { 's3:prefix': 'alice/x', 'aws:username': 'al*ce' }), 'none')
  })
})

const UNFIT = 'Conditions do not apply to combination of actions and resources in statement'

describe('documents that are refused', () => {
  const identities = new Identities({ accessKey: 'root-key', secretKey: 'root-secret' })
  const cases: [name: string, text: string, message: string | RegExp][] = [
    ['empty', '', "Policies must be valid JSON and the first byte must be '{'"],
    ['a list', '[]', /first byte/],
    ['a space before', ` ${document(ALLOW)}`, /first byte/],
    ['not JSON', '{"Version"', 'This policy contains invalid Json'],
    [
      'too long',
      document({ ...ALLOW, Sid: 'x'.repeat(20_480) }),
      'Policy exceeds the maximum allowed document size.',
    ],
    ['no statements', '{"Version":"2012-10-17"}', 'Missing required field Statement'],
    ['an empty list', document([]), 'Could not parse the policy: Statement is empty!'],
    ['an unknown version', document(ALLOW, '2012-10-18'), 'The policy must contain a valid version string'],
    ['an unknown field', JSON.stringify({ Statement: ALLOW, Statements: 1 }), 'Unknown field Statements'],
    ['an unknown field of a statement', document({ ...ALLOW, Actions: [] }), 'Unknown field Actions'],
    ['no effect', document({ ...ALLOW, Effect: undefined }), 'Missing required field Effect'],
    ['an effect that is none', document({ ...ALLOW, Effect: 'allow' }), 'Invalid effect: allow'],
    ['no principal', document({ ...ALLOW, Principal: undefined }), 'Missing required field Principal'],
    ['a principal that is none', document({ ...ALLOW, Principal: 'alice' }), 'Invalid principal in policy'],
    [
      'a principal nobody knows',
      document({ ...ALLOW, Principal: { AWS: 'alice' } }),
      'Invalid principal in policy',
    ],
    [
      'a principal of another kind',
      document({ ...ALLOW, Principal: { GCP: '*' } }),
      'Invalid principal in policy',
    ],
    ['no principals', document({ ...ALLOW, Principal: { AWS: [] } }), 'Invalid principal in policy'],
    [
      'allow to everyone but',
      document({ ...ALLOW, Principal: undefined, NotPrincipal: { AWS: 'root' } }),
      /NotPrincipal/,
    ],
    ['no action', document({ ...ALLOW, Action: undefined }), 'Missing required field Action'],
    ['no actions', document({ ...ALLOW, Action: [] }), 'Policy has invalid action'],
    ['an unknown action', document({ ...ALLOW, Action: 's3:HeadObject' }), 'Policy has invalid action'],
    ['a pattern without service', document({ ...ALLOW, Action: '*GetObject' }), 'Policy has invalid action'],
    ['an action of another service', document({ ...ALLOW, Action: 'ec2:*' }), 'Policy has invalid action'],
    ['no resource', document({ ...ALLOW, Resource: undefined }), 'Missing required field Resource'],
    [
      'a resource that is no ARN',
      document({ ...ALLOW, Resource: 'bucket/*' }),
      'Policy has invalid resource',
    ],
    ['everything', document({ ...ALLOW, Resource: '*' }), 'Policy has invalid resource'],
    [
      'another bucket',
      document({ ...ALLOW, Resource: 'arn:aws:s3:::other/*' }),
      'Policy has invalid resource',
    ],
    ['a longer bucket', document({ ...ALLOW, Resource: `${ARN}x/*` }), 'Policy has invalid resource'],
    ['an open variable', document({ ...ALLOW, Resource: `${ARN}/\${x` }), 'Policy has invalid resource'],
    [
      'an object action on a bucket',
      document({ ...ALLOW, Resource: ARN }),
      'Action does not apply to any resource(s) in statement',
    ],
    [
      'a bucket action on objects',
      document({ ...ALLOW, Action: ['s3:GetObject', 's3:ListBucket'] }),
      /does not apply/,
    ],
    [
      'an unknown operator',
      document({ ...ALLOW, Condition: { Equals: { 's3:prefix': 'a' } } }),
      'Invalid Condition type : Equals',
    ],
    [
      'an unknown key',
      document({ ...ALLOW, Condition: { StringEquals: { 's3:nothing': 'a' } } }),
      'Policy has an invalid condition key',
    ],
    [
      'a key without service',
      document({ ...ALLOW, Condition: { StringEquals: { prefix: 'a' } } }),
      'Policy has an invalid condition key',
    ],
    [
      'an unknown key of all services',
      document({ ...ALLOW, Condition: { StringEquals: { 'aws:SourceIpp': 'a' } } }),
      'Policy has an invalid condition key',
    ],
    [
      'a value that does not suit',
      document({ ...ALLOW, Condition: { DateEquals: { 'aws:CurrentTime': 'tomorrow' } } }),
      /not valid/,
    ],
    [
      'an address that is none',
      document({ ...ALLOW, Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/33' } } }),
      'Invalid IP address in Conditions',
    ],
    [
      'an address that is none, whatever compares it',
      document({ ...ALLOW, Condition: { Null: { 'aws:SourceIp': 'true' } } }),
      'Invalid IP address in Conditions',
    ],
    [
      'an operator in other letters',
      document({ ...ALLOW, Condition: { stringequals: { 'aws:UserAgent': 'a' } } }),
      'Invalid Condition type : stringequals',
    ],
    [
      'a condition on what no such request has',
      document({ ...ALLOW, Action: 's3:GetObject', Condition: { StringEquals: { 's3:prefix': 'a' } } }),
      UNFIT,
    ],
    [
      'a condition on what one of the actions never has',
      document({
        ...ALLOW,
        Action: ['s3:PutObject', 's3:GetObject'],
        Condition: { StringEquals: { 's3:x-amz-acl': 'private' } },
      }),
      UNFIT,
    ],
    [
      'a value that is no text',
      document({ ...ALLOW, Condition: { StringEquals: { 's3:prefix': {} } } }),
      /invalid Json/,
    ],
  ]
  for (const [name, text, message] of cases) {
    test(name, () => {
      const parse = () => parsePolicy(text, { bucket: BUCKET, directory: identities })
      assert.throws(parse, (error: unknown) => {
        assert(error instanceof PolicyError)
        if (typeof message === 'string') assert.equal(error.message, message)
        else assert.match(error.message, message)
        return true
      })
    })
  }

  test('conditions that some of many actions have are taken', () => {
    const taken = (Action: string | string[], Resource: string, key: string) =>
      parsePolicy(document({ ...ALLOW, Action, Resource, Condition: { StringEquals: { [key]: 'a' } } }), {
        bucket: BUCKET,
        directory: identities,
      })
    taken('s3:*', `${ARN}/*`, 's3:prefix')
    taken(['s3:ListBucket', 's3:ListBucketVersions'], ARN, 's3:Prefix')
    taken('s3:putobject', `${ARN}/*`, 's3:x-amz-copy-source')
    taken(['s3:PutObject', 's3:PutObjectTagging'], `${ARN}/*`, 's3:RequestObjectTag/team')
    taken('s3:GetObjectVersion', `${ARN}/*`, 's3:VersionId')
  })

  test('those of identities have no principal, and may speak of other services', () => {
    const { Principal: _, ...rest } = ALLOW
    parsePolicy(document({ ...rest, Action: ['s3:*', 'sts:AssumeRole'], Resource: '*' }))
    assert.throws(() => parsePolicy(document(ALLOW)), PolicyError)
  })
})

test('principals are looked up where they are checked', () => {
  const text = JSON.stringify({
    accounts: [
      { name: 'alice', id: '1' },
      { name: 'bob', id: '2' },
    ],
  })
  const directory = new Identities({ accessKey: 'root-key', secretKey: 'root-secret' }, { path: 'x', text })
  const ask = (named: string) => {
    const policy = parsePolicy(document({ ...ALLOW, Principal: { AWS: named } }), {
      bucket: BUCKET,
      directory,
    })
    const principal = { accountId: '1', name: 'alice', canonicalId: directory.account('1')!.canonicalId }
    return evaluate([policy], {
      principal,
      action: 's3:GetObject',
      resource: `${ARN}/x`,
      context: () => new Map(),
    })
  }
  const names = [
    '1',
    'alice',
    'arn:aws:iam::1:root',
    'arn:aws:iam::1:user/alice',
    directory.account('1')!.canonicalId,
  ]
  for (const named of names) assert.equal(ask(named), 'allow', named)
  for (const named of ['2', 'bob', 'arn:aws:iam::2:user/bob']) assert.equal(ask(named), 'none', named)
  for (const named of ['3', 'carol', 'arn:aws:iam::2:user/alice', 'arn:aws:iam::3:root', 'arn:aws:s3:::x'])
    assert.throws(() => ask(named), PolicyError, named)
})

test('public or not', () => {
  const isPublic = (statement: object) => isPublicPolicy(parsePolicy(document(statement), { bucket: BUCKET }))
  const given = (condition: object) => isPublic({ ...ALLOW, Condition: condition })
  assert.equal(isPublic(ALLOW), true)
  assert.equal(isPublic({ ...ALLOW, Principal: { AWS: ['alice', '*'] } }), true)
  assert.equal(isPublic({ ...ALLOW, Principal: { AWS: 'alice' } }), false)
  assert.equal(isPublic({ ...ALLOW, Effect: 'Deny' }), false)
  assert.equal(given({ StringEquals: { 's3:prefix': 'a' } }), true)
  assert.equal(given({ IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }), false)
  assert.equal(given({ IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } }), true)
  assert.equal(given({ IpAddressIfExists: { 'aws:SourceIp': '10.0.0.0/8' } }), true)
  assert.equal(given({ NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }), true)
  assert.equal(given({ StringEquals: { 'aws:PrincipalAccount': 'alice' } }), false)
  assert.equal(given({ StringLike: { 'aws:PrincipalAccount': 'a*' } }), true)
})
