/** A member that is asked for many keys at once gives others their turn. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BYTES_A_TURN, RECORDS_A_TURN, VolumeMember } from '../../src/blobs/erasure/volume-member.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { randomOf } from '../support/seeds.ts'
import { ShardGroup, type StoredBlob } from './shard-group.ts'

for (const files of [false, true])
  test(`states and data of many keys, ${files ? 'of files' : 'of records'}: turns between some records, and between some bytes`, async () => {
    const group = await ShardGroup.make(randomOf(1), realDisk, { files })
    try {
      const small: StoredBlob[] = []
      for (let i = 0; i < 10 * RECORDS_A_TURN; i++) small.push(await group.put(100))
      const large: StoredBlob[] = []
      for (let i = 0; i < 3; i++) large.push(await group.put(BYTES_A_TURN * 4))
      const member = () => new VolumeMember(group.volume(0), 0)
      assert.ok((await turnsDuring(() => member().states(small))) >= 10)
      assert.ok((await turnsDuring(() => member().data(small))) >= 10)
      const one = member()
      const singly = async () => {
        for (const blob of small) await one.states([blob])
      }
      assert.ok((await turnsDuring(singly)) >= 10)
      assert.ok((await turnsDuring(() => member().data(large))) >= 3)
      if (files) assert.ok((await turnsDuring(() => member().states(large))) >= 3)
    } finally {
      await group.close()
    }
  })

/** How often others of this thread had theirs; a slow disk gives them more. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let [turns, isOver] = [0, false]
  const other = () => {
    if (isOver) return
    turns++
    setImmediate(other)
  }
  setImmediate(other)
  await work()
  isOver = true
  return turns
}
