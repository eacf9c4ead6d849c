/**
 * `npm run long -- writer-holds [FILES [PARTS]]`: the heaviest operations on names, one kind after the other, and how long each
 * holds the one writer of SQLite: a statement, a script, and a turn of the writer's loop, which is a commit or a cut of the journal.
 * In milliseconds of the thread's processor, which mean something on a busy machine too, and for turns on the clock, which do not.
 * Ends with an error when a statement takes over 50 ms.
 */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { backupMeta } from '../../src/meta/backup.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { openMetaClient, openMetaSource } from '../../src/meta/open-meta-store.ts'
import { GarbageCollector } from '../../src/objects/collector.ts'
import { Lifecycle } from '../../src/objects/lifecycle.ts'
import { DAY_MS, type LifecycleRule } from '../../src/objects/lifecycle-rules.ts'
import type { Bucket } from '../../src/objects/object-store.ts'
import { bodyOf, type ObjectsKit, startObjects } from '../objects/objects-kit.ts'
import type { Holds } from '../support/watched-writer-thread.ts'

const [files = 100_000, parts = 10_000] = process.argv.slice(2).map(Number)
const HOLD_MS_MAX = 50
const AT_ONCE = 512
const BODY = bodyOf(Buffer.from('x'))
const EMPTY = bodyOf(Buffer.alloc(0))

class Run {
  readonly kit: ObjectsKit
  readonly directory: string
  readonly #writer: Worker
  isTooLong = false

  private constructor(kit: ObjectsKit, directory: string, writer: Worker) {
    this.kit = kit
    this.directory = directory
    this.#writer = writer
  }

  static async start(): Promise<Run> {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-writer-'))
    const { port1, port2 } = new MessageChannel()
    const writer = new Worker(new URL('../support/watched-writer-thread.ts', import.meta.url), {
      workerData: { directory, port: port1 },
      transferList: [port1],
    })
    await once(writer, 'message')
    const client = openMetaClient(directory, port2, { clock: systemClock })
    const unused: MetaStore[] = []
    const kit = await startObjects(undefined, (own) => {
      unused.push(own)
      return client
    })
    await unused[0]!.close()
    return new Run(kit, directory, writer)
  }

