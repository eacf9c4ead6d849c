/**
 * The writing thread of SQLite metadata with all scripts of the object layer and a journal, which measures how long it is held:
 * by a statement, by a script, and by a turn of its loop, which is a whole commit or a cut of the journal.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { KEY_CHANGES_BYTES } from '../../src/meta/key-changes.ts'
import type { Query, Row, Steps } from '../../src/meta/meta-store.ts'
import { openMetaWriter } from '../../src/meta/open-meta-store.ts'
import type { AnyScript } from '../../src/meta/run-steps.ts'
import { OBJECT_SCRIPTS } from '../../src/objects/scripts.ts'
import { MemorySink } from './memory-sink.ts'

/** The longest since the last report, in milliseconds of the thread's processor: waits, for the disk too, are left out. */
export interface Holds {
  statement: { cpuMs: number; sql: string }
  script: { cpuMs: number; name: string; statements: number }
  /** `ms`: on the clock, of another turn perhaps. */
  turn: { cpuMs: number; ms: number }
  scripts: number
}

const none = (): Holds => ({
  statement: { cpuMs: 0, sql: '' },
  script: { cpuMs: 0, name: '', statements: 0 },
  turn: { cpuMs: 0, ms: 0 },
  scripts: 0,
})
let holds = none()

function watched(script: AnyScript): AnyScript {
  return {
    name: script.name,
    *steps(args) {
      const steps = script.steps(args) as Steps<unknown>
      const begun = processorMs()
      let statements = 0
      try {
        let step = steps.next()
        while (!step.done) {
          const { sql } = step.value as Query
          const asked = processorMs()
          const rows: Row[] = yield step.value
          const cpuMs = processorMs() - asked
          if (cpuMs > holds.statement.cpuMs) holds.statement = { cpuMs, sql }
          statements++
          step = steps.next(rows)
        }
        return step.value
      } finally {
        const cpuMs = processorMs() - begun
        if (cpuMs > holds.script.cpuMs) holds.script = { cpuMs, name: script.name, statements }
        holds.scripts++
      }
    },
  }
}

const processorMs = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}

let [lastMs, lastCpuMs] = [performance.now(), processorMs()]
function beat(): void {
  const [ms, cpu] = [performance.now(), processorMs()]
  holds.turn.ms = Math.max(holds.turn.ms, ms - lastMs)
  holds.turn.cpuMs = Math.max(holds.turn.cpuMs, cpu - lastCpuMs)
  lastMs = ms
  lastCpuMs = cpu
  if (!isEnding) setImmediate(beat)
}

const { directory, port } = workerData as { directory: string; port: MessagePort }
let isEnding = false
const keyChanges = new SharedArrayBuffer(KEY_CHANGES_BYTES)
const parts = { clock: systemClock, random: systemRandom, keyChanges }
const scripts = OBJECT_SCRIPTS.map(watched)
const writer = openMetaWriter(directory, { ...parts, scripts, journal: true })
writer.serve(port)
await writer.ship(new MemorySink())
beat()
parentPort!.on('message', (message: 'report' | 'end') => {
  if (message === 'end') {
    isEnding = true
    void writer.close().then(() => parentPort!.close())
    return
  }
  parentPort!.postMessage(holds)
  holds = none()
})
parentPort!.postMessage('ready')
