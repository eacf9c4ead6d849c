/** The thread that writes. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openMetaWriter } from '../../src/meta/open-meta-store.ts'
import { OBJECT_SCRIPTS } from '../../src/objects/scripts.ts'

const { directory, ports, keyChanges } = workerData as {
  directory: string
  ports: MessagePort[]
  keyChanges: SharedArrayBuffer
}
const parts = { clock: systemClock, random: systemRandom, scripts: OBJECT_SCRIPTS, keyChanges }
const writer = openMetaWriter(directory, parts)
for (const port of ports) writer.serve(port)
parentPort!.postMessage('ready')
parentPort!.once('message', () => void writer.close())
