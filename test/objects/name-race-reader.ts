/** A thread that reads names, over and over, until it is told to stop; and then twice more each of them. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openMetaClient } from '../../src/meta/open-meta-store.ts'
import { Names, type NamesParts } from '../../src/objects/names.ts'
import type { Bucket } from '../../src/objects/object-store.ts'
import { objectKeys } from '../support/object-keys.ts'
import { counted } from './counted-looks.ts'
import { keyOf, RACE_BUCKET, RACE_KEYS, type RaceReport, raiseTo } from './name-race.ts'

const FAULTS_MAX = 10
const { directory, port, keyChanges, told } = workerData as {
  directory: string
  port: MessagePort
  keyChanges: SharedArrayBuffer
  told: Int32Array
}
const client = openMetaClient(directory, port, { clock: systemClock, keyChanges })
const { meta, looks } = counted(client)
// Nothing is written here, and the objects have no bytes.
const parts = { meta, keys: objectKeys(), clock: systemClock, random: systemRandom } as unknown as NamesParts
const names = new Names(parts)
const bucket = { id: RACE_BUCKET } as Bucket
const report: RaceReport = { faults: [], finds: 0, looks: 0 }

async function read(key: number): Promise<void> {
  const before = Atomics.load(told, key)
  const { info } = await names.find(bucket, keyOf(key))
  const number = Number(info.etag)
  if (number < before && report.faults.length < FAULTS_MAX)
    report.faults.push(`${keyOf(key)}: ${number} after ${before}`)
  raiseTo(told, key, number)
  report.finds++
}

await read(0)
parentPort!.postMessage('ready')
while (Atomics.load(told, RACE_KEYS) === 0) await read(systemRandom.below(RACE_KEYS))
for (let key = 0; key < 2 * RACE_KEYS; key++) await read(key % RACE_KEYS)
report.looks = looks()
parentPort!.postMessage(report)
await client.close()