  async end(): Promise<void> {
    await this.kit.close()
    this.#writer.postMessage('end')
    await once(this.#writer, 'exit')
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** One row of the table. */
  async measure(what: string, work: () => unknown): Promise<void> {
    await this.#report()
    const begun = performance.now()
    await work()
    // The journal is cut twice a second.
    await systemClock.sleep(1_100)
    const seconds = (performance.now() - begun - 1_100) / 1_000
    const { statement, script, turn, scripts } = await this.#report()
    const ms = (value: number) => value.toFixed(1)
    const words = `${script.name}, ${script.statements} statements`
    const cells = [what, seconds.toFixed(1), scripts, ms(statement.cpuMs), ms(script.cpuMs), words]
    console.log(`| ${[...cells, ms(turn.cpuMs), ms(turn.ms)].join(' | ')} |`)
    if (statement.cpuMs <= HOLD_MS_MAX) return
    this.isTooLong = true
    console.log(`  ${statement.sql}`)
  }

  async #report(): Promise<Holds> {
    this.#writer.postMessage('report')
    const [holds] = await once(this.#writer, 'message')
    return holds as Holds
  }
}

async function crowd(count: number, work: (number: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

const nameOf = (number: number) =>
  `${String(number % 100).padStart(2, '0')}/${String(number).padStart(6, '0')}`

async function directories(run: Run, bucket: Bucket): Promise<void> {
  const { store } = run.kit
  const fill = (directory: string) =>
    crowd(files, (at) =>
      store.put({ bucket, key: `${directory}/${nameOf(at)}`, body: EMPTY, attributes: {} }),
    )
  await run.measure(`${files} small puts`, () => fill('one'))
  await run.measure('rename of their directory', () => store.rename(bucket, 'one', 'two'))
  await run.measure('snapshot of one state (cairn backup)', async () => {
    const options = { clock: systemClock, random: systemRandom }
    const source = await openMetaSource(run.directory, options)
    for await (const _ of backupMeta(source, systemClock));
    await source.close()
  })
  await run.measure('the same beside puts', async () => {
    const source = await openMetaSource(run.directory, { clock: systemClock, random: systemRandom })
    const snapshot = await source.snapshot()
    await fill('three')
    await snapshot.close()
    await source.close()
    await crowd(AT_ONCE, (at) => store.put({ bucket, key: `after/${at}`, body: EMPTY, attributes: {} }))
  })
  await run.measure('removal of the directory', () =>
    store.removeDirectory(bucket, 'two', { recursive: true }),
  )
  const rule: LifecycleRule = { id: 'all', isEnabled: true, prefix: '', tags: [], expiration: { days: 1 } }
  const configs = { lifecycle: JSON.stringify([rule]) }
  const changed = await store.changeBucket(bucket, { configs })
  await run.measure('the lifecycle removes as many', async () => {
    run.kit.clock.ms += 3 * DAY_MS
    await new Lifecycle({ objects: store, clock: run.kit.clock, log: silentLog, dayMs: DAY_MS }).pass()
  })
  await run.measure('removal of the bucket', () => store.deleteBucket(changed))
}

/** What is put as a part: some bytes, or a range of an object. */
type PartKind = 'put' | 'copied'

async function upload(run: Run, at: { bucket: Bucket; key: string }, kind: PartKind, count = parts) {
  const { store } = run.kit
  const { uploadId } = await store.createUpload({ ...at, attributes: {} })
  const made: { number: number; etag: string }[] = []
  await crowd(count, async (index) => {
    const part = { ...at, uploadId, number: index + 1 }
    const source = { bucket: at.bucket, key: 'source' }
    made[index] =
      kind === 'put'
        ? await store.putPart({ ...part, body: BODY })
        : await store.copyPart({ ...part, source, range: { start: 0, end: 1 } })
  })
  return { ...at, uploadId, parts: made.map(({ number, etag }) => ({ number, etag })) }
}

async function uploads(run: Run, bucket: Bucket): Promise<void> {
  const { store, blobs, meta, clock } = run.kit
  await store.put({ bucket, key: 'source', body: bodyOf(Buffer.from('xyz')), attributes: {} })
  for (const kind of ['put', 'copied'] as const) {
    const key = kind
    let begun = await upload(run, { bucket, key }, kind)
    await run.measure(`complete ${parts} parts, ${kind}`, () => store.completeUpload(begun))
    begun = await upload(run, { bucket, key: 'some' }, kind)
    const some = { ...begun, parts: begun.parts.filter(({ number }) => number % 2 === 0) }
    await run.measure(`complete with every other of them, ${kind}`, () => store.completeUpload(some))
    begun = await upload(run, { bucket, key: 'none' }, kind)
    await run.measure(`abort ${parts} parts, ${kind}`, () => store.abortUpload(begun))
  }
  await run.measure(`copy of an object of ${parts} segments`, () =>
    store.copy({ source: { bucket, key: 'put' }, bucket, key: 'copy' }),
  )
  await run.measure('append to the copy', () =>
    store.append({ bucket, key: 'copy', body: BODY, attributes: {} }),
  )
  await run.measure('copy of nearly all of it as a part', async () => {
    const { uploadId } = await store.createUpload({ bucket, key: 'part', attributes: {} })
    const source = { bucket, key: 'put' }
    const range = { start: 1, end: parts }
    const part = { bucket, key: 'part', uploadId, number: 1 }
    const { etag } = await store.copyPart({ ...part, source, range })
    await store.completeUpload({ bucket, key: 'part', uploadId, parts: [{ number: 1, etag }] })
  })
  await run.measure('removal of all of these, and the collector', async () => {
    const { versions } = await store.listVersions({ bucket, limit: 1000 })
    for (const { key, versionId } of versions) await store.delete({ bucket, key, versionId })
    const collector = new GarbageCollector({ meta, blobs, clock, log: silentLog })
    while ((await collector.waiting()) > 0) {
      clock.ms += DAY_MS
      await collector.collect()
    }
  })
}

console.log('| | s | scripts | statement | script | the longest script | turn | turn on the clock |')
console.log('|---|---:|---:|---:|---:|---|---:|---:|')
const run = await Run.start()
try {
  await directories(run, await run.kit.store.createBucket({ name: 'files', owner: 'o' }))
  await uploads(run, await run.kit.store.createBucket({ name: 'uploads', owner: 'o' }))
} finally {
  await run.end()
}
if (run.isTooLong) process.exitCode = 1
