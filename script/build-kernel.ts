/** Compiles the kernels: `node script/build-kernel.ts` writes the modules that are named here again. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = join(import.meta.dirname, '..')
const COMPILE_MS_MAX = 60_000
const LINE_CHARACTERS = 100
const FLAGS = ['-O3', '--runtime', 'stub', '--noAssert', '--enable', 'simd', '--enable', 'relaxed-simd']

export interface KernelSource {
  source: URL
  module: URL
  /** What the module exports. */
  name: string
  /** 64 KiB each: what the areas named in the source need. */
  memoryPages: number
  /** As far as who uses it may let it grow; default `memoryPages`. */
  memoryPagesMax?: number
}

export const ERASURE_KERNEL: KernelSource = {
  source: new URL('../src/blobs/erasure/kernel/kernel.ts', import.meta.url),
  module: new URL('../src/blobs/erasure/kernel-module.ts', import.meta.url),
  name: 'KERNEL_BASE64',
  memoryPages: 5,
  memoryPagesMax: 141,
}

export const XXHASH_KERNEL: KernelSource = {
  source: new URL('../src/objects/content/xxhash-kernel/kernel.ts', import.meta.url),
  module: new URL('../src/objects/content/xxhash-module.ts', import.meta.url),
  name: 'XXHASH_BASE64',
  memoryPages: 1,
}

/** The text of a module. The same sources and compiler always give the same. */
export function kernelModule(kernel: KernelSource): string {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-kernel-'))
  try {
    const compiled = join(folder, 'kernel.wasm')
    const compiler = join(ROOT, 'node_modules', 'assemblyscript', 'bin', 'asc.js')
    const { memoryPages, memoryPagesMax = memoryPages } = kernel
    const memory = ['--initialMemory', String(memoryPages), '--maximumMemory', String(memoryPagesMax)]
    const result = spawnSync(
      process.execPath,
      [compiler, fileURLToPath(kernel.source), '--outFile', compiled, ...FLAGS, ...memory],
      { cwd: ROOT, encoding: 'utf8', timeout: COMPILE_MS_MAX },
    )
    if (result.status !== 0 || result.stderr !== '') throw new Error(`${result.stdout}${result.stderr}`)
    return moduleText(kernel, readFileSync(compiled).toString('base64'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A source file, so that the kernel is there wherever the code is, and no layer has to read a file. */
function moduleText({ source, module, name }: KernelSource, base64: string): string {
  const from = relative(dirname(fileURLToPath(module)), fileURLToPath(source))
  const lines = base64.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g'))!
  return [
    `/** WebAssembly made from \`${from}\` by \`node script/build-kernel.ts\`; a test compares the two. Not to be edited. */`,
    `export const ${name} = [`,
    ...lines.map((line) => `  '${line}',`),
    "].join('')",
    '',
  ].join('\n')
}

if (import.meta.main) {
  for (const kernel of [ERASURE_KERNEL, XXHASH_KERNEL]) writeFileSync(kernel.module, kernelModule(kernel))
}
