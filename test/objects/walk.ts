/** A random walk of the object store beside its model: every answer and every refusal is compared. */
import assert from 'node:assert/strict'
import { StoreError } from '../../src/base/errors.ts'
import type { Random } from '../../src/base/random.ts'
import type {
  Bucket,
  Conditions,
  ObjectAttributes,
  ObjectInfo,
  ObjectLock,
  ObjectStore,
  Tag,
} from '../../src/objects/object-store.ts'
import { checkInvariants } from './invariants.ts'
import { checkConditions, etagOf, ModelBucket, type ModelVersion, plainLock, Refusal } from './model.ts'
import { bodyOf, type ObjectsKit, wholeOf } from './objects-kit.ts'

const KEYS = [
  ...[
    'a',
    'a/',
    'a/b',
    'a/b/',
    'a/b/c',
    'a//b',
    'a/bb',
    'a0',
    'a-',
    'ab',
    'abc',
    'b',
    'b/1',
    'b/2',
    'b/3/4',
    '/',
    '//',
  ],
  ...[
    '/a',
    '__proto__',
    'constructor',
    '\u0000',
    ' ',
    'é',
    'é/à',
    '日本/東京',
    '日本/大阪',
    '日',
    '\u{1f600}',
    '\u{10ffff}',
  ],
  ...['a\u{10ffff}', '\uffff', 'x--y', 'x--', 'x--z--y', 'x-y', 'z'.repeat(1024)],
]
const PREFIXES = [
  '',
  '',
  '',
  'a',
  'a/',
  'a/b',
  'a/b/',
  'b/',
  '/',
  'x',
  'x--',
  'é',
  '日',
  '日本/',
  'none',
  '\u{10ffff}',
]
const DELIMITERS = ['', '', '/', '/', '/', '--', 'b', '//', '本', '\u{1f600}']
const HOUR_MS = 3_600_000
/** A bucket with so many versions loses most of them, so that a late step takes no longer than an early one. */
const VERSIONS_MAX = 600
const VERSIONS_KEPT = 100
const STEPS_PER_COUNT = 500

interface Place {
  bucket: Bucket
  model: ModelBucket
}

export class ObjectsWalk {
  readonly #kit: ObjectsKit
  readonly #random: Random
  readonly #places: Place[] = []
  #count = 0

  private constructor(kit: ObjectsKit, random: Random) {
    this.#kit = kit
    this.#random = random
  }

  /** `steps` of them, in fresh buckets of `kit`; `onProgress` is told now and then how many are done. */
  static async run(
    kit: ObjectsKit,
    random: Random,
    steps: number,
    onProgress: (done: number) => void = () => {},
  ): Promise<void> {
    const walk = new ObjectsWalk(kit, random)
    for (const objectLock of [false, false, true]) {
      const name = `walk-${random.u32()}-${walk.#places.length}`
      const bucket = await kit.store.createBucket({ name, owner: 'owner', objectLock })
      const model = new ModelBucket()
      if (objectLock) [model.objectLock, model.versioning] = [true, 'enabled']
      walk.#places.push({ bucket, model })
    }
    for (let step = 0; step < steps; step++) {
      try {
        await walk.#step()
        if (step % STEPS_PER_COUNT !== STEPS_PER_COUNT - 1) continue
        for (const place of walk.#places) await walk.#thin(place)
        onProgress(step + 1)
      } catch (error) {
        throw new Error(`step ${step}: ${String(error)}`, { cause: error })
      }
    }
    for (const place of walk.#places) await walk.#compareAll(place)
    await checkInvariants(kit.meta)
  }

  get #store(): ObjectStore {
    return this.#kit.store
  }

  async #step(): Promise<void> {
    const place = this.#pick(this.#places)
    const roll = this.#random.below(100)
    if (this.#random.below(3) === 0) this.#turnClock()
    if (roll < 18) return await this.#put(place)
    if (roll < 23) return await this.#upload(place)
    if (roll < 28) return await this.#append(place)
    if (roll < 40) return await this.#find(place)
    if (roll < 50) return await this.#delete(place)
    if (roll < 60) return await this.#deleteVersion(place)
    if (roll < 70) return await this.#copy(place)
    if (roll < 75) return await this.#setTags(place)
    if (roll < 79) return await this.#setAttributes(place)
    if (roll < 85) return await this.#setLock(place)
    if (roll < 93) return await this.#list(place)
    if (roll < 97) return await this.#listVersions(place)
    return await this.#changeBucket(place)
  }

  #turnClock(): void {
    // Mostly on, at times back, now and then far enough for retentions to end.
    const turns = [1, 1000, 1000, 60_000, -5000, HOUR_MS]
    this.#kit.clock.ms += this.#pick(turns)
  }

