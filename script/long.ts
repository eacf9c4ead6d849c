/** `npm run long [-- NAME [ARGUMENT...]]`: runs a long campaign, `test/long/NAME.ts`; lists them without a name. */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ROOT } from './checks.ts'

const [name, ...words] = process.argv.slice(2)
const names = globSync('test/long/*.ts', { cwd: ROOT })
  .map((path) => basename(path, '.ts'))
  .sort()

if (name !== undefined && names.includes(name)) {
  const file = join(ROOT, 'test', 'long', `${name}.ts`)
  const { status } = spawnSync(process.execPath, [file, ...words], { cwd: ROOT, stdio: 'inherit' })
  process.exitCode = status ?? 1
} else {
  console.log(`npm run long -- NAME\n${names.map((each) => `  ${each}`).join('\n')}`)
  process.exitCode = name === undefined ? 0 : 2
}
