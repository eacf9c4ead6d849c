/** The writing thread of SQLite metadata, for tests. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { openMetaWriter } from '../../src/meta/open-meta-store.ts'
import { ITEMS, TEST_SCRIPTS } from './meta-scripts.ts'

const { directory, ports } = workerData as { directory: string; ports: MessagePort[] }
const writer = openMetaWriter(directory, {
  clock: systemClock,
  random: systemRandom,
  migrations: [ITEMS],
  scripts: TEST_SCRIPTS,
})
for (const port of ports) writer.serve(port)
parentPort!.postMessage('ready')
parentPort!.once('message', () => void writer.close())
