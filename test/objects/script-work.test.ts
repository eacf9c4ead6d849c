/**
 * Nothing holds the one writer of SQLite for long: however much there is to be renamed, removed, collected or completed, each script
 * reads and changes a bounded number of rows. That each statement goes by an index is the business of `plans.test.ts`;
 * `npm run long -- writer-holds` measures the times.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { META_ROWS_PER_PART_MAX, META_SCRIPT_ROWS_MAX } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import type { MetaStore, Row, Script, Steps } from '../../src/meta/meta-store.ts'
import { query } from '../../src/meta/meta-store.ts'
import { GarbageCollector } from '../../src/objects/collector.ts'
import { Lifecycle } from '../../src/objects/lifecycle.ts'
import { DAY_MS, type LifecycleRule } from '../../src/objects/lifecycle-rules.ts'
import type { Bucket } from '../../src/objects/object-store.ts'
import { bodyOf, type ObjectsKit, startObjects } from './objects-kit.ts'

/** More than fit in any single step. */
const FILES = 2_500
const KEYS = 50
const PARTS = 500
const EMPTY = bodyOf(Buffer.alloc(0))

/** The most rows of any run of a script, by its name. */
type Work = Map<string, number>

/** Counts what scripts that write are given and what they change. */
function counted(meta: MetaStore, work: Work): MetaStore {
  const counting = <A, R>(script: Script<A, R>): Script<A, R> => ({
    name: script.name,
    *steps(args): Steps<R> {
      const steps = script.steps(args)
      let count = 0
      let step = steps.next()
      while (!step.done) {
        const rows: Row[] = yield step.value
        count += rows.length
        if (!/^\s*select/i.test(step.value.sql)) {
          const [changed]: Row[] = yield query('select changes() as count')
          count += changed!.count as number
        }
        step = steps.next(rows)
      }
      work.set(script.name, Math.max(work.get(script.name) ?? 0, count))
      return step.value
    },
  })
  return new Proxy(meta, {
    get(target, name: keyof MetaStore) {
      if (name === 'write')
        return (script: Script<unknown, unknown>, args: unknown) => target.write(counting(script), args)
      const value = target[name]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function many(count: number, work: (number: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += 500)
    await Promise.all(Array.from({ length: Math.min(500, count - at) }, (_, i) => work(at + i)))
}

async function directories({ store, clock }: ObjectsKit): Promise<void> {
  let bucket = await store.createBucket({ name: 'files', owner: 'o' })
  const put = (key: string, attributes = {}) => store.put({ bucket, key, body: EMPTY, attributes })
  await many(FILES, (at) => put(`one/${at}`))
  await store.rename(bucket, 'one', 'two')
  await many(FILES, (at) => put(`short/${at}`, { posix: { ttlSeconds: 1, createdMs: clock.ms } }))
  clock.ms += 2_000
  assert.equal(await store.expireFiles(bucket, () => false), FILES)
  await store.removeDirectory(bucket, 'two', { recursive: true })
  bucket = await store.changeBucket(bucket, { versioning: 'enabled' })
  await many(FILES, (at) => put(`versions/${at % KEYS}`))
  await store.rename(bucket, 'versions', 'renamed')
  await store.removeDirectory(bucket, 'renamed', { recursive: true })
  const rule: LifecycleRule = { id: 'all', isEnabled: true, prefix: '', tags: [] }
  const rules = [
    { ...rule, expiration: { expiredDeleteMarker: true }, noncurrent: { days: 1, newerKept: 0 } },
  ]
  await store.changeBucket(bucket, { configs: { lifecycle: JSON.stringify(rules) } })
  const lifecycle = new Lifecycle({ objects: store, clock, log: silentLog, dayMs: DAY_MS })
  for (let pass = 0; pass < 2; pass++) {
    clock.ms += 3 * DAY_MS
    await lifecycle.pass()
  }
  assert.equal(lifecycle.counts.removed, FILES + KEYS)
  await store.deleteBucket(bucket)
}

async function upload({ store }: ObjectsKit, bucket: Bucket, key: string, source?: string) {
  const { uploadId } = await store.createUpload({ bucket, key, attributes: {} })
  const parts: { number: number; etag: string }[] = []
  await many(PARTS, async (at) => {
    const part = { bucket, key, uploadId, number: at + 1 }
    const from = source === undefined ? undefined : { bucket, key: source }
    const body = bodyOf(Buffer.from(String(at)))
    const { etag } =
      from === undefined
        ? await store.putPart({ ...part, body })
        : await store.copyPart({ ...part, source: from, range: { start: at, end: at + 1 } })
    parts[at] = { number: at + 1, etag }
  })
  return { bucket, key, uploadId, parts }
}

async function uploads(kit: ObjectsKit): Promise<void> {
  const { store, blobs, meta, clock } = kit
  const bucket = await store.createBucket({ name: 'uploads', owner: 'o' })
  await store.completeUpload(await upload(kit, bucket, 'put'))
  await store.completeUpload(await upload(kit, bucket, 'copied', 'put'))
  const most = await upload(kit, bucket, 'most')
  await store.completeUpload({ ...most, parts: most.parts.slice(1) })
  await store.abortUpload(await upload(kit, bucket, 'none'))
  await store.copy({ source: { bucket, key: 'put' }, bucket, key: 'copy' })
  await store.append({ bucket, key: 'copy', body: bodyOf(Buffer.from('x')), attributes: {} })
  for (const key of ['put', 'copied', 'most', 'copy']) await store.delete({ bucket, key })
  const collector = new GarbageCollector({ meta, blobs, clock, log: silentLog })
  while ((await collector.waiting()) > 0) {
    clock.ms += DAY_MS
    await collector.collect()
  }
  await store.deleteBucket(bucket)
}

test('whatever there is to be done, no script touches more rows than its share', async () => {
  const work: Work = new Map()
  const kit = await startObjects(undefined, (meta) => counted(meta, work))
  try {
    await directories(kit)
    await uploads(kit)
  } finally {
    await kit.close()
  }
  const ofParts = /^(uploads\.complete|objects\.append|uploads\.copyPart)$/
  for (const [name, rows] of work) {
    const most = META_SCRIPT_ROWS_MAX + (ofParts.test(name) ? PARTS * META_ROWS_PER_PART_MAX : 0)
    assert.ok(rows <= most, `${name}: ${rows} rows`)
  }
  for (const name of ['tree.moveStep', 'tree.removeDirectory', 'uploads.complete', 'garbage.dissolve'])
    assert.ok(work.has(name), name)
})
