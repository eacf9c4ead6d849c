/**
 * `npm run long -- erasure [PART [SEED]]`: erasure groups at length. Parts, all of them by default: `model` (2,000 random
 * histories), `damage` (1,000 corruptions in one scrub), `pairs` (all 15 pairs of six servers, killed under load), `full` (one
 * disk of six without room; as root, for it mounts a small one).
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fullDisk } from '../erasure/full-disk.ts'
import { ALL_PAIRS, killPairs } from '../erasure/pairs.ts'
import { plantInShards } from '../erasure/planted-shards.ts'
import { RepairModel } from '../erasure/repair-model.ts'
import { randomOf, withSeed } from '../support/seeds.ts'

const HISTORIES = 2_000
const CORRUPTIONS = 1_000
const SMALL_DISK = 'size=24m'

const PARTS: Record<string, (seed: number) => Promise<void>> = {
  async model(seed) {
    for (let i = 0; i < HISTORIES; i++) {
      const name = i % 2 === 0 ? 'rs-4-2' : 'rs-2-1'
      await withSeed(seed + i, (random) => new RepairModel(random, name).run(600))
      if (i % 200 === 199) console.log(`${i + 1} histories`)
    }
  },
  async damage(seed) {
    await plantInShards(randomOf(seed), CORRUPTIONS)
    console.log(`${CORRUPTIONS} corruptions found and repaired in one scrub`)
  },
  pairs: (seed) => killPairs(randomOf(seed), ALL_PAIRS, (line) => console.log(line)),
  async full(seed) {
    const path = mkdtempSync(join(tmpdir(), 'cairn-full-'))
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', SMALL_DISK, 'tmpfs', path], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(`a small disk cannot be mounted: ${stderr}`)
    try {
      await fullDisk(randomOf(seed), path)
    } finally {
      spawnSync('umount', ['-l', path])
      rmdirSync(path)
    }
    console.log('a full disk, and one with room again')
  },
}

const wanted = process.argv[2]
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
for (const [name, run] of Object.entries(PARTS)) {
  if (wanted !== undefined && wanted !== name) continue
  console.log(`${name}, seed ${seed}`)
  await run(seed)
}
