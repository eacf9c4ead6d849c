/** A worker thread that writes and deletes a few keys of one volume as fast as it can, on real files. For `two-threads.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { createThreadContext, type SharedVolumes } from '../../src/disk/thread-context.ts'
import { VolumeSet } from '../../src/disk/volume-set.ts'
import { fidOf, MIB, needleOf } from './needles.ts'
import { randomOf } from './seeds.ts'

export interface WriterData {
  shared: SharedVolumes
  volumeId: number
  seed: number
  operations: number
  keys: number
}

export interface WriterResult {
  /** Records that it appended. */
  appended: number
  unchanged: number
}

const { shared, volumeId, seed, operations, keys } = workerData as WriterData
const random = randomOf(seed)
const volumes = new VolumeSet(createThreadContext(shared, realDisk, systemClock))
const result: WriterResult = { appended: 0, unchanged: 0 }

for (let i = 0; i < operations; i++) {
  const volume = volumes.get(volumeId)!
  const key = 1 + random.below(keys)
  if (random.below(4) === 0) {
    if (volume.remove(fidOf(key)) !== undefined) result.appended++
  } else {
    const size = random.below(200) === 0 ? MIB + 100 : random.below(3000)
    const written = await volume.write(needleOf(key, random.below(1000), size, { pairs: undefined }))
    if (written.unchanged) result.unchanged++
    else result.appended++
  }
  if (random.below(16) === 0) await volume.durable()
  // Gives a compaction in another thread its chances.
  if (random.below(50) === 0) await new Promise(setImmediate)
}
await volumes.get(volumeId)!.durable()
volumes.close()
parentPort!.postMessage(result)
