/** What threads remember of names: nothing that has changed, whoever changed it and how. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { systemRandom as random } from '../../src/base/random.ts'
import { KEY_CHANGES_BYTES, KeyChanges } from '../../src/meta/key-changes.ts'
import type { Script, Steps } from '../../src/meta/meta-store.ts'
import { openMetaClient, openMetaStore } from '../../src/meta/open-meta-store.ts'
import { NameMemory } from '../../src/objects/name-memory.ts'
import { Names } from '../../src/objects/names.ts'
import type { Bucket, ObjectInfo, ObjectStore } from '../../src/objects/object-store.ts'
import type { ContentWriter } from '../../src/objects/parts.ts'
import { type PutVersion, putObject } from '../../src/objects/put-version.ts'
import { forgetful } from '../support/checked-names.ts'
import { objectKeys } from '../support/object-keys.ts'
import { counted } from './counted-looks.ts'
import {
  createRaceBucket,
  keyOf,
  numbered,
  putNumber,
  RACE_BUCKET,
  RACE_KEYS,
  type RaceReport,
  raiseTo,
} from './name-race.ts'
import { bodyOf, type ObjectsKit, startObjects } from './objects-kit.ts'

const NO_WRITER = undefined as unknown as ContentWriter
const HOUR_MS = 3_600_000
const PUTS_EACH = 100

describe('one thread', () => {
  let kit: ObjectsKit
  let store: ObjectStore
  let looks: () => number
  /** Another thread's names, and those of one that remembers nothing. */
  let names: Names
  let plain: Names
  let count = 0

  before(async () => {
    kit = await startObjects()
    store = kit.store
    const counting = counted(kit.meta)
    looks = counting.looks
    const parts = { keys: objectKeys(), clock: kit.clock, random, reader: kit.reader, writer: NO_WRITER }
    names = new Names({ ...parts, meta: counting.meta })
    plain = new Names({ ...parts, meta: forgetful(kit.meta) })
  })
  after(() => kit.close())

  const answer = (from: Names, bucket: Bucket, key: string) => {
    try {
      const found = from.find(bucket, key)
      assert.ok(!(found instanceof Promise))
      return { info: found.info, isVersioned: found.isVersioned }
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  const put = (bucket: Bucket, key: string, text = 'before', more = {}) =>
    store.put({ bucket, key, body: bodyOf(Buffer.from(text)), attributes: {}, ...more })

  const KEYS = ['a', 'd/1', 'd/2/3', 'e/1', 'other', 'é', 'none']

  const CHANGES: Record<string, (bucket: Bucket) => Promise<unknown>> = {
    'a put over it': (bucket) => put(bucket, 'a', 'after'),
    'a put of the same bytes': (bucket) => put(bucket, 'a'),
    'a put of a new one': (bucket) => put(bucket, 'none'),
    'a removal': (bucket) => store.delete({ bucket, key: 'é' }),
    'removals of many': (bucket) =>
      store.deleteMany([
        { bucket, key: 'a' },
        { bucket, key: 'd/1' },
      ]),
    'a copy onto it': (bucket) =>
      store.copy({ source: { bucket, key: 'other' }, bucket, key: 'a', attributes: { contentType: 'x/y' } }),
    'a copy onto itself': (bucket) =>
      store.copy({ source: { bucket, key: 'a' }, bucket, key: 'a', attributes: { contentType: 'x/y' } }),
    tags: (bucket) => store.setTags({ bucket, key: 'a' }, [['k', 'v']]),
    attributes: (bucket) => store.setAttributes({ bucket, key: 'a' }, { cacheControl: 'no-store' }),
    'a lock': (bucket) =>
      store.setLock({ bucket, key: 'a' }, { legalHold: true }, { bypassGovernance: false }),
    'an append': (bucket) =>
      store.append({ bucket, key: 'a', body: bodyOf(Buffer.from('+')), attributes: {} }),
    'an upload': async (bucket) => {
      const at = { bucket, key: 'a' }
      const { uploadId } = await store.createUpload({ ...at, attributes: {} })
      const { etag } = await store.putPart({ ...at, uploadId, number: 1, body: bodyOf(Buffer.from('part')) })
      return await store.completeUpload({ ...at, uploadId, parts: [{ number: 1, etag }] })
    },
    'versions from now on': (bucket) => store.changeBucket(bucket, { versioning: 'enabled' }),
    'a delete marker, and its removal': async (bucket) => {
      const versioned = await store.changeBucket(bucket, { versioning: 'enabled' })
      const { versionId } = await store.delete({ bucket: versioned, key: 'a' })
      same(versioned)
      await store.delete({ bucket: versioned, key: 'a', versionId: versionId! })
    },
    'the removal of the latest version': async (bucket) => {
      const versioned = await store.changeBucket(bucket, { versioning: 'enabled' })
      const { versionId } = await put(versioned, 'a', 'after')
      same(versioned)
      await store.delete({ bucket: versioned, key: 'a', versionId })
    },
    'a directory with another name': (bucket) => store.rename(bucket, 'd', 'moved'),
    'a directory in the place of another': async (bucket) => {
      await store.removeDirectory(bucket, 'e', { recursive: true })
      await store.rename(bucket, 'd', 'e')
    },
    'a file with another name': (bucket) => store.rename(bucket, 'a', 'none'),
    'the removal of a directory': (bucket) => store.removeDirectory(bucket, 'd', { recursive: true }),
    'a refused put': (bucket) =>
      assert.rejects(put(bucket, 'a', 'after', { conditions: { ifNoneMatch: '*' } })),
    'the removal of the bucket': async (bucket) => {
      await store.deleteMany(KEYS.map((key) => ({ bucket, key })))
      await store.deleteBucket(bucket)
    },
  }

  function same(bucket: Bucket): void {
    for (const key of KEYS) assert.deepEqual(answer(names, bucket, key), answer(plain, bucket, key), key)
  }

  for (const [what, change] of Object.entries(CHANGES)) {
    test(`sees ${what}`, async () => {
      const objectLock = what === 'a lock'
      const bucket = await store.createBucket({ name: `memory-${++count}`, owner: 'root', objectLock })
      for (const key of KEYS.slice(0, -1)) await put(bucket, key)
      same(bucket)
      const before = looks()
      same(bucket)
      assert.equal(looks() - before, 1, 'only what is not there was looked for again')
      await change(bucket)
      same(bucket)
      same(bucket)
    })
  }

  test('knows when the time of a file is over', async () => {
    const bucket = await store.createBucket({ name: `memory-${++count}`, owner: 'root' })
    await put(bucket, 'a', 'text', { attributes: { posix: { ttlSeconds: 3_600 } } })
    assert.notEqual(answer(names, bucket, 'a'), 'not_found')
    kit.clock.ms += HOUR_MS + 1_000
    assert.equal(answer(names, bucket, 'a'), 'not_found')
  })

  test('two buckets with the same keys are two', async () => {
    const [one, other] = [
      await store.createBucket({ name: `memory-${++count}`, owner: 'root' }),
      await store.createBucket({ name: `memory-${++count}`, owner: 'root' }),
    ]
    await put(one, 'a', 'one')
    await put(other, 'a', 'the other')
    for (let round = 0; round < 3; round++) for (const bucket of [one, other]) same(bucket)
  })

  test('nobody can change what is remembered', async () => {
    const bucket = await store.createBucket({ name: `memory-${++count}`, owner: 'root' })
    await put(bucket, 'a')
    const { info } = await names.find(bucket, 'a')
    assert.throws(() => {
      info.etag = 'another'
    }, TypeError)
    assert.throws(() => {
      info.attributes.contentType = 'another'
    }, TypeError)
  })
})

