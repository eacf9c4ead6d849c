/** What must hold before any test runs: the types agree, and the format and lint rules are kept. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules', '.bin')
const CHECK_MS_MAX = 300_000

/** True when everything is in order. What is not is printed. */
export function check({ fix }: { fix: boolean }): boolean {
  const lint = run('biome', ['check', '--error-on-warnings', ...(fix ? ['--write'] : []), '.'])
  const types = run('tsc', ['-p', '.'])
  return lint && types
}

/** Runs a development tool on the pinned Node; silent when it succeeds. */
function run(tool: string, words: string[]): boolean {
  const result = spawnSync(process.execPath, [join(BIN, tool), ...words], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: CHECK_MS_MAX,
  })
  if (result.status === 0) return true
  process.stdout.write(`${tool} ${words.join(' ')}\n${result.stdout}${result.stderr}\n`)
  return false
}
