/**
 * Random writes, copies, completions, appends and removals of few keys, many at the same time, while the collector removes at once
 * what became garbage. Bytes describe themselves, so that every read can be checked whatever came before it.
 */
import assert from 'node:assert/strict'
import { StoreError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { GarbageCollector } from '../../src/objects/collector.ts'
import type { Bucket } from '../../src/objects/object-store.ts'
import { audit } from './audit.ts'
import { bodyOf, bytesOf, type ContentKit, startContent } from './content-kit.ts'

const HEAD_BYTES = 12
const AT_ONCE = 12
const KEYS = 10

/** Bytes that say how long they are, and follow from their number. */
export function token(number: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + sizeBytes)
  bytes.writeUInt32BE(0xca1723e5, 0)
  bytes.writeUInt32BE(number, 4)
  bytes.writeUInt32BE(sizeBytes, 8)
  seededRandom(number).bytes(sizeBytes).copy(bytes, HEAD_BYTES)
  return bytes
}

export function assertTokens(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    assert.equal(bytes.readUInt32BE(at), 0xca1723e5, `a token begins at ${at} of ${bytes.length}`)
    const expected = token(bytes.readUInt32BE(at + 4), bytes.readUInt32BE(at + 8))
    assert.ok(bytes.subarray(at, at + expected.length).equals(expected), `the token at ${at}`)
    at += expected.length
  }
}

/** What the races may lead to; anything else is a fault. */
const EXPECTED =
  /^(not_found|upload_not_found|invalid_part|conflict|version_not_found|method_not_allowed|precondition_failed)$/

