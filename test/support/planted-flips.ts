/** Flips planted below a running store, and a scrub that must find each of them and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Random } from '../../src/base/random.ts'
import { Scrubber } from '../../src/disk/scrub.ts'
import type { ScrubDamage } from '../../src/disk/scrub-volume.ts'
import { readSeaweedVolume, type SeaweedRecord } from '../compat/seaweed-files.ts'
import { KIB, MIB } from './needles.ts'
import { RealStore, temporaryDirectory } from './real-store.ts'

export const FAST = 100 * 1024 * MIB
export const HOUR_MS = 3_600_000
const WAIT_MS_MAX = 120_000

export async function until(done: () => boolean, what: string): Promise<void> {
  const endMs = systemClock.monotonicMs() + WAIT_MS_MAX
  while (!done()) {
    assert.ok(systemClock.monotonicMs() < endMs, `waited too long: ${what}`)
    await systemClock.sleep(5)
  }
}

/** Runs one cycle to its end. */
export async function scrubOnce(store: RealStore): Promise<{ damages: ScrubDamage[]; records: number }> {
  const damages: ScrubDamage[] = []
  const scrubber = new Scrubber(store.context, {
    log: silentLog,
    rateBytesPerSecond: FAST,
    periodMs: HOUR_MS,
    onDamage: (damage) => damages.push(damage),
  })
  scrubber.start()
  await until(() => scrubber.status.cycles > 0, 'a scrub cycle')
  await scrubber.stop()
  assert.equal(scrubber.status.damaged, damages.length)
  return { damages, records: scrubber.status.records }
}

/** Two volumes with files of all sizes, overwritten and deleted ones, written in part before a restart. */
async function fill(store: RealStore, random: Random, from: number, count: number): Promise<void> {
  for (let key = from; key < from + count; key++) {
    const id = 1 + random.below(2)
    const sizes = [0, 1 + random.below(2000), 1 + random.below(2000), 64 * KIB + random.below(9 * KIB)]
    await store.write(id, key, 1, sizes[random.below(sizes.length)]!)
    if (random.below(10) === 0) await store.write(id, key, 2, 1 + random.below(500))
    if (random.below(10) === 0) store.remove(id, key)
  }
  await store.write(1, from + count, 1, MIB + 300 * KIB)
}

/** The bytes of a record that say something: all but its padding, which only a record of size 0 uses. */
function tellingBytes(record: SeaweedRecord): number {
  return record.size === 0 ? 32 : 16 + record.size + 12
}

/** Throws unless one cycle finds exactly what was planted, half of it in records from before a restart. */
export async function plantAndScrub(
  random: Random,
  { files, flips }: { files: number; flips: number },
): Promise<void> {
  const { path, remove } = temporaryDirectory()
  try {
    const first = new RealStore(path)
    await first.create(1)
    await first.create(2)
    await fill(first, random, 1, files / 2)
    await first.close()
    const store = new RealStore(path)
    await fill(store, random, 1_000_000, files / 2)
    assert.deepEqual((await scrubOnce(store)).damages, [], 'no false alarm')
    const expected = [1, 2].flatMap((id) => plant(join(path, `${id}.dat`), id, random, flips / 2))
    // The first scrub noted that its cycle is done: this one begins anew.
    writeFileSync(join(path, 'scrub.json'), '')
    const { damages } = await scrubOnce(store)
    const found = damages.map(({ volumeId, offsetBytes }) => `${volumeId}/${offsetBytes}`)
    assert.equal(found.length, new Set(found).size, 'each is reported once')
    assert.deepEqual(found.sort(), expected.sort())
    await store.close()
  } finally {
    remove()
  }
}

/** Flips one bit in each of some records of a file that stays open elsewhere. Returns where the records are. */
function plant(dat: string, id: number, random: Random, flips: number): string[] {
  const bytes = readFileSync(dat)
  const { records } = readSeaweedVolume(bytes, undefined)
  const chosen = new Set<SeaweedRecord>()
  while (chosen.size < flips) chosen.add(records[random.below(records.length)]!)
  for (const record of chosen)
    bytes[record.offset + random.below(tellingBytes(record))]! ^= 1 << random.below(8)
  writeFileSync(dat, bytes, { flag: 'r+' })
  return [...chosen].map(({ offset }) => `${id}/${offset}`)
}
