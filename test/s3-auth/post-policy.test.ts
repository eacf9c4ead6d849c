/** Forms with signed policies: the example of the API reference, every kind of condition, and all that must be refused. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SignerV2, SignerV4 } from '../../src/iam/sign.ts'
import { assertFormLength, type SignedForm } from '../../src/protocols/s3/auth/post-policy.ts'
import { authenticatorAt, EXAMPLE_KEY, refusal } from './support.ts'

// biome-ignore lint/suspicious/noTemplateCurlyInString: the form's own variable.
const FILENAME = '${filename}'
const NOW = Date.UTC(2026, 4, 6, 7, 8, 9)
const LATER = '2026-05-06T08:00:00.000Z'
const v4 = new SignerV4(EXAMPLE_KEY)
const v2 = new SignerV2(EXAMPLE_KEY)

type Field = [name: string, value: string]
const DATE = new Date(NOW).toISOString().replace(/[-:]|\.[0-9]{3}/g, '')
const OF_SIGNATURE = [
  { 'x-amz-algorithm': 'AWS4-HMAC-SHA256' },
  { 'x-amz-credential': `${EXAMPLE_KEY.accessKey}/20260506/us-east-1/s3/aws4_request` },
  { 'x-amz-date': DATE },
]

interface Form {
  fields?: Field[]
  conditions?: unknown[]
  expiration?: unknown
  policy?: string
  filename?: string
  nowMs?: number
}

/** A form to `bucket` with a key, signed by version 4. */
function post(form: Form): SignedForm {
  const { fields = [['key', 'a.txt']], conditions = [], expiration = LATER } = form
  const policy =
    form.policy ??
    JSON.stringify({ expiration, conditions: [...OF_SIGNATURE, { bucket: 'bucket' }, ...conditions] })
  const all: Field[] = [...fields, ...v4.signForm(policy, NOW)]
  return authenticatorAt(form.nowMs ?? NOW).authenticateForm({
    bucket: 'bucket',
    fields: all,
    filename: form.filename,
  })
}

const KEY_STARTS = ['starts-with', '$key', 'a']

function refused(form: Form, code: string, message?: string | RegExp): void {
  const error = refusal(() => post(form))
  assert.equal(error.code, code, error.message)
  if (message instanceof RegExp) assert.match(error.message, message)
  else if (message !== undefined) assert.equal(error.message, message)
}

test('the example of the API reference', () => {
  const lines = [
    '{ "expiration": "2015-12-30T12:00:00.000Z",',
    '  "conditions": [',
    '    {"bucket": "sigv4examplebucket"},',
    '    ["starts-with", "$key", "user/user1/"],',
    '    {"acl": "public-read"},',
    '    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},',
    '    ["starts-with", "$Content-Type", "image/"],',
    '    {"x-amz-meta-uuid": "14365123651274"},',
    '    {"x-amz-server-side-encryption": "AES256"},',
    '    ["starts-with", "$x-amz-meta-tag", ""],',
    '',
    '    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},',
    '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
    '    {"x-amz-date": "20151229T000000Z" }',
    '  ]',
    '}',
  ]
  const fields: Field[] = [
    ['key', `user/user1/${FILENAME}`],
    ['acl', 'public-read'],
    ['success_action_redirect', 'http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html'],
    ['Content-Type', 'image/jpeg'],
    ['x-amz-meta-uuid', '14365123651274'],
    ['x-amz-server-side-encryption', 'AES256'],
    ['X-Amz-Credential', 'AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request'],
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Date', '20151229T000000Z'],
    ['x-amz-meta-tag', ''],
    ['Policy', Buffer.from(lines.join('\r\n')).toString('base64')],
    ['X-Amz-Signature', '8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e'],
  ]
  const authenticator = authenticatorAt(Date.UTC(2015, 11, 29, 12))
  const bucket = 'sigv4examplebucket'
  const form = authenticator.authenticateForm({ bucket, fields, filename: 'C:\\photos\\me.jpg' })
  assert.equal(form.key, 'user/user1/me.jpg')
  assert.equal(form.mechanism, 'v4-form')
  assert.equal(form.principal.accessKey, EXAMPLE_KEY.accessKey)
  assert.equal(form.fields.get('content-type'), 'image/jpeg')
})