test('memory has an end, and what is asked for stays', () => {
  const changes = new KeyChanges(new SharedArrayBuffer(KEY_CHANGES_BYTES))
  const memory = new NameMemory(changes, 100_000)
  const content = { blobs: undefined, contentId: undefined, sizeBytes: 0, encryption: undefined }
  const remember = (key: string) => {
    const info = { key, attributes: {} } as ObjectInfo
    const seen = memory.see(1, Buffer.from(key))!
    memory.put(1, { info, content, isVersioned: false }, { seen, rowBytes: key.length })
  }
  remember('wanted')
  for (let i = 0; i < 1_000; i++) {
    remember(`${i}`)
    assert.ok(memory.get(1, 'wanted'))
  }
  const left = Array.from({ length: 1_000 }, (_, i) => memory.get(1, `${i}`)).filter(Boolean)
  assert.ok(left.length > 50 && left.length < 112, `${left.length} are left`)
})

test('numbers are odd while a key changes', () => {
  const shared = new SharedArrayBuffer(KEY_CHANGES_BYTES)
  const [writer, reader] = [new KeyChanges(shared), new KeyChanges(shared)]
  const key = Buffer.from('key')
  const seen = reader.see(7, key)!
  assert.ok(reader.isCurrent(seen))
  writer.begin(7, key)
  writer.begin(7, key)
  assert.equal(reader.see(7, key), undefined)
  assert.ok(!reader.isCurrent(seen))
  writer.end()
  assert.ok(!reader.isCurrent(seen))
  const again = reader.see(7, key)!
  assert.ok(reader.isCurrent(again))
  writer.begin(8)
  assert.ok(reader.isCurrent(again))
  writer.begin(7)
  assert.ok(!reader.isCurrent(again))
  writer.end()
})

