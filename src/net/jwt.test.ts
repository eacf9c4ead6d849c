import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { signFidToken, verifyFidToken } from './jwt.ts'

const expected = { fid: '3,01637037d6', nowS: 1000 }
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function signed(header: unknown, payload: unknown, key = 'key'): string {
  const text = `${encode(header)}.${encode(payload)}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

test('a token of ours opens its file, until it expires', () => {
  const token = signFidToken('key', expected.fid, 1010)
  verifyFidToken('key', token, expected)
  assert.throws(() => verifyFidToken('key', token, { ...expected, nowS: 1010 }), /wrong jwt/)
  assert.throws(() => verifyFidToken('key', token, { ...expected, fid: '3,02637037d6' }), /wrong jwt/)
  assert.throws(() => verifyFidToken('other', token, expected), /wrong jwt/)
})

test('tokens of others', () => {
  const payload = { fid: expected.fid, exp: 2000 }
  verifyFidToken('key', signed({ alg: 'HS256', typ: 'JWT' }, payload), expected)
  const good = signed({ alg: 'HS256' }, payload)
  const [header, body] = good.split('.') as [string, string]
  const bad = [
    '',
    'x',
    '..',
    `${header}.${body}`,
    `${header}.${body}.`,
    `${good}.x`,
    `${good}x`,
    `${encode({ alg: 'none' })}.${body}.`,
    signed({ alg: 'none' }, payload),
    signed({ alg: 'HS512' }, payload),
    signed({}, payload),
    signed(null, payload),
    signed({ alg: 'HS256' }, { fid: expected.fid }),
    signed({ alg: 'HS256' }, { fid: expected.fid, exp: '2000' }),
    signed({ alg: 'HS256' }, { exp: 2000 }),
    signed({ alg: 'HS256' }, { ...payload, nbf: 1500 }),
    signed({ alg: 'HS256' }, payload, 'wrong'),
    'x'.repeat(10_000),
  ]
  for (const token of bad)
    assert.throws(() => verifyFidToken('key', token, expected), /wrong jwt/, token.slice(0, 60))
})