describe('conditions', () => {
  test('that hold', () => {
    post({ conditions: [KEY_STARTS] })
    post({ conditions: [{ key: 'a.txt' }] })
    post({ conditions: [['eq', '$key', 'a.txt']] })
    post({ conditions: [['EQ', '$KEY', 'a.txt']] })
    post({ conditions: [['starts-with', '$key', '']] })
    post({
      conditions: [KEY_STARTS, ['starts-with', '$Content-Type', 'image/']],
      fields: [
        ['KEY', 'a'],
        ['Content-Type', 'image/png, image/gif'],
      ],
    })
    post({
      conditions: [KEY_STARTS, ['eq', '$success_action_status', 201]],
      fields: [
        ['key', 'a'],
        ['success_action_status', '201'],
      ],
    })
    post({
      conditions: [KEY_STARTS],
      fields: [
        ['key', 'a'],
        ['x-ignore-me', '1'],
        ['bucket', 'bucket'],
      ],
    })
    assert.equal(
      post({
        conditions: [['starts-with', '$key', 'f']],
        fields: [['key', `f-${FILENAME}`]],
        filename: 'x/$&y',
      }).key,
      'f-$&y',
    )
  })

  test('that do not', () => {
    refused(
      { conditions: [['eq', '$key', 'A.txt']] },
      'AccessDenied',
      'Invalid according to Policy: Policy Condition failed: ["eq", "$key", "A.txt"]',
    )
    refused({ conditions: [['starts-with', '$key', 'b']] }, 'AccessDenied', /Policy Condition failed/)
    refused(
      { conditions: [KEY_STARTS, { acl: 'private' }] },
      'AccessDenied',
      /Policy Condition failed: \["eq", "\$acl", "private"\]/,
    )
    refused({ conditions: [KEY_STARTS, ['starts-with', '$acl', '']] }, 'AccessDenied')
    refused(
      {
        conditions: [KEY_STARTS, ['starts-with', '$Content-Type', 'image/']],
        fields: [
          ['key', 'a'],
          ['Content-Type', 'image/png,text/html'],
        ],
      },
      'AccessDenied',
    )
    refused(
      {
        conditions: [['starts-with', '$key', FILENAME]],
        fields: [['key', FILENAME]],
        filename: 'a',
      },
      'AccessDenied',
    )
  })

  test('must speak of every field, of the bucket and of the key', () => {
    refused(
      {
        conditions: [KEY_STARTS],
        fields: [
          ['key', 'a'],
          ['acl', 'public-read'],
        ],
      },
      'AccessDenied',
      'Invalid according to Policy: Extra input fields: acl',
    )
    refused(
      {
        conditions: [KEY_STARTS],
        fields: [
          ['key', 'a'],
          ['x-amz-meta-x', '1'],
        ],
      },
      'AccessDenied',
      /Extra input fields: x-amz-meta-x/,
    )
    refused({ conditions: [] }, 'AccessDenied', 'Invalid according to Policy: Extra input fields: key')
    refused(
      { policy: JSON.stringify({ expiration: LATER, conditions: [...OF_SIGNATURE, KEY_STARTS] }) },
      'AccessDenied',
      /Extra input fields: bucket/,
    )
    refused(
      {
        policy: JSON.stringify({
          expiration: LATER,
          conditions: [...OF_SIGNATURE, KEY_STARTS, { bucket: 'other' }],
        }),
      },
      'AccessDenied',
      /\["eq", "\$bucket", "other"\]/,
    )
    refused(
      {
        conditions: [KEY_STARTS],
        fields: [
          ['key', 'a'],
          ['bucket', 'other'],
        ],
      },
      'AccessDenied',
    )
    refused(
      {
        policy: JSON.stringify({
          expiration: LATER,
          conditions: [...OF_SIGNATURE.slice(1), KEY_STARTS, { bucket: 'bucket' }],
        }),
      },
      'AccessDenied',
      /Extra input fields: x-amz-algorithm/,
    )
  })

  test('of length', () => {
    const { lengthRange } = post({
      conditions: [KEY_STARTS, ['content-length-range', 10, '1024'], ['content-length-range', 0, 100]],
    })
    assert.deepEqual(lengthRange, { bytesMin: 10, bytesMax: 100 })
    assertFormLength(lengthRange, 10)
    assertFormLength(lengthRange, 100)
    assertFormLength(undefined, 1e12)
    const small = refusal(() => assertFormLength(lengthRange, 9))
    assert.deepEqual(
      [small.code, small.extra],
      ['EntityTooSmall', { ProposedSize: '9', MinSizeAllowed: '10' }],
    )
    const large = refusal(() => assertFormLength(lengthRange, 101))
    assert.deepEqual(
      [large.code, large.extra],
      ['EntityTooLarge', { ProposedSize: '101', MaxSizeAllowed: '100' }],
    )
  })
})

