/** Files of shards that nobody names are removed when they are old; those that are named and missing are told. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ShardFileSweep } from '../../src/blobs/shard-file-sweep.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { type Domain, startErasure } from '../erasure/erasure-kit.ts'

test('a sweep removes what was deleted, and nothing else', async () => {
  const kit = await startErasure(() => true, 'rs-4-2', { files: true })
  const told: number[] = []
  const sweep = ({ store, path }: Domain, ageMsMin?: number) => {
    const parts = { disk: realDisk, clock: systemClock, random: systemRandom, log: silentLog, ageMsMin }
    writeFileSync(join(path, 'temp', '0123456789abcdef'), 'begun, and never ended')
    return new ShardFileSweep({
      ...{ ...parts, volumes: store.volumes },
      onMissing: (_, { keyLow }) => void told.push(keyLow),
    }).run()
  }
  try {
    const write = (text: string) =>
      kit.blobs.write({ data: Buffer.from(text), collection: 'c', redundancy: 'rs-4-2' })
    const [twice, again, kept] = [await write('twice'), await write('twice'), await write('kept')]
    const [domain] = kit.domains as [Domain]
    const files = join(domain.path, 'objects')
    writeFileSync(join(files, 'notes.txt'), 'of somebody else')
    mkdirSync(join(files, 'folder'))
    const names = () => readdirSync(files).filter((name) => name.includes('='))

    assert.deepEqual(await sweep(domain, 0), { removed: 0, missing: 0 })
    assert.deepEqual(readdirSync(join(domain.path, 'temp')), [])
    await kit.blobs.remove([twice])
    assert.deepEqual(await sweep(domain, 0), { removed: 0, missing: 0 }, 'another blob has the same bytes')
    assert.equal((await kit.blobs.read(again)).toString(), 'twice')
    await kit.blobs.remove([again])
    assert.deepEqual(await sweep(domain), { removed: 0, missing: 0 }, 'it is young')
    assert.equal(names().length, 2)
    assert.deepEqual(await sweep(domain, 0), { removed: 1, missing: 0 })
    assert.equal(names().length, 1)
    assert.equal((await kit.blobs.read(kept)).toString(), 'kept')
    assert.ok(readdirSync(files).includes('notes.txt') && readdirSync(files).includes('folder'))

    rmSync(join(files, names()[0]!))
    assert.deepEqual(await sweep(domain, 0), { removed: 0, missing: 1 })
    assert.deepEqual(told, [kept.keyLow])
  } finally {
    await kit.close()
  }
})
