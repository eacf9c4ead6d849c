/** Each kind of setting: what it reads, what it refuses, and that it reads back what it writes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, choice, decimal, duration, flag, integer, list, type Setting, text } from './setting.ts'
import { UsageError } from './usage-error.ts'

function reads<T>(setting: Setting<T>, cases: [unknown, T][]): void {
  for (const [given, expected] of cases) {
    assert.deepEqual(setting.parse(given), expected, String(given))
    assert.deepEqual(setting.parse(setting.format(expected)), expected, `${given} and back`)
  }
}

function refuses(setting: Setting<unknown>, cases: unknown[]): void {
  for (const given of cases) assert.throws(() => setting.parse(given), UsageError, String(given))
}

test('integer', () => {
  const setting = integer({ doc: '', fallback: 1, min: 1, max: 65_535 })
  reads(setting, [
    ['1', 1],
    [65_535, 65_535],
    ['0080', 80],
  ])
  refuses(setting, [
    '0',
    '65536',
    '-1',
    '1.5',
    '',
    ' 1',
    '1e3',
    '0x10',
    'many',
    1.5,
    true,
    '99999999999999999',
  ])
})

test('decimal', () => {
  const setting = decimal({ doc: '', fallback: 0, min: 0, max: 1 })
  reads(setting, [
    ['0.3', 0.3],
    [1, 1],
    ['0', 0],
  ])
  refuses(setting, ['.3', '1.1', '-0.1', 'NaN', '', Number.NaN, '1e-3'])
})

test('bytes', () => {
  const setting = bytes({ doc: '', fallback: 0, min: 0, max: 2 ** 40 })
  reads(setting, [
    ['0', 0],
    ['1023', 1023],
    [4096, 4096],
    ['256MiB', 2 ** 28],
    ['256mib', 2 ** 28],
    ['1.5 KiB', 1536],
    ['30GB', 30e9],
    ['1TiB', 2 ** 40],
    ['30000MiB', 30_000 * 2 ** 20],
  ])
  refuses(setting, ['', 'MiB', '1M', '-1', '2TiB', '1 2MiB', 1.5, false])
  assert.throws(() => setting.parse('10k'), { message: 'must be a size, such as 1048576, 64KiB or 1.5GB' })
  assert.throws(() => setting.parse('2TiB'), { message: 'must be from 0 to 1TiB' })
})

test('duration', () => {
  const setting = duration({ doc: '', fallback: 0, min: 1, max: 7 * 86_400_000 })
  reads(setting, [
    ['1ms', 1],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
  ])
  refuses(setting, ['10', 10, '', 's', '8d', '0s', '1w'])
})

test('list', () => {
  const setting = list({ doc: '', fallback: [], pattern: /^[a-z]+$/, expected: 'letters' })
  reads(setting, [
    ['a,b', ['a', 'b']],
    ['a , b', ['a', 'b']],
    [['a'], ['a']],
    ['', []],
    [[], []],
  ])
  refuses(setting, ['a,', ',a', 'a,,b', 'a,a', 'A', ['a', 1], 7])
  assert.ok(Object.isFrozen(setting.parse('a,b')))
})

test('text, switch and choice', () => {
  reads(text({ doc: '', fallback: '', pattern: /^\d$/, expected: 'a digit' }), [
    ['', ''],
    ['1', '1'],
  ])
  refuses(text({ doc: '', fallback: '', pattern: /^\d$/, expected: 'a digit' }), ['12', 1, true])
  reads(flag({ doc: '', fallback: false }), [
    [true, true],
    ['true', true],
    ['0', false],
    [false, false],
  ])
  refuses(flag({ doc: '', fallback: false }), ['yes', '', 1])
  reads(choice(['none', 'batch'], { doc: '', fallback: 'none' }), [['batch', 'batch']])
  refuses(choice(['none', 'batch'], { doc: '', fallback: 'none' }), ['Batch', '', 1])
})