export async function raceWithCollector(options: {
  races: number
  seed: number
  url?: string
  onProgress?: (done: number) => void
}): Promise<void> {
  const { races, seed, url } = options
  const random = seededRandom(seed)
  const kit = await startContent({ partBytesMin: 1, ...(url === undefined ? {} : { url }) })
  const { meta, blobs, clock } = kit
  const collector = new GarbageCollector({ meta, blobs, clock, log: silentLog })
  try {
    const buckets = [
      await kit.store.createBucket({ name: 'plain', owner: 'o' }),
      await kit.store.createBucket({ name: 'dedupe', owner: 'o', configs: { dedupe: '{}' } }),
      await kit.store.changeBucket(await kit.store.createBucket({ name: 'versions', owner: 'o' }), {
        versioning: 'enabled',
      }),
    ]
    const racer = new Racer(kit, buckets, random)
    let [begun, done] = [0, 0]
    const lane = async () => {
      while (begun < races) {
        begun++
        await racer.step()
        if (++done % 1000 === 0) options.onProgress?.(done)
        // All garbage is due at once; readers have had their time in the same step.
        if (done % 50 === 0) clock.aheadMs += 60_000
        if (done % 20 === 0) await collector.collect()
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    assert.deepEqual((await audit(kit)).problems, [], `seed ${seed}`)
    await racer.readAll()
    await collectAll(kit, collector)
    const { problems, named, garbage } = await audit(kit)
    assert.deepEqual(problems, [])
    assert.equal(garbage, 0)
    assert.equal(blobs.live.size, named)
    await racer.removeAll()
    await collectAll(kit, collector)
    const after = await audit(kit)
    assert.deepEqual(after, { problems: [], named: 0, garbage: 0, contents: 0 })
    assert.equal(blobs.live.size, 0)
    assert.equal(collector.counts.postponed, 0)
  } finally {
    await kit.close()
  }
}

/** Contents free other contents, each a while later. */
export async function collectAll(kit: ContentKit, collector: GarbageCollector): Promise<void> {
  while ((await collector.waiting()) > 0) {
    kit.clock.aheadMs += 61_000
    await collector.collect()
  }
}

class Racer {
  readonly #kit: ContentKit
  readonly #buckets: Bucket[]
  readonly #random: ReturnType<typeof seededRandom>
  #tokens = 0

  constructor(kit: ContentKit, buckets: Bucket[], random: ReturnType<typeof seededRandom>) {
    this.#kit = kit
    this.#buckets = buckets
    this.#random = random
  }

  #body(): Buffer {
    const random = this.#random
    // Few numbers in the bucket that deduplicates, so that there is something to find.
    if (random.below(3) === 0) return token(random.below(5), 500)
    return token(1000 + this.#tokens++, random.below(random.below(10) === 0 ? 200_000 : 3000))
  }

  #at() {
    const bucket = this.#buckets[this.#random.below(this.#buckets.length)]!
    return { bucket, key: `key ${this.#random.below(KEYS)}` }
  }

  async step(): Promise<void> {
    const actions = [
      this.#put,
      this.#put,
      this.#copy,
      this.#copy,
      this.#multipart,
      this.#append,
      this.#remove,
      this.#remove,
      this.#read,
      this.#removeVersion,
    ]
    const action = actions[this.#random.below(actions.length)]!
    try {
      await action.call(this)
    } catch (error) {
      if (!(error instanceof StoreError && EXPECTED.test(error.code))) throw error
    }
  }

  async #put(): Promise<void> {
    await this.#kit.store.put({ ...this.#at(), body: bodyOf(this.#body()), attributes: {} })
  }

  async #copy(): Promise<void> {
    await this.#kit.store.copy({ source: this.#at(), ...this.#at() })
  }

  async #append(): Promise<void> {
    await this.#kit.store.append({ ...this.#at(), body: bodyOf(this.#body()), attributes: {} })
  }

  async #remove(): Promise<void> {
    await this.#kit.store.delete(this.#at())
  }

  async #removeVersion(): Promise<void> {
    const { bucket, key } = this.#at()
    const { versions } = await this.#kit.store.listVersions({ bucket, prefix: key, limit: 20 })
    const one = versions[this.#random.below(Math.max(1, versions.length))]
    if (one !== undefined) await this.#kit.store.delete({ bucket, key: one.key, versionId: one.versionId })
  }

  async #read(): Promise<void> {
    const { bucket, key } = this.#at()
    const found = await this.#kit.store.find(bucket, key)
    assertTokens(await bytesOf(found.read(0, found.info.sizeBytes)))
  }

  async #multipart(): Promise<void> {
    const { store } = this.#kit
    const at = this.#at()
    const { uploadId } = await store.createUpload({ ...at, attributes: {} })
    const upload = { ...at, uploadId }
    const parts = []
    for (let number = 1; number <= 1 + this.#random.below(4); number++) {
      try {
        parts.push(
          this.#random.below(2) === 0
            ? await store.putPart({ ...upload, number, body: bodyOf(this.#body()) })
            : await store.copyPart({ ...upload, number, source: this.#at() }),
        )
      } catch (error) {
        if (!(error instanceof StoreError && EXPECTED.test(error.code))) throw error
      }
    }
    const rivals: Promise<unknown>[] = []
    const choice = this.#random.below(6)
    if (parts.length === 0 || choice === 0) rivals.push(store.abortUpload(upload))
    else rivals.push(store.completeUpload({ ...upload, parts }))
    if (choice <= 1) rivals.push(store.abortUpload(upload))
    if (choice === 2 && parts.length > 1)
      rivals.push(store.completeUpload({ ...upload, parts: parts.slice(0, 1) }))
    if (choice === 3) rivals.push(store.putPart({ ...upload, number: 1, body: bodyOf(this.#body()) }))
    for (const outcome of await Promise.allSettled(rivals))
      if (outcome.status === 'rejected') assert.match(outcome.reason.code, EXPECTED)
    // A rival may have put a part behind a completion that was refused.
    await store.abortUpload(upload).catch(() => {})
  }

  async readAll(): Promise<void> {
    for (const bucket of this.#buckets) {
      const { objects } = await this.#kit.store.list({ bucket, limit: 1000 })
      for (const { key } of objects) {
        const found = await this.#kit.store.find(bucket, key)
        assertTokens(await bytesOf(found.read(0, found.info.sizeBytes)))
      }
    }
  }

  async removeAll(): Promise<void> {
    for (const bucket of this.#buckets) {
      for (;;) {
        const { versions } = await this.#kit.store.listVersions({ bucket, limit: 1000 })
        if (versions.length === 0) break
        for (const { key, versionId } of versions) await this.#kit.store.delete({ bucket, key, versionId })
      }
    }
  }
}
