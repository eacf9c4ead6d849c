/**
 * `npm test [-- PATTERN...]`: types, format and lint, then every `*.test.ts` under `src` and `test`.
 * A pattern narrows to the test files whose path contains it, and then skips the checks. The last line is
 * `N passed, N failed, N skipped`; under CI a skipped test counts as failed.
 */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { check, ROOT } from './checks.ts'
import { ensureClients } from './clients.ts'
import { ensurePackages, TEST_PACKAGES } from './packages.ts'
import { type Counts, runTestFiles } from './test-files.ts'

const patterns = process.argv.slice(2).filter((word) => word !== '--')
const strict = process.env.CI === 'true' || process.env.CI === '1'
const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: ROOT })
  .filter((file) => !file.startsWith('test/long/'))
  .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
  .sort()

const counts = await main()
// A line of its own, whatever came before it.
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed > 0 || (strict && counts.skipped > 0) ? 1 : 0

async function main(): Promise<Counts> {
  if (files.length === 0) {
    console.log(`no test file matches ${patterns.join(' ')}`)
    return { passed: 0, failed: 1, skipped: 0 }
  }
  const missing = ensurePackages(TEST_PACKAGES)
  if (missing.length > 0)
    console.log(`not installed: ${missing.join(', ')}; tests that need them are skipped`)
  if (files.some((file) => file.startsWith('test/clients/'))) await ensureClients()
  const checked = patterns.length === 0 ? check({ fix: false }) : undefined
  const counts = await runTestFiles(files.map((file) => join(ROOT, file)))
  if (checked === true) counts.passed++
  if (checked === false) counts.failed++
  return counts
}
