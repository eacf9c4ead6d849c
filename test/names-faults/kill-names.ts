/**
 * `kill -9` of a real server under a mixed load through the filer and S3. After each restart nothing acknowledged is lost, nothing is half
 * visible; in the end, after the search for orphans and the collection, names and blobs agree.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/base/random.ts'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { MixedLoad } from './mixed-load.ts'

const COLLECTED_MS_MAX = 60_000

export interface KillNamesOptions {
  rounds: number
  afterMsMin: number
  afterMsMax: number
  report?: (line: string) => void
}

export async function killNames(random: Random, options: KillNamesOptions): Promise<void> {
  const { rounds, afterMsMin, afterMsMax, report } = options
  const data = mkdtempSync(join(tmpdir(), 'cairn-kill-names-'))
  const load = new MixedLoad(random)
  let server: ServerProcess | undefined
  try {
    for (let round = 1; round <= rounds; round++) {
      server = await startServer(data)
      await load.connect(server)
      await load.verify()
      let isOver = false
      const running = load.run(() => isOver)
      await Promise.race([running, sleep(afterMsMin + random.below(afterMsMax - afterMsMin))])
      isOver = true
      await server.kill()
      await running
      report?.(`round ${round}: ${load.files} files, ${load.acknowledged} operations acknowledged, none lost`)
    }
    server = await startServer(data, ['--garbage-delay', '0s'])
    await load.connect(server)
    await load.verify()
    await collected(server)
    await server.stop()
    await assertClean(data)
  } finally {
    load.close()
    await server?.kill()
    rmSync(data, { recursive: true, force: true })
  }
}

/** Waits until the search for orphans is over and no garbage is left. */
export async function collected(server: ServerProcess): Promise<void> {
  const deadlineMs = performance.now() + COLLECTED_MS_MAX
  let lastWaiting = ''
  while (performance.now() < deadlineMs) {
    const metrics = await (await fetch(`http://${server.volume}/metrics`)).text()
    const waiting = /^cairn_garbage_waiting (\d+)$/m.exec(metrics)?.[1]
    lastWaiting = metrics
      .split('\n')
      .filter((line) => line.startsWith('cairn_garbage'))
      .join('\n')
    if (waiting === '0' && /searched for orphans/.test(server.log())) return
    await sleep(100)
  }
  throw new Error(`the garbage is not collected:\n${lastWaiting}${server.log()}`)
}

/** `cairn fsck` finds nothing, having read every byte. */
export async function assertClean(data: string, flags: string[] = []): Promise<void> {
  const { code, stdout, stderr } = await runCairn(['fsck', '--data', data, '--verify-bytes', ...flags])
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /0 missing, 0 damaged, 0 orphaned .*\nclean\n$/)
}
