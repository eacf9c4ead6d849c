/** A transaction of which nobody knows whether it happened: the bytes that it may have named stay. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { type ErrorCode, StoreError } from '../../src/base/errors.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import type { Bucket, UploadInfo } from '../../src/objects/object-store.ts'
import { bodyOf, bytesOf, type ContentKit, startContent } from './content-kit.ts'

/** While it is set, transactions are committed, and their answers are lost. */
let lost: ErrorCode | undefined
afterEach(() => {
  lost = undefined
})

const losingAnswers = (meta: MetaStore): MetaStore => ({
  capabilities: meta.capabilities,
  keyChanges: meta.keyChanges,
  async write(script, args, unsynced) {
    const result = await meta.write(script, args, unsynced)
    // A copy that finds that it needs bytes of its own has named nothing.
    if (lost !== undefined && result !== 'other bytes')
      throw new StoreError(lost, 'whether the transaction was committed is not known')
    return result
  },
  read: (script, args) => meta.read(script, args),
  snapshot: () => meta.snapshot(),
  check: () => meta.check(),
  close: () => meta.close(),
})

const OLD = Buffer.from('old bytes, acknowledged')
const NEW = Buffer.from('new bytes')
const attributes = {}

for (const code of ['timeout', 'io_error'] as const)
  describe(`bytes stay after ${code}`, () => {
    let kit: ContentKit
    let bucket: Bucket
    before(async () => {
      kit = await startContent({ seen: losingAnswers, partBytesMin: 1 })
      bucket = await kit.store.createBucket({ name: 'bucket', owner: 'o' })
    })
    after(() => kit.close())

    async function losing(work: () => Promise<unknown>): Promise<void> {
      lost = code
      await assert.rejects(work, (error) => error instanceof StoreError && error.code === code)
      lost = undefined
      assert.ok(kit.load.mayHaveOrphans, 'the next start searches')
    }

    async function text(key: string): Promise<string> {
      const { info, read } = await kit.store.find(bucket, key)
      return (await bytesOf(read(0, info.sizeBytes))).toString()
    }

    test('of a put', async () => {
      await kit.store.put({ bucket, key: 'put', body: bodyOf(OLD), attributes })
      await losing(() => kit.store.put({ bucket, key: 'put', body: bodyOf(NEW), attributes }))
      assert.equal(await text('put'), 'new bytes')
    })

    test('of an append', async () => {
      await kit.store.put({ bucket, key: 'append', body: bodyOf(OLD), attributes })
      await losing(() => kit.store.append({ bucket, key: 'append', body: bodyOf(NEW), attributes }))
      assert.equal(await text('append'), `${OLD}${NEW}`)
    })

    test('of a copy with bytes of its own', async () => {
      await kit.store.put({ bucket, key: 'source', body: bodyOf(NEW), attributes })
      const source = { bucket, key: 'source' }
      const encryption = { managed: true } as const
      await losing(() => kit.store.copy({ source, bucket, key: 'copy', encryption }))
      assert.equal(await text('copy'), 'new bytes')
    })

    test('of a part', async () => {
      const upload: UploadInfo = await kit.store.createUpload({ bucket, key: 'parts', attributes })
      const { uploadId } = upload
      const part = { bucket, key: 'parts', uploadId, number: 1 }
      await losing(() => kit.store.putPart({ ...part, body: bodyOf(NEW) }))
      const { parts } = await kit.store.listParts(part, { after: 0, limit: 10 })
      await kit.store.completeUpload({ ...part, parts })
      assert.equal(await text('parts'), 'new bytes')
    })
  })

test('bytes of a transaction that was refused go at once', async () => {
  const kit = await startContent({ seen: losingAnswers })
  try {
    const bucket = await kit.store.createBucket({ name: 'bucket', owner: 'o' })
    await kit.store.put({ bucket, key: 'a', body: bodyOf(OLD), attributes })
    const put = { bucket, key: 'a', body: bodyOf(NEW), attributes, conditions: { ifNoneMatch: '*' as const } }
    await assert.rejects(kit.store.put(put))
    assert.equal(kit.blobs.live.size, 1)
    assert.ok(!kit.load.mayHaveOrphans)
  } finally {
    await kit.close()
  }
})
