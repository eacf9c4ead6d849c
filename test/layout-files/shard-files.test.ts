/** Shards as files: the names of the guide's own object, and what becomes of files that people remove and overwrite. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLog } from '../../src/base/log.ts'
import { followShardFiles } from '../../src/blobs/shard-files.ts'
import { Scrubber } from '../../src/disk/scrub.ts'
import type { ScrubDamage } from '../../src/disk/scrub-volume.ts'
import { type ErasureKit, startErasure } from '../erasure/erasure-kit.ts'
import { FAST, HOUR_MS } from '../support/planted-flips.ts'

const WAIT_MS_MAX = 60_000
const TEXT = Buffer.from('this object will be seperated to 4+2')
/** As the guide prints them, by the index of the shard. */
const NAMES = [
  '2MRHhgqkvILs04RzLIEpZBzpgos%2F9QlNKRXEh7cMngY=.0.%2FQbxVU4EOPqz%2F2DYStzA19gOT5KBh2eEeuktmV3NFgY=',
  '2MRHhgqkvILs04RzLIEpZBzpgos%2F9QlNKRXEh7cMngY=.1.S8JnDgiwWnfNud06pGE+%2FEHgmBzNpFAEg6s%2FgR0J4Cw=',
  '2MRHhgqkvILs04RzLIEpZBzpgos%2F9QlNKRXEh7cMngY=.2.syDfa6hGt2PmnadawXz8SSr2zaalOCW6zCT3Ky7BcW4=',
  '2MRHhgqkvILs04RzLIEpZBzpgos%2F9QlNKRXEh7cMngY=.3.0aX0oLlWMm02ane45F2KxC79KTwjBUmuh1GwXcfRqH4=',
  '2MRHhgqkvILs04RzLIEpZBzpgos%2F9QlNKRXEh7cMngY=.4.3bG4EYy18vq+9JU%2F0vzbeRxDjFglFg2OBa26TlEt8gA=',
  '2MRHhgqkvILs04RzLIEpZBzpgos%2F9QlNKRXEh7cMngY=.5.5GrT1Vp7C1sI4V5brEWSJ+heWjWxDpJvVE75nVY8bdk=',
]

const filesOf = (kit: ErasureKit) => kit.domains.map(({ path }) => readdirSync(join(path, 'objects')))
const fileOf = (kit: ErasureKit, index: number) => join(kit.domains[index]!.path, 'objects', NAMES[index]!)

async function until(what: string, holds: () => boolean | Promise<boolean>, lookMs = 20) {
  const deadline = performance.now() + WAIT_MS_MAX
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}

/** Whether a file holds what the last part of its name says. */
function isRight(path: string): boolean {
  try {
    const hash = createHash('sha256').update(readFileSync(path)).digest('base64')
    return path.endsWith(`.${hash.replaceAll('/', '%2F')}`)
  } catch {
    return false
  }
}

test('the scrub verifies the files, too', async () => {
  const kit = await startErasure(() => true, 'rs-4-2', { files: true })
  try {
    const write = () => kit.blobs.write({ data: TEXT, collection: 'c', redundancy: 'rs-4-2' })
    const [gone, id] = [await write(), await write()]
    await kit.blobs.remove([gone])
    const scrubbed = async () => {
      const { store } = kit.domains[5]!
      const damages: ScrubDamage[] = []
      const scrubber = new Scrubber(store.context, {
        ...{ log: silentLog, rateBytesPerSecond: FAST, periodMs: HOUR_MS },
        follow: followShardFiles(store.context),
        onDamage: (damage) => damages.push(damage),
      })
      scrubber.start()
      await until('a cycle', () => scrubber.status.cycles > 0)
      await scrubber.stop()
      rmSync(join(store.directory, 'scrub.json'), { force: true })
      return damages
    }
    assert.deepEqual(await scrubbed(), [])
    writeFileSync(fileOf(kit, 5), 'errMsg\n')
    const [damage, ...more] = await scrubbed()
    assert.deepEqual([damage?.live, damage?.key?.keyLow, more], [true, id.keyLow, []])
    assert.match(damage!.reason, /does not match its name/)
  } finally {
    await kit.close()
  }
})

for (const [where, isLocal] of [
  ['in one process', () => true],
  ['on six servers', () => false],
] as const) {
  test(`the six files of the guide, ${where}: removed and overwritten ones come back`, async () => {
    const kit = await startErasure(isLocal, 'rs-4-2', { files: true })
    try {
      const id = await kit.blobs.write({ data: TEXT, collection: 'c', redundancy: 'rs-4-2' })
      assert.deepEqual(
        filesOf(kit),
        NAMES.map((name) => [name]),
      )
      assert.deepEqual(readdirSync(join(kit.domains[0]!.path, 'temp')), [])

      rmSync(fileOf(kit, 4))
      writeFileSync(fileOf(kit, 0), 'errMsg\n')
      assert.equal(Buffer.compare(await kit.blobs.read(id), TEXT), 0)
      await until('both are right again', () => NAMES.every((_, index) => isRight(fileOf(kit, index))))

      // As soon as a file is there again: what brought it may still be at work, and past the next one.
      for (const index of [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]) {
        rmSync(fileOf(kit, index))
        assert.equal(Buffer.compare(await kit.blobs.read(id), TEXT), 0)
        await until(`file ${index} is there again`, () => isRight(fileOf(kit, index)), 0)
      }

      // What looks at them may bring some of them back once more.
      await until('it is lost', async () => {
        for (const index of [0, 1, 2]) rmSync(fileOf(kit, index), { force: true })
        const failure = await Promise.resolve(kit.blobs.read(id)).catch((error) => error)
        return failure.code === 'unavailable'
      })
    } finally {
      await kit.close()
    }
  })

  test(`blobs of any size, ${where}`, async () => {
    const kit = await startErasure(isLocal, 'rs-4-2', { files: true })
    try {
      for (const size of [0, 1, 5, 4097, 100_000, 3_000_000]) {
        const data = randomBytes(size)
        const id = await kit.blobs.write({ data, collection: 'c', redundancy: 'rs-4-2' })
        assert.ok(data.equals(await kit.blobs.read(id)), `${size} bytes`)
        const pieces: Buffer[] = []
        const [start, end] = [Math.floor(size / 3), Math.ceil(size / 2)]
        for await (const piece of kit.blobs.readRange(id, start, end)) pieces.push(piece)
        assert.ok(data.subarray(start, end).equals(Buffer.concat(pieces)), `a part of ${size} bytes`)
        const hash = createHash('sha256').update(data).digest('base64').replaceAll('/', '%2F')
        const [names] = filesOf(kit)
        assert.ok(names!.some((name) => name.startsWith(`${hash}.0.`)))
      }
    } finally {
      await kit.close()
    }
  })
}
