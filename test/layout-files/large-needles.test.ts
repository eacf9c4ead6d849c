/** Needles above 1 MiB in a volume of shards as files: what looks at them keeps no file open. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { PLAIN_VOLUME_IDS_END } from '../../src/base/erasure-id.ts'
import { VolumeMember } from '../../src/blobs/erasure/volume-member.ts'
import { ShardFilesVolume, VOLUMES_BESIDE_FILES } from '../../src/blobs/shard-files.ts'
import { WORD } from '../../src/disk/volume-table.ts'
import { shardFilesStore } from '../erasure/shard-files-store.ts'
import { fidOf, MIB } from '../support/needles.ts'
import { temporaryDirectory } from '../support/real-store.ts'

test('asking for the reference and the state of a large needle', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  mkdirSync(join(path, VOLUMES_BESIDE_FILES))
  const store = shardFilesStore(path)
  const id = PLAIN_VOLUME_IDS_END
  await store.create(id)
  await store.write(id, 1, 1, MIB + 16)
  const volume = store.volume(id)
  assert.ok(volume instanceof ShardFilesVolume)
  const pins = () => volume.slot.get(WORD.pins0) + volume.slot.get(WORD.pins1)
  assert.equal(await volume.reference(fidOf(1, id)), undefined)
  assert.equal(pins(), 0)
  const { states } = await new VolumeMember(volume, 0).states([{ keyHigh: 0, keyLow: 1 }])
  assert.equal(states[0]?.kind, 'live')
  assert.equal(pins(), 0)
  await store.close()
})