test('a key is being changed from the statement that does it to the end of the transaction', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-memory-'))
  const meta = await openMetaStore(directory, { clock: systemClock, random })
  try {
    await createRaceBucket(meta)
    await putNumber(meta, 1, 0)
    const changes = meta.keyChanges!
    const see = () => changes.see(RACE_BUCKET, Buffer.from(keyOf(1)))
    const seen = see()!
    const within: boolean[] = []
    const watched = <A, R>(script: Script<A, R>): Script<A, R> => ({
      name: script.name,
      *steps(args) {
        const result = yield* script.steps(args)
        within.push(see() === undefined, changes.isCurrent(seen))
        return result
      },
    })
    await meta.write(watched(putObject), numbered(1, 1))
    assert.deepEqual(within, [true, false])
    assert.ok(see(), 'not any more')
    assert.ok(!changes.isCurrent(seen))
    const failing = watched({ ...putObject, steps: putAndFail })
    await assert.rejects(meta.write(failing, numbered(1, 2)), { code: 'conflict' })
    assert.ok(see(), 'nor when it fails')
  } finally {
    await meta.close()
    rmSync(directory, { recursive: true, force: true })
  }
})

function* putAndFail(args: PutVersion): Steps<never> {
  yield* putObject.steps(args)
  throw new StoreError('conflict', 'on purpose')
}

/** Several threads, one of which writes: none is told less than any was told before. */
test('threads never go back to what was', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-memory-'))
  const keyChanges = new SharedArrayBuffer(KEY_CHANGES_BYTES)
  /** Of each key, and whether to stop. */
  const told = new Int32Array(new SharedArrayBuffer((RACE_KEYS + 1) * Int32Array.BYTES_PER_ELEMENT))
  const workers: Worker[] = []
  const exits: Promise<unknown>[] = []
  const start = (name: string, workerData: object, transferList: MessagePort[]) => {
    const worker = new Worker(new URL(`./name-race-${name}.ts`, import.meta.url), {
      workerData,
      transferList,
    })
    workers.push(worker)
    exits.push(once(worker, 'exit'))
    return worker
  }
  const channels = Array.from({ length: 3 }, () => new MessageChannel())
  const ports = channels.map(({ port1 }) => port1)
  const [own, ...others] = channels.map(({ port2 }) => port2)
  const writer = start('writer', { directory, ports, keyChanges }, ports)
  await once(writer, 'message')
  const meta = openMetaClient(directory, own!, { clock: systemClock, keyChanges })
  try {
    await createRaceBucket(meta)
    for (let key = 0; key < RACE_KEYS; key++) await putNumber(meta, key, 0)
    const readers = others.map((port) => start('reader', { directory, port, keyChanges, told }, [port]))
    await Promise.all(readers.map((reader) => once(reader, 'message')))
    const reports = readers.map(async (reader) => (await once(reader, 'message'))[0] as RaceReport)
    const lane = async (key: number) => {
      for (let number = 1; number <= PUTS_EACH; number++) {
        await putNumber(meta, key, number)
        raiseTo(told, key, number)
      }
    }
    await Promise.all(Array.from({ length: RACE_KEYS }, (_, key) => lane(key)))
    Atomics.store(told, RACE_KEYS, 1)
    for (const { faults, looks, finds } of await Promise.all(reports)) {
      assert.deepEqual(faults, [])
      assert.ok(looks < finds, `${finds} finds, ${looks} of them in the metadata`)
    }
    await meta.close()
    writer.postMessage('close')
    await Promise.all(exits)
  } finally {
    for (const worker of workers) await worker.terminate()
    rmSync(directory, { recursive: true, force: true })
  }
})
