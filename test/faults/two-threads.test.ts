/**
 * Real threads write the same keys of one volume on real files: no record and no index entry is lost, and memory, `.idx` and
 * a rebuild agree; with a third thread's compactions in between as well.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import {
  createSharedVolumes,
  createThreadContext,
  type SharedVolumes,
} from '../../src/disk/thread-context.ts'
import { VolumeKeeper } from '../../src/disk/volume-keeper.ts'
import { VolumeSet } from '../../src/disk/volume-set.ts'
import { checkSeaweedVolume } from '../compat/seaweed-files.ts'
import { collect, cookieOf, type ReadNeedle } from '../support/needles.ts'
import { randomOf } from '../support/seeds.ts'
import type { WriterData, WriterResult } from '../support/volume-writer.ts'

const VOLUME = 1
const KEYS = 3
const OPERATIONS = 3000
const SCRIPT = new URL('../support/volume-writer.ts', import.meta.url)

function openStore(directory: string) {
  const shared = createSharedVolumes({
    directories: [directory],
    indexBytesMax: 16 * 1024 * 1024,
    volumesMax: 4,
  })
  const context = createThreadContext(shared, realDisk, systemClock)
  const keeper = new VolumeKeeper(context, {
    random: randomOf(1),
    log: silentLog,
    volumeSizeLimitBytes: 2 ** 34,
    volumesPerDirectoryMax: 4,
    garbageThreshold: Number.POSITIVE_INFINITY,
    ballastBytes: 0,
  })
  keeper.open()
  return { shared, keeper, volumes: new VolumeSet(createThreadContext(shared, realDisk, systemClock)) }
}

function runWriter(shared: SharedVolumes, seed: number): Promise<WriterResult> {
  const workerData: WriterData = { shared, volumeId: VOLUME, seed, operations: OPERATIONS, keys: KEYS }
  return new Promise((resolve, reject) => {
    const worker = new Worker(SCRIPT, { workerData })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function readAll(volumes: VolumeSet): Promise<(ReadNeedle | undefined)[]> {
  const found: (ReadNeedle | undefined)[] = []
  for (let key = 1; key <= KEYS; key++) {
    const fid = { volumeId: VOLUME, keyHigh: 0, keyLow: key, cookie: cookieOf(key) }
    const needle = await volumes.get(VOLUME)!.read(fid)
    found.push(needle === undefined ? undefined : await collect(needle))
  }
  return found
}

for (const compacting of [false, true]) {
  test(`two threads, the same keys${compacting ? ', and compactions' : ''}`, {
    timeout: 280_000,
  }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-threads-'))
    try {
      const { shared, keeper, volumes } = openStore(directory)
      await keeper.createVolume({ id: VOLUME, collection: '', replicaPlacement: 0, ttl: 0 })
      let running = true
      const writers = Promise.all([runWriter(shared, 1), runWriter(shared, 2)]).finally(
        () => (running = false),
      )
      while (running && compacting) {
        await keeper.compactVolume(VOLUME, 0)
        await systemClock.sleep(5)
      }
      const results = await writers
      const inMemory = await readAll(volumes)
      volumes.close()
      await keeper.stop()
      const [dat, idx] = ['dat', 'idx'].map((extension) =>
        readFileSync(join(directory, `${VOLUME}.${extension}`)),
      )
      const seaweed = checkSeaweedVolume(dat!, idx!)
      const appended = results[0]!.appended + results[1]!.appended
      if (!compacting) assert.equal(seaweed.records.length, appended, 'a record for each operation')
      assert.equal(seaweed.entries.length, seaweed.records.length, 'an entry for each record')
      // Fillers, of key 0, cover large writes that were overtaken.
      const times = seaweed.records.filter((record) => record.key !== 0n).map((record) => record.appendNs)
      assert.ok(
        times.every((time, i) => i === 0 || time > times[i - 1]!),
        'times ascend with places',
      )
      for (const [i, needle] of inMemory.entries()) {
        const record = seaweed.liveByIndex.get(BigInt(i + 1))
        assert.equal(
          record?.checksum,
          needle === undefined || needle.data.length === 0 ? record?.checksum : needle.checksum,
        )
        assert.equal(record === undefined, needle === undefined, `key ${i + 1} by .idx`)
      }
      for (const extension of ['idx', 'sums']) rmSync(join(directory, `${VOLUME}.${extension}`))
      const rebuilt = openStore(directory)
      assert.deepEqual(await readAll(rebuilt.volumes), inMemory, 'rebuilt')
      rebuilt.volumes.close()
      await rebuilt.keeper.stop()
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
}
