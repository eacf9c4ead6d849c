/** `npm run long -- flipped-bits`: `test/faults/flipped-bits.test.ts` with every bit that its short form leaves out. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('../faults/flipped-bits.test.ts', import.meta.url))
const { status } = spawnSync(process.execPath, ['--test', file], {
  stdio: 'inherit',
  env: { ...process.env, CAIRN_LONG: '1' },
})
process.exitCode = status ?? 1
