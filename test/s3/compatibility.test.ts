/** The page that says which operations work is what the code says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compatibilityPage, STUBS, stateOf } from '../../script/s3-compatibility.ts'
import { HANDLERS } from '../../src/protocols/s3/handlers.ts'

test('docs/s3-compatibility.md is what script/s3-compatibility.ts writes', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/s3-compatibility.md'), 'utf8')
  assert.equal(page, compatibilityPage(), 'run: node script/s3-compatibility.ts')
})

test('whatever works has a test that names it', () => {
  const without = compatibilityPage()
    .split('\n')
    .filter((row) => row.includes('no test of its own'))
  assert.deepEqual(without, [])
  for (const action of Object.keys(STUBS)) assert.ok(HANDLERS.has(action), action)
  assert.equal(stateOf('SelectObjectContent'), '501')
})