describe('policies that are none', () => {
  const cases: [name: string, form: Form, code: string, message: RegExp][] = [
    ['expired', { expiration: '2026-05-06T07:08:09Z' }, 'AccessDenied', /Policy expired/],
    ['nothing', { policy: '' }, 'InvalidPolicyDocument', /found End-of-Input/],
    [
      'no date',
      { expiration: 'tomorrow' },
      'InvalidPolicyDocument',
      /Invalid 'expiration' value: 'tomorrow'/,
    ],
    ['a number for a date', { expiration: 1e12 }, 'InvalidPolicyDocument', /expiration/],
    ['a day that is none', { expiration: '2026-13-45T00:00:00Z' }, 'InvalidPolicyDocument', /expiration/],
    [
      'upper case',
      { policy: `{"EXPIRATION":"${LATER}","conditions":[]}` },
      'InvalidPolicyDocument',
      /Unexpected: "EXPIRATION"/,
    ],
    ['no expiration', { policy: '{"conditions":[]}' }, 'InvalidPolicyDocument', /missing expiration/],
    ['no conditions', { policy: `{"expiration":"${LATER}"}` }, 'InvalidPolicyDocument', /missing conditions/],
    [
      'conditions of another kind',
      { policy: `{"expiration":"${LATER}","conditions":{}}` },
      'InvalidPolicyDocument',
      /must be a List/,
    ],
    ['not JSON', { policy: '{"expiration' }, 'InvalidPolicyDocument', /Invalid JSON/],
    ['a list', { policy: '[]' }, 'InvalidPolicyDocument', /Invalid JSON/],
    ['empty', { policy: '   ' }, 'InvalidPolicyDocument', /Invalid JSON/],
    ['a text as condition', { conditions: ['eq'] }, 'InvalidPolicyDocument', /must be a List or Object/],
    ['an empty condition', { conditions: [[]] }, 'InvalidPolicyDocument', /missing operation/],
    [
      'an unknown operation',
      { conditions: [['ends-with', '$key', 'a']] },
      'InvalidPolicyDocument',
      /unknown operation 'ends-with'/,
    ],
    [
      'too few arguments',
      { conditions: [['eq', '$key']] },
      'InvalidPolicyDocument',
      /Invalid eq: wrong number/,
    ],
    [
      'a length too few',
      { conditions: [['content-length-range', 0]] },
      'InvalidPolicyDocument',
      /wrong number/,
    ],
    [
      'a negative length',
      { conditions: [['content-length-range', -1, 0]] },
      'InvalidPolicyDocument',
      /Invalid JSON/,
    ],
    [
      'a length in words',
      { conditions: [['content-length-range', 0, 'many']] },
      'InvalidPolicyDocument',
      /Invalid JSON/,
    ],
    ['two in one', { conditions: [{ key: 'a', acl: 'b' }] }, 'InvalidPolicyDocument', /exactly one property/],
    ['a number as value', { conditions: [{ key: 1 }] }, 'InvalidPolicyDocument', /must be a string/],
    ['no dollar', { conditions: [['eq', 'key', 'a.txt']] }, 'AccessDenied', /Policy Condition failed/],
  ]
  for (const [name, form, code, message] of cases) {
    test(name, () =>
      refused({ ...form, conditions: form.conditions && [...form.conditions, KEY_STARTS] }, code, message),
    )
  }
})

