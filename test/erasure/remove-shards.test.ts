/** Removal counts only shards that are surely gone. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { deadSectors } from './dead-sectors.ts'
import { startErasure } from './erasure-kit.ts'

const SHARDS = [0, 1, 2, 3, 4, 5]

test('servers that do not have the volumes have removed nothing', async () => {
  const kit = await startErasure(() => false)
  try {
    const data = randomBytes(3_000)
    const id = await kit.blobs.write({ data, collection: 'c', redundancy: 'rs-4-2' })
    const urls = kit.domains.map(({ url }) => url)
    for (const [i, domain] of kit.domains.entries()) domain.url = urls[(i + 1) % 6]!
    await assert.rejects(kit.blobs.remove([id]), { code: 'volume_not_found' })
    for (const [i, domain] of kit.domains.entries()) domain.url = urls[i]!
    assert.ok((await kit.blobs.read(id)).equals(data))
  } finally {
    await kit.close()
  }
})

test('shards on dead sectors of other servers are removed', async () => {
  const dead = deadSectors()
  const kit = await startErasure(() => false, 'rs-4-2', { disk: dead.disk })
  try {
    for (const at of [4, 100]) {
      const id = await kit.blobs.write({ data: randomBytes(3_000), collection: 'c', redundancy: 'rs-4-2' })
      for (const { store, volumeId } of kit.domains) dead.kill(store.volume(volumeId), id, at)
      await assertRemoved(kit, id)
    }
  } finally {
    await kit.close()
  }
})

async function assertRemoved(
  kit: Awaited<ReturnType<typeof startErasure>>,
  id: Awaited<ReturnType<typeof kit.blobs.write>>,
): Promise<void> {
  await kit.blobs.remove([id])
  const isGone = SHARDS.map((index) => {
    const { index: needles } = kit.domains[index]!.store.volume(kit.domains[index]!.volumeId)
    return !needles.get(id.keyHigh, id.keyLow) || needles.deleted
  })
  assert.deepEqual(
    isGone,
    SHARDS.map(() => true),
  )
}
