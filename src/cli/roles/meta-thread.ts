/** The thread that writes metadata to SQLite, for all threads of the process: they send it scripts, and read by themselves. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { type MetaWriter, openMetaWriter } from '../../meta/open-meta-store.ts'
import { OBJECT_SCRIPTS } from '../../objects/scripts.ts'
import type { MetaControl, MetaThreadData } from './thread-data.ts'

const data = workerData as MetaThreadData
let writer: MetaWriter | undefined

const control: MetaControl = {
  async open() {
    const options = { clock: systemClock, random: systemRandom, scripts: OBJECT_SCRIPTS }
    const opened = openMetaWriter(data.directory, options)
    for (const client of data.clients) opened.serve(client)
    writer = opened
  },
  async stop() {
    await writer?.close()
  },
}
offerCalls(data.control, { ...control })