describe('signatures', () => {
  const policy = JSON.stringify({
    expiration: LATER,
    conditions: [...OF_SIGNATURE, { bucket: 'bucket' }, KEY_STARTS],
  })
  const signed: Field[] = [['key', 'a'], ...v4.signForm(policy, NOW)]
  const send = (fields: Field[], options = {}) =>
    authenticatorAt(NOW, options).authenticateForm({ bucket: 'bucket', fields, filename: undefined })
  const without = (name: string) => signed.filter(([each]) => each !== name)
  const changed = (name: string, value: string) =>
    signed.map(([each, old]): Field => [each, each === name ? value : old])
  const code = (fields: Field[], options = {}) => refusal(() => send(fields, options)).code

  test('of version 4, each part of which is needed', () => {
    assert.equal(send(signed).principal.accessKey, EXAMPLE_KEY.accessKey)
    for (const name of ['policy', 'x-amz-algorithm', 'x-amz-credential', 'x-amz-date', 'x-amz-signature'])
      assert.equal(code(without(name)), 'InvalidArgument', name)
    assert.equal(code(without('key')), 'InvalidArgument')
    assert.equal(code(changed('x-amz-algorithm', 'AWS4-HMAC-SHA1')), 'InvalidArgument')
    assert.equal(code(changed('x-amz-date', '20260507T000000Z')), 'InvalidArgument')
    assert.equal(code(changed('x-amz-date', 'today')), 'InvalidArgument')
    assert.equal(code(changed('x-amz-signature', '0'.repeat(64))), 'SignatureDoesNotMatch')
    assert.equal(
      code(changed('policy', Buffer.from(`${policy} `).toString('base64'))),
      'SignatureDoesNotMatch',
    )
    assert.equal(code(changed('policy', '!')), 'SignatureDoesNotMatch')
    const told = (name: string, value: string) => refusal(() => send(changed(name, value)))
    assert.equal(told('x-amz-algorithm', 'AWS4').message, 'Only AWS4-HMAC-SHA256 is supported')
    assert.deepEqual(told('x-amz-date', 'today').extra, {
      ArgumentName: 'X-Amz-Date',
      ArgumentValue: 'today',
    })
    assert.deepEqual(told('x-amz-credential', 'none').extra, {
      ArgumentName: 'x-amz-credential',
      ArgumentValue: 'none',
    })
    assert.match(told('x-amz-signature', '').message, /a field named 'x-amz-signature'\./)
    const credential = `${EXAMPLE_KEY.accessKey}/20260506`
    assert.equal(
      code(changed('x-amz-credential', `${credential}/eu-west-1/s3/aws4_request`)),
      'InvalidArgument',
    )
    assert.equal(
      code(changed('x-amz-credential', `${credential}/us-east-1/ec2/aws4_request`)),
      'InvalidArgument',
    )
    assert.equal(code(changed('x-amz-credential', `${credential}/us-east-1/s3/aws5`)), 'InvalidArgument')
    assert.equal(code(changed('x-amz-credential', credential)), 'InvalidArgument')
    assert.equal(
      code(changed('x-amz-credential', 'NOBODY/20260506/us-east-1/s3/aws4_request')),
      'InvalidAccessKeyId',
    )
    assert.equal(code([...signed, ['KEY', 'b']]), 'InvalidArgument')
    assert.equal(code([...signed, ['x-amz-security-token', 'b']]), 'InvalidToken')
  })

  test('of version 2', () => {
    const plain = JSON.stringify({ expiration: LATER, conditions: [{ bucket: 'bucket' }, KEY_STARTS] })
    const fields: Field[] = [['key', 'a'], ...v2.signForm(plain)]
    assert.equal(send(fields).mechanism, 'v2-form')
    assert.equal(code(fields, { allowsV2: false }), 'InvalidRequest')
    for (const name of ['policy', 'AWSAccessKeyId', 'signature'])
      assert.equal(code(fields.filter(([each]) => each !== name)), 'InvalidArgument', name)
    assert.equal(
      code(fields.map(([name, value]): Field => [name, name === 'signature' ? 'AAAA' : value])),
      'SignatureDoesNotMatch',
    )
    assert.equal(
      code(fields.map(([name, value]): Field => [name, name === 'AWSAccessKeyId' ? 'NOBODY' : value])),
      'InvalidAccessKeyId',
    )
  })

  test('of nobody', () => {
    const form = send([
      ['key', 'a'],
      ['acl', 'private'],
    ])
    assert.deepEqual([form.mechanism, form.principal.account], ['anonymous', undefined])
  })
})