  // Steps

  async #put({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const bytes = this.#bytes()
    const attributes = this.#attributes()
    const tags = this.#tags()
    const lock = this.#random.below(6) === 0 ? this.#lock() : {}
    const conditions = this.#conditions(model, key)
    const modifiedMs = this.#kit.clock.ms
    await this.#same(
      () => model.put(key, { bytes, attributes, tags, lock: plainLock(lock), conditions, modifiedMs }),
      async () =>
        await this.#store.put({ bucket, key, body: bodyOf(bytes), attributes, tags, lock, conditions }),
      (commit, result) => {
        this.#isFitting(model, key, result.versionId)
        assert.equal(result.etag, etagOf(bytes))
        assert.equal(result.isVersioned, model.versioning === 'enabled')
        commit(result.versionId)
      },
    )
  }

  /** In one to three parts. What the source had, as attributes, is not looked at. */
  async #upload({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const attributes = this.#attributes()
    const tags = this.#tags()
    const { uploadId } = await this.#store.createUpload({ bucket, key, attributes, tags })
    const conditions = this.#conditions(model, key)
    const modifiedMs = this.#kit.clock.ms
    const pieces = this.#pick([1, 2, 3]) === 1 ? [this.#bytes()] : [this.#bytes(), this.#bytes()]
    const parts = pieces.map((piece, at) => ({ number: at + 1, etag: etagOf(piece) }))
    const bytes = Buffer.concat(pieces)
    const { quotaBytes } = model
    if (quotaBytes > 0) return await this.#store.abortUpload({ bucket, key, uploadId })
    for (const [at, piece] of pieces.entries())
      await this.#store.putPart({ bucket, key, uploadId, number: at + 1, body: bodyOf(piece) })
    await this.#same(
      () => model.put(key, { bytes, attributes, tags, lock: {}, conditions, modifiedMs }),
      async () => await this.#store.completeUpload({ bucket, key, uploadId, parts, conditions }),
      (commit, result) => {
        this.#isFitting(model, key, result.versionId)
        const md5s = Buffer.concat(pieces.map((piece) => Buffer.from(etagOf(piece), 'hex')))
        assert.equal(result.etag, `${etagOf(md5s)}-${pieces.length}`)
        commit(result.versionId, result.etag)
      },
    )
    // A refused upload is still there.
    await this.#store.abortUpload({ bucket, key, uploadId }).catch(() => {})
  }

  async #append({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const added = this.#bytes()
    const conditions = this.#conditions(model, key)
    const modifiedMs = this.#kit.clock.ms
    const attributes = this.#attributes()
    await this.#same(
      () => {
        if (model.versioning !== 'off') throw new Refusal('conflict')
        const present = model.latest(key)
        const bytes = Buffer.concat([present?.bytes ?? Buffer.alloc(0), added])
        const kept = { attributes: present?.attributes ?? attributes, tags: present?.tags ?? [] }
        return model.put(key, { ...kept, bytes, lock: {}, conditions, modifiedMs })
      },
      async () => await this.#store.append({ bucket, key, body: bodyOf(added), attributes, conditions }),
      (commit, result) => commit(result.versionId, result.etag),
    )
  }

  async #find({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const versionId = this.#versionId(model, key)
    await this.#same(
      () => model.find(key, versionId),
      async () => await this.#store.find(bucket, key, { versionId }),
      async (expected, found) => {
        compareInfo(found.info, expected, model)
        if (expected.isDeleteMarker) return
        const bytes = await found.read(0, found.info.sizeBytes)
        assert.ok(
          Buffer.isBuffer(bytes) && bytes.equals(expected.bytes),
          'the bytes are those of the version',
        )
      },
    )
  }

  async #delete({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const conditions = this.#conditions(model, key)
    const wasThere = model.latest(key) !== undefined
    const nowMs = this.#kit.clock.ms
    await this.#same(
      () => model.delete(key, { conditions, nowMs }),
      async () => await this.#store.delete({ bucket, key, conditions }),
      (commit, result) => {
        const isMarked = model.versioning !== 'off' && (wasThere || conditions === undefined)
        assert.equal(result.isDeleteMarker, isMarked)
        if (!isMarked) assert.equal(result.versionId, wasThere ? 'null' : undefined)
        else this.#isFitting(model, key, result.versionId!)
        commit(result.versionId)
      },
    )
  }

  async #deleteVersion({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const versionId = this.#versionId(model, key) ?? 'null'
    const conditions = this.#random.below(4) === 0 ? this.#conditions(model, key) : undefined
    const bypass = this.#random.below(2) === 0
    const nowMs = this.#kit.clock.ms
    await this.#same(
      () => model.deleteVersion(key, versionId, { conditions, bypass, nowMs }),
      async () => await this.#store.delete({ bucket, key, versionId, conditions, bypassGovernance: bypass }),
      (removed, result) => {
        assert.deepEqual(result, { versionId, isDeleteMarker: removed.isDeleteMarker })
      },
    )
  }

  /** Versions go one by one, at random, as far as locks allow. */
  async #thin({ bucket, model }: Place): Promise<void> {
    const all = KEYS.flatMap((key) => model.versionsOf(key))
    if (all.length <= VERSIONS_MAX) return
    const how = { bypass: true, nowMs: this.#kit.clock.ms }
    for (let left = all.length - VERSIONS_KEPT; left > 0; left--) {
      const [{ key, versionId } = assert.fail()] = all.splice(this.#random.below(all.length), 1)
      await this.#same(
        () => model.deleteVersion(key, versionId, how),
        async () => await this.#store.delete({ bucket, key, versionId, bypassGovernance: true }),
        () => {},
      )
    }
  }

  async #copy(to: Place): Promise<void> {
    const from = this.#random.below(2) === 0 ? to : this.#pick(this.#places)
    const key = this.#pick(KEYS)
    const sourceKey = this.#random.below(4) === 0 ? key : this.#pick(KEYS)
    const versionId = this.#random.below(2) === 0 ? undefined : this.#versionId(from.model, sourceKey)
    const attributes = this.#random.below(2) === 0 ? undefined : this.#attributes()
    const tags = this.#random.below(2) === 0 ? undefined : this.#tags()
    const sourceConditions = this.#random.below(4) === 0 ? this.#conditions(from.model, sourceKey) : undefined
    const conditions = this.#random.below(4) === 0 ? this.#conditions(to.model, key) : undefined
    const modifiedMs = this.#kit.clock.ms
    await this.#same(
      () => {
        const source = from.model.find(sourceKey, versionId)
        if (source.isDeleteMarker)
          throw new Refusal(versionId === undefined ? 'not_found' : 'method_not_allowed')
        if (sourceConditions !== undefined) checkConditions(sourceConditions, source)
        const isSame = from === to && key === sourceKey && versionId === undefined
        if (isSame && attributes === undefined && tags === undefined) throw new Refusal('conflict')
        const { bytes } = source
        const made = { bytes, attributes: attributes ?? source.attributes, tags: tags ?? source.tags }
        const { etag } = source
        return { commit: to.model.put(key, { ...made, lock: {}, conditions, modifiedMs }), etag }
      },
      async () =>
        await this.#store.copy({
          source: { bucket: from.bucket, key: sourceKey, versionId, conditions: sourceConditions },
          ...{ bucket: to.bucket, key, attributes, tags, conditions },
        }),
      ({ commit, etag }, result) => {
        this.#isFitting(to.model, key, result.versionId)
        assert.equal(result.etag, etag)
        commit(result.versionId, etag)
      },
    )
  }

  async #setTags({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const versionId = this.#versionId(model, key)
    const tags = this.#tags()
    await this.#same(
      () => model.changeable(key, versionId),
      async () => await this.#store.setTags({ bucket, key, versionId }, tags),
      (version, result) => {
        assert.equal(result.versionId, version.versionId)
        version.tags = tags
      },
    )
  }

  async #setAttributes({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const versionId = this.#versionId(model, key)
    const change = { ...this.#attributes(), cacheControl: undefined }
    await this.#same(
      () => model.changeable(key, versionId),
      async () => await this.#store.setAttributes({ bucket, key, versionId }, change),
      (version) => {
        version.attributes = withoutUndefined({ ...version.attributes, ...change })
      },
    )
  }

  async #setLock({ bucket, model }: Place): Promise<void> {
    const key = this.#pick(KEYS)
    const versionId = this.#versionId(model, key)
    const lock = this.#lock()
    const bypass = this.#random.below(2) === 0
    const nowMs = this.#kit.clock.ms
    await this.#same(
      () => {
        const version = model.changeable(key, versionId)
        model.setLock(version, lock, { bypass, nowMs })
      },
      async () => await this.#store.setLock({ bucket, key, versionId }, lock, { bypassGovernance: bypass }),
      () => {},
    )
  }

  async #list({ bucket, model }: Place): Promise<void> {
    const request = {
      prefix: this.#pick(PREFIXES),
      delimiter: this.#pick(DELIMITERS),
      after: this.#random.below(2) === 0 ? undefined : this.#pick([...KEYS, ...PREFIXES]),
      limit: this.#pick([0, 1, 1, 2, 3, 5, 1000]),
    }
    const expected = model.list(request)
    const found = await this.#store.list({ bucket, ...request })
    const what = JSON.stringify(request)
    assert.deepEqual(
      found.objects.map(({ key }) => key),
      expected.versions.map(({ key }) => key),
      what,
    )
    assert.deepEqual(found.prefixes, expected.prefixes, what)
    assert.equal(found.next, expected.next, what)
    for (const [at, info] of found.objects.entries()) compareInfo(info, expected.versions[at]!, model)
  }

  /** Page by page, with a limit of its own. */
  async #listVersions({ bucket, model }: Place): Promise<void> {
    const prefix = this.#pick(PREFIXES)
    const delimiter = this.#pick(DELIMITERS)
    const expected = model.listVersions(prefix, delimiter)
    const total = expected.versions.length + expected.prefixes.length
    const limit = this.#pick(total > 200 ? [70, 1000] : [1, 2, 3, 7, 1000])
    const versions: ObjectInfo[] = []
    const prefixes: string[] = []
    for (let next: { key: string; versionId: string | undefined } | undefined, pages = 0; ; pages++) {
      assert.ok(pages <= total, 'the listing ends')
      const at = { after: next?.key, afterVersionId: next?.versionId }
      const page = await this.#store.listVersions({ bucket, prefix, delimiter, limit, ...at })
      assert.ok(page.versions.length + page.prefixes.length <= limit)
      versions.push(...page.versions)
      prefixes.push(...page.prefixes)
      next = page.next
      if (next === undefined) break
      assert.equal(page.versions.length + page.prefixes.length, limit)
    }
    assert.deepEqual(prefixes, expected.prefixes)
    assert.equal(versions.length, expected.versions.length)
    for (const [at, info] of versions.entries()) compareInfo(info, expected.versions[at]!, model)
  }

  async #changeBucket(place: Place): Promise<void> {
    const { model } = place
    const versioning = this.#pick(['enabled', 'enabled', 'suspended'] as const)
    // The first bucket never keeps versions.
    const change = place === this.#places[0] ? { quotaBytes: this.#pick([0, 0, 500, 2000]) } : { versioning }
    await this.#same(
      () => {
        if (model.objectLock && versioning === 'suspended') throw new Refusal('conflict')
      },
      async () => await this.#store.changeBucket(place.bucket, change),
      (_, bucket) => {
        place.bucket = bucket
        if (change.versioning !== undefined) model.versioning = change.versioning
        if (change.quotaBytes !== undefined) model.quotaBytes = change.quotaBytes
        assert.equal(bucket.versioning, model.versioning)
      },
    )
    assert.deepEqual(await this.#store.usage(place.bucket), model.usage())
  }

  async #compareAll({ bucket, model }: Place): Promise<void> {
    for (const key of KEYS) {
      for (const version of model.versionsOf(key)) {
        const found = await this.#store.find(bucket, key, { versionId: version.versionId })
        compareInfo(found.info, version, model)
        if (version.isDeleteMarker) continue
        assert.ok((await wholeOf(found)).equals(version.bytes))
      }
    }
    assert.deepEqual(await this.#store.usage(bucket), model.usage())
  }

  // Comparing

  /** The store does what the model does, or refuses as it refuses. */
  async #same<E, R>(
    expect: () => E,
    run: () => Promise<R>,
    compare: (expected: E, result: R) => void | Promise<void>,
  ): Promise<void> {
    let expected: E
    try {
      expected = expect()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const result = await run().then(
        () => 'done',
        (thrown) => (thrown instanceof StoreError ? thrown.code : Promise.reject(thrown)),
      )
      assert.equal(result, error.code)
      return
    }
    await compare(expected, await run())
  }

  /** A version id is new, and `null` where the bucket keeps no versions now. */
  #isFitting(model: ModelBucket, key: string, versionId: string): void {
    if (model.versioning !== 'enabled') return assert.equal(versionId, 'null')
    assert.match(versionId, /^[0-9a-f]{32}$/)
    for (const each of model.versionsOf(key)) assert.notEqual(each.versionId, versionId)
  }

  // Choosing

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.below(from.length)]!
  }

  #versionId(model: ModelBucket, key: string): string | undefined {
    const versions = model.versionsOf(key)
    const roll = this.#random.below(10)
    if (roll < 3) return undefined
    if (roll < 4 || versions.length === 0) return 'null'
    return this.#pick(versions).versionId
  }

  #conditions(model: ModelBucket, key: string): Conditions | undefined {
    const latest = model.latest(key)
    const etags = ['0123', latest?.etag || '4567']
    const roll = this.#random.below(20)
    if (roll === 0) return { ifMatch: '*' }
    if (roll === 1) return { ifNoneMatch: '*' }
    if (roll === 2) return { ifMatch: this.#random.below(2) === 0 ? etags : [etags[1]!] }
    if (roll === 3) return { ifNoneMatch: this.#random.below(2) === 0 ? etags : ['0123'] }
    if (roll === 4) return { ifMatch: ['0123'] }
    if (roll === 5) return { ifUnmodifiedSinceMs: this.#kit.clock.ms - this.#pick([0, 2000, HOUR_MS]) }
    if (roll === 6) return { ifModifiedSinceMs: this.#kit.clock.ms - this.#pick([0, 2000, HOUR_MS]) }
    return undefined
  }

  #bytes(): Buffer {
    return Buffer.from(`${this.#count++}`.repeat(this.#pick([1, 1, 3, 20])))
  }

  #tags(): readonly Tag[] {
    return this.#random.below(2) === 0
      ? []
      : [
          ['__proto__', `${this.#random.below(100)}`],
          ['ü', ''],
        ]
  }

  #attributes(): ObjectAttributes {
    const userMetadata = [['__proto__', `${this.#random.below(100)}`]] as const
    return this.#pick([{}, { contentType: 'text/plain' }, { cacheControl: 'no-store', userMetadata }])
  }

  #lock(): ObjectLock {
    const untilMs = this.#kit.clock.ms + this.#pick([-1, 1, 10_000, HOUR_MS, 2 * HOUR_MS])
    const mode = this.#pick(['GOVERNANCE', 'GOVERNANCE', 'COMPLIANCE'] as const)
    return this.#pick([{ mode, untilMs }, { mode, untilMs }, { legalHold: true }, { legalHold: false }, {}])
  }
}

function compareInfo(info: ObjectInfo, expected: ModelVersion, model: ModelBucket): void {
  const { bytes, ...same } = expected
  const isLatest = model.latest(expected.key) === expected
  const whole = { ...same, isLatest, sizeBytes: bytes.length }
  // What describes the bytes is the business of other tests.
  const attributes = withoutUndefined({ ...info.attributes, partSizes: undefined, uploadId: undefined })
  assert.deepEqual({ ...info, attributes }, { ...whole, attributes: withoutUndefined(whole.attributes) })
}

function withoutUndefined(attributes: ObjectAttributes): ObjectAttributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}
