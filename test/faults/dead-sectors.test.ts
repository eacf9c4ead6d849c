/** Places that the disk cannot read any more: check and scrub name them, and go on with the rest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadPlaces } from '../../src/disk/dead-places.ts'
import {
  type ScrubDamage,
  type ScrubEnd,
  type ScrubPosition,
  VolumeScrub,
} from '../../src/disk/scrub-volume.ts'
import { type CheckReport, checkVolume, type Finding } from '../../src/disk/volume-check.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import { openSource, seaweedDataAt, seaweedFiles } from '../support/moved-volume.ts'
import { needleOf } from '../support/needles.ts'
import { seedsToRun, withSeed } from '../support/seeds.ts'
import { DIRECTORY, SimStore, VOLUME } from '../support/sim-store.ts'

const PATH = `${DIRECTORY}/${VOLUME}`
const PLACE = { directory: DIRECTORY, collection: '', volumeId: VOLUME }
const FILES = 400

const dead = (disk: SimDisk, byte: number, path = /\.dat$/) =>
  disk.failCall(1, 'EIO', { kinds: ['read'], path, byte, forever: true })

async function check(disk: SimDisk): Promise<{ report: CheckReport; findings: Finding[] }> {
  const findings: Finding[] = []
  const options = { onFinding: (finding: Finding) => findings.push(finding), pause: async () => undefined }
  return { report: await checkVolume(disk, PLACE, options), findings }
}

test('what can be read of a file is read, and the rest is narrowed down', async () => {
  for (const seed of seedsToRun(20)) {
    await withSeed(seed, async (random) => {
      const disk = new SimDisk(1)
      const whole = Buffer.from(
        Array.from({ length: 20_000 + random.below(20_000) }, () => 1 + random.below(255)),
      )
      disk.putFile('/file', whole)
      const places = Array.from({ length: random.below(4) }, () => random.below(whole.length))
      for (const place of places) dead(disk, place, /file/)
      const found = new DeadPlaces(disk, 10, () => undefined)
      const handle = disk.open('/file', 'r')
      for (let round = 0; round < 20; round++) {
        const position = random.below(whole.length)
        const lengthBytes = 1 + random.below(15_000)
        const into = Buffer.alloc(lengthBytes + 10, 7)
        const read = { handle, into, intoOffset: 5, lengthBytes, position }
        const count = round % 2 === 0 ? found.readSync(read) : await found.read(read)
        assert.equal(count, Math.min(lengthBytes, whole.length - position))
        const wanted = Buffer.from(whole.subarray(position, position + count))
        for (const { start, end } of found.within({ start: position, end: position + count }))
          wanted.fill(0, Math.max(0, start - position), Math.min(count, end - position))
        assert.ok(into.subarray(5, 5 + count).equals(wanted))
        assert.ok(
          into.subarray(5 + count).every((byte) => byte === 7) &&
            into.subarray(0, 5).every((byte) => byte === 7),
        )
      }
      disk.heal()
      const alone = places.filter((place) =>
        places.every((other) => other === place || Math.abs(other - place) > 8192),
      )
      for (const { start, end } of found.places) {
        assert.ok(places.some((place) => start <= place && place < end))
        if (alone.some((place) => start <= place && place < end))
          assert.ok(end - start < 16, `${end - start}`)
      }
    })
  }
})

test('a disk that reads nothing is no matter of places', () => {
  const disk = new SimDisk(1)
  disk.putFile('/file', Buffer.alloc(100_000, 1))
  disk.failCall(1, 'EIO', { kinds: ['read'], forever: true })
  const handle = disk.open('/file', 'r')
  const found = new DeadPlaces(disk, 10, () => undefined)
  const read = { handle, into: Buffer.alloc(100_000), intoOffset: 0, lengthBytes: 100_000, position: 0 }
  assert.throws(() => found.readSync(read), { code: 'EIO' })
})

test('a check names a dead sector and all other damage', async () => {
  const { store, disk } = await openSource(seaweedFiles(FILES))
  await store.engine.stop()
  disk.flip(`${PATH}.dat`, seaweedDataAt(301) + 50, 1)
  dead(disk, seaweedDataAt(41) + 80)
  const { report, findings } = await check(disk)
  const recordAt = (key: number) => seaweedDataAt(key) - 20
  assert.deepEqual(
    findings.map(({ file, offsetBytes }) => [file, offsetBytes]),
    [
      ['.dat', seaweedDataAt(41) + 76],
      ['.dat', recordAt(41)],
      ['.dat', recordAt(301)],
    ],
  )
  assert.match(findings[0]!.what, /the disk cannot read 8 bytes: EIO/)
  assert.deepEqual([report.records, report.findings], [FILES - 2, 3])
})

test('a check goes on behind a dead place of .idx', async () => {
  const { store, disk } = await openSource(seaweedFiles(FILES))
  await store.engine.stop()
  dead(disk, 100 * 16 + 3, /\.idx$/)
  const { report, findings } = await check(disk)
  assert.equal(report.records, FILES)
  assert.deepEqual([findings[0]!.file, findings[0]!.offsetBytes], ['.idx', 1600])
  assert.ok(findings.every(({ file }) => file === '.idx'))
})

/** The end of a scrub, how far it came, and the damage. */
async function scrub(store: SimStore, from?: ScrubPosition) {
  const { context, slot } = store.volume()
  const damages: ScrubDamage[] = []
  let position: ScrubPosition | undefined
  const end: ScrubEnd = await new VolumeScrub(context, slot, {
    onDamage: (damage) => damages.push(damage),
    onProgress: (_records, done) => {
      position = done
    },
    pace: async () => true,
  }).run(from)
  return { end, position, damages }
}

test('a scrub passes a bad block of .idx with a dead sector behind it', async () => {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 900; key++) await store.volume().write(needleOf(key, 1, 500))
  await store.volume().durable()
  await store.checkpoint()
  disk.flip(`${PATH}.idx`, 300 * 16 + 3, 1)
  const recordAt = (entry: number) => disk.contents(`${PATH}.idx`).readUInt32BE(entry * 16 + 8) * 8
  // The second one only the bad block speaks of.
  for (const entry of [898, 400]) {
    disk.heal()
    dead(disk, recordAt(entry) + 100)
    const { end, position, damages } = await scrub(store)
    assert.equal(end, 'done')
    assert.equal(position?.idxEntries, 900)
    assert.deepEqual(
      damages.map(({ file, offsetBytes }) => `${file} ${offsetBytes}`),
      ['.idx 4096', `.dat ${recordAt(entry)}`],
    )
  }
})
