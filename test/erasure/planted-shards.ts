/** Bits flipped in records of an erasure group, which one scrub must find and repair: each of them and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/base/random.ts'
import { readSeaweedVolume } from '../compat/seaweed-files.ts'
import { KIB, MIB } from '../support/needles.ts'
import { MEMBERS, ShardGroup } from './shard-group.ts'

const SIZES = [0, 1, 100, 4 * KIB, 70 * KIB, 300 * KIB]
const HEAD_BYTES = 20
const TAIL_BYTES = 60

/** `flips` records are hit, at most two of a blob's six, each at a place of its own. */
export async function plantInShards(random: Random, flips: number): Promise<void> {
  const group = await ShardGroup.make(random)
  try {
    const blobs = Math.ceil(flips / 2)
    for (let i = 0; i < blobs - 1; i++) await group.put(SIZES[random.below(SIZES.length)]!)
    await group.put(5 * MIB)
    group.repairer.start()
    assert.deepEqual(await group.scrub(), [], 'no false alarm')
    writeFileSync(join(group.path, 'scrub.json'), '')
    const planted = plant(group, random, flips)
    const damages = await group.scrub()
    const found = damages.map(({ volumeId, offsetBytes }) => `${volumeId}/${offsetBytes}`)
    assert.deepEqual(found.sort(), planted.sort())
    await group.untilWhole()
    assert.equal(group.repairer.status.rebuilt, planted.length)
    // What is left of the damage is no record's present place any more, and a compaction clears it away.
    for (const id of MEMBERS) await group.store.keeper.compactVolume(id, 0)
    writeFileSync(join(group.path, 'scrub.json'), '')
    assert.deepEqual(await group.scrub(), [], 'all is mended')
    assert.deepEqual(await group.wrongShards(), [])
  } finally {
    await group.close()
  }
}

function plant(group: ShardGroup, random: Random, flips: number): string[] {
  const planted: string[] = []
  const hits = new Map<string, number>()
  const files = MEMBERS.map((id) => {
    const path = join(group.path, `${id}.dat`)
    const bytes = readFileSync(path)
    return { id, path, bytes, records: readSeaweedVolume(bytes, undefined).records }
  })
  for (let nth = 0; planted.length < flips; nth++) {
    const { id, bytes, records } = files[random.below(files.length)]!
    const record = records[nth < 4 ? records.length - 1 : random.below(records.length)]!
    const name = `${id}/${record.offset}`
    const key = String(record.key)
    if (planted.includes(name) || (hits.get(key) ?? 0) >= 2) continue
    hits.set(key, (hits.get(key) ?? 0) + 1)
    // In turns: every byte of the head, of what follows the data, and any of the data.
    const telling = 16 + record.size + 12
    const places = [nth % HEAD_BYTES, telling - 1 - (nth % TAIL_BYTES), random.below(telling)]
    const at = Math.min(telling - 1, Math.max(0, places[random.below(3)]!))
    bytes[record.offset + at]! ^= 1 << random.below(8)
    planted.push(name)
  }
  for (const { path, bytes } of files) writeFileSync(path, bytes, { flag: 'r+' })
  return planted
}
