/** The rename of a large directory beside readers; `npm run long -- rename` has a larger one, on both engines. */
import { test } from 'node:test'
import { renameBesideReaders } from './rename-load.ts'

test('a directory of 20,000 files is renamed at one moment for all who read', {
  timeout: 280_000,
}, async () => {
  await renameBesideReaders(20_000)
})
