/** Compiles the kernel of erasure coding: `node script/build-kernel.ts` writes `src/blobs/erasure/kernel-module.ts` again. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(import.meta.dirname, '..')
const SOURCE = new URL('../src/blobs/erasure/kernel/kernel.ts', import.meta.url)
const COMPILE_MS_MAX = 60_000
/** 64 KiB each: what the areas named in the source need. */
const MEMORY_PAGES = 5
/** As far as who uses it may let it grow, for shards that stay in it: ROOM_BYTES_MAX of `src/blobs/erasure/kernel.ts`. */
const MEMORY_PAGES_MAX = 141
const LINE_CHARACTERS = 100
const FLAGS = [
  ...['-O3', '--runtime', 'stub', '--noAssert', '--enable', 'simd', '--enable', 'relaxed-simd'],
  ...['--initialMemory', String(MEMORY_PAGES), '--maximumMemory', String(MEMORY_PAGES_MAX)],
]

/** The text of `src/blobs/erasure/kernel-module.ts`. The same sources and compiler always give the same. */
export function kernelModule(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-kernel-'))
  try {
    const compiled = join(folder, 'kernel.wasm')
    const compiler = join(ROOT, 'node_modules', 'assemblyscript', 'bin', 'asc.js')
    const result = spawnSync(
      process.execPath,
      [compiler, fileURLToPath(SOURCE), '--outFile', compiled, ...FLAGS],
      { cwd: ROOT, encoding: 'utf8', timeout: COMPILE_MS_MAX },
    )
    if (result.status !== 0 || result.stderr !== '') throw new Error(`${result.stdout}${result.stderr}`)
    return moduleText(readFileSync(compiled).toString('base64'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A source file, so that the kernel is there wherever the code is, and no layer has to read a file. */
function moduleText(base64: string): string {
  const lines = base64.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g'))!
  return [
    '/** WebAssembly made from `kernel/kernel.ts` by `node script/build-kernel.ts`; a test compares the two. Not to be edited. */',
    'export const KERNEL_BASE64 = [',
    ...lines.map((line) => `  '${line}',`),
    "].join('')",
    '',
  ].join('\n')
}

if (import.meta.main) {
  writeFileSync(join(ROOT, 'src', 'blobs', 'erasure', 'kernel-module.ts'), kernelModule())
}
