/** Safety copies of metadata in real volumes: found again by nothing but the volumes, removed, and rebuilt from. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { META_PIECE_BYTES } from '../../src/base/limits.ts'
import { seededRandom, systemRandom } from '../../src/base/random.ts'
import type { BlobStore } from '../../src/blobs/blob-store.ts'
import type { NewJournalEntry } from '../../src/meta/journal-sink.ts'
import { openMetaClient, openMetaStore, openMetaWriter } from '../../src/meta/open-meta-store.ts'
import { rebuildFromJournal } from '../../src/meta/rebuild.ts'
import { BlobJournal } from '../../src/objects/meta-journal.ts'
import { type BlobStoreKit, startBlobStore } from '../blob-store/blob-store-kit.ts'
import { ITEMS, type Item, listItems, putItem, TEST_SCRIPTS } from '../support/meta-scripts.ts'

/** The collection of the kit's volumes. */
const collection = '_objects'
const random = systemRandom
const clock = systemClock
const databaseId = '00112233445566778899aabbccddeeff'
const entryOf = (kind: NewJournalEntry['kind'], sequence: number): NewJournalEntry => ({
  kind,
  sequence,
  databaseId,
  madeMs: 1_700_000_000_000 + sequence,
})

async function* piecesOf(...pieces: Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces
}

async function* failing(piece: Buffer): AsyncGenerator<Buffer> {
  yield piece
  throw new StoreError('io_error', 'it breaks off')
}

async function readAll(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

const names = (entries: { kind: string; sequence: number; bytes: number }[]) =>
  entries.map(({ kind, sequence, bytes }) => `${kind} ${sequence} ${bytes}`).sort()

describe('the journal of metadata in volumes', () => {
  let kit: BlobStoreKit
  let blobs: BlobStore
  beforeEach(async () => {
    kit = await startBlobStore({ isLocal: true, volumeIds: [1, 2, 3], leaseCount: 4 })
    blobs = kit.blobs
  })
  afterEach(() => kit.close())

  test('entries of any length are listed by whoever comes, and come back as they were', async () => {
    const journal = new BlobJournal({ blobs, random, collection })
    const bytes = seededRandom(1).bytes(3 * META_PIECE_BYTES + 12_345)
    const cut = piecesOf(bytes.subarray(0, 10), bytes.subarray(10, 2_500_000), bytes.subarray(2_500_000))
    assert.equal(await journal.append(entryOf('snapshot', 7), cut), bytes.length)
    await journal.append(entryOf('changes', 8), piecesOf(Buffer.from('eight')))
    await journal.append(entryOf('changes', 9), piecesOf())
    await blobs.write({ data: Buffer.alloc(100, 'other'), collection })
    await assert.rejects(journal.append(entryOf('changes', 10), failing(bytes)), /it breaks off/)
    const expected = [`changes 8 5`, 'changes 9 0', `snapshot 7 ${bytes.length}`]
    const another = new BlobJournal({ blobs, random, collection })
    for (const each of [journal, another]) {
      const entries = await each.list()
      assert.deepEqual(names(entries), expected)
      const snapshot = entries.find(({ kind }) => kind === 'snapshot')!
      const { id, bytes: length, ...rest } = snapshot
      assert.deepEqual(rest, entryOf('snapshot', 7))
      assert.deepEqual(await readAll(each.read(snapshot)), bytes)
      assert.equal(id.length, 16)
      assert.equal(length, bytes.length)
    }
    const [known] = await another.list()
    const stranger = new BlobJournal({ blobs, random, collection })
    await assert.rejects(readAll(stranger.read(known!)), { code: 'not_found' })
  })

  test('what a snapshot replaces is removed, broken entries too; what another database has is not', async () => {
    const journal = new BlobJournal({ blobs, random, collection })
    for (let sequence = 1; sequence <= 6; sequence++)
      await journal.append(entryOf('changes', sequence), piecesOf(Buffer.from('changes')))
    await journal.append(entryOf('snapshot', 0), piecesOf(Buffer.from('first')))
    await journal.append(entryOf('snapshot', 4), piecesOf(Buffer.from('second')))
    const other = { ...entryOf('changes', 1), databaseId: databaseId.replace('00', 'aa') }
    await journal.append(other, piecesOf(Buffer.from('other')))
    await assert.rejects(journal.append(entryOf('snapshot', 4), failing(Buffer.alloc(3 * META_PIECE_BYTES))))
    const later = new BlobJournal({ blobs, random, collection })
    await later.list()
    await later.removeBefore(databaseId, 4)
    const left = ['changes 1 5', 'changes 5 7', 'changes 6 7', 'snapshot 4 6']
    assert.deepEqual(names(await later.list()), left)
    let blobsLeft = 0
    for (const { volumeId } of await blobs.volumes())
      for await (const batch of blobs.list(volumeId, 0)) blobsLeft += batch.length
    assert.equal(blobsLeft, left.length)
  })

  test('metadata is rebuilt from the volumes', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cairn-rebuild-'))
    const { port1, port2 } = new MessageChannel()
    const parts = { clock, random, migrations: [ITEMS] }
    const writer = openMetaWriter(directory, { ...parts, scripts: TEST_SCRIPTS, journal: true })
    writer.serve(port1)
    const store = openMetaClient(directory, port2, parts)
    const source = seededRandom(2)
    const items = Array.from({ length: 400 }, (_, i): Item => {
      const data = source.bytes(source.below(9_000))
      return { key: Buffer.from(`k${1000 + i}`), n: i, label: 'ä', data }
    })
    const put = (some: Item[]) => Promise.all(some.map((item) => store.write(putItem, item)))
    await put(items.slice(0, 300))
    await writer.ship(new BlobJournal({ blobs, random, collection }))
    await put(items.slice(300))
    await store.close()
    await writer.close()
    const target = join(directory, 'rebuilt.sqlite')
    const report = await rebuildFromJournal(new BlobJournal({ blobs, random, collection }), target, parts)
    assert.equal(report.stopped, undefined)
    const rebuilt = await openMetaStore(target, parts)
    assert.deepEqual(await rebuilt.read(listItems, null), items)
    await rebuilt.close()
    rmSync(directory, { recursive: true, force: true })
  })
})
