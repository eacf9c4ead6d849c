/** `kill -9` of a process that gives out keys and volume ids: the next one gives none of them again. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../src/base/random.ts'

const SCRIPT = fileURLToPath(new URL('./key-printer.ts', import.meta.url))
const ROUNDS = 6

/** Runs one until it told `lines` lines, kills it, and gives all that it told. */
async function runAndKill(directory: string, lines: number): Promise<string[]> {
  const child = spawn(process.execPath, [SCRIPT, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const told: string[] = []
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      told.push(line)
      if (told.length === lines) child.kill('SIGKILL')
    }
  } finally {
    child.kill('SIGKILL')
  }
  return told
}

test('no key and no volume id twice', { timeout: 280_000 }, async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const directory = mkdtempSync(join(tmpdir(), 'cairn-keys-'))
  try {
    const seen = new Set<string>()
    for (let round = 0; round < ROUNDS; round++) {
      const told = await runAndKill(directory, 1 + random.below(60))
      assert.ok(told.length > 0)
      for (const line of told) {
        assert.match(line, /^(key|volume) [0-9]+$/)
        assert.equal(seen.has(line), false, `seed ${seed}, round ${round}: ${line} again`)
        seen.add(line)
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
