import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_REDUNDANCY, type RedundancyRules, redundanciesOf, redundancyFor } from './redundancy-rules.ts'

test('an own storage class comes first, then the bucket, then the usual', () => {
  const rules: RedundancyRules = {
    usual: 'rs-2-1',
    buckets: new Map([['photos', 'rs-4-2']]),
    storageClasses: new Map([['REDUCED_REDUNDANCY', 'none']]),
  }
  assert.equal(redundancyFor(rules, 'other'), 'rs-2-1')
  assert.equal(redundancyFor(rules, 'photos'), 'rs-4-2')
  assert.equal(redundancyFor(rules, 'photos', 'REDUCED_REDUNDANCY'), 'none')
  assert.equal(redundancyFor(rules, 'photos', 'GLACIER'), 'rs-4-2')
  assert.deepEqual(redundanciesOf(rules), new Set(['rs-2-1', 'rs-4-2', 'none']))
  assert.equal(redundancyFor(NO_REDUNDANCY, 'photos', 'GLACIER'), 'none')
})

test('what STANDARD stands for gives way to buckets', () => {
  const rules: RedundancyRules = {
    usual: 'none',
    buckets: new Map([['photos', 'none']]),
    storageClasses: new Map([['STANDARD', 'rs-4-2']]),
  }
  assert.equal(redundancyFor(rules, 'other'), 'rs-4-2')
  assert.equal(redundancyFor(rules, 'photos'), 'none')
})
