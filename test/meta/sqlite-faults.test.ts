/** SQLite metadata when its process is killed, its disk is full, its file is damaged, or its thread ends. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { MessageChannel, Worker } from 'node:worker_threads'
import { systemClock } from '../../src/base/clock.ts'
import { StoreError } from '../../src/base/errors.ts'
import { systemRandom } from '../../src/base/random.ts'
import { query, type Script } from '../../src/meta/meta-store.ts'
import { metaFileOf, openMetaClient, openMetaStore } from '../../src/meta/open-meta-store.ts'
import { addOnce, getItem, ITEMS, listItems, putItem } from '../support/meta-scripts.ts'

const parts = { clock: systemClock, random: systemRandom, migrations: [ITEMS] }
const failsWith = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

/** Limits how large the file may become, as a full disk does. */
const limitPages: Script<number, null> = {
  name: 'test.limit-pages',
  *steps(pages) {
    yield query(pages === 0 ? 'pragma max_page_count = 1073741823' : 'pragma max_page_count = 40')
    return null
  },
}

describe('SQLite metadata', () => {
  let directory: string
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'cairn-meta-faults-'))
  })
  after(() => rmSync(directory, { recursive: true, force: true }))
  const place = (name: string) => join(directory, `${name}.sqlite`)

  test('kill -9 of the writing process loses nothing that was acknowledged, and leaves nothing half done', async () => {
    const acknowledged: string[] = []
    for (let round = 0; round < 4; round++) {
      const script = join(import.meta.dirname, '../support/meta-writer-process.ts')
      const child = spawn(process.execPath, [script, place('killed'), `r${round}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exited = once(child, 'exit')
      const enough = acknowledged.length + 300 + 97 * round
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged.push(line)
        if (acknowledged.length >= enough) child.kill('SIGKILL')
      }
      await exited
      const store = await openMetaStore(place('killed'), parts)
      const rows = await store.read(listItems, null)
      await store.close()
      const once_ = rows.filter(({ label }) => label === 'once')
      for (const { n } of once_) assert.equal(n, 1)
      assert.equal(rows.find(({ label }) => label === 'counter')?.n, once_.length)
      const kept = new Set(once_.map(({ key }) => key.toString()))
      assert.deepEqual(
        acknowledged.filter((key) => !kept.has(key)),
        [],
      )
    }
  })

  test('a full disk is disk_full for all that wait, and is over when there is room again', async () => {
    const store = await openMetaStore(place('full'), parts)
    await store.write(limitPages, 1)
    const big = (i: number) => ({ key: Buffer.from(`k${i}`), n: i, label: '', data: Buffer.alloc(50_000) })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => store.write(putItem, big(i))),
    )
    for (const outcome of outcomes) {
      assert.ok(outcome.status === 'rejected')
      assert.ok(failsWith('disk_full')(outcome.reason))
    }
    assert.deepEqual(await store.read(listItems, null), [])
    await assert.rejects(
      store.write(putItem, { ...big(0), data: Buffer.alloc(1_000_000) }),
      failsWith('disk_full'),
    )
    await store.write(limitPages, 0)
    await store.write(putItem, big(0))
    assert.deepEqual(await store.read(getItem, Buffer.from('k0')), big(0))
    await store.close()
  })

  test('a damaged file is corrupt, one that is something else too', async () => {
    const store = await openMetaStore(place('damaged'), parts)
    for (let i = 0; i < 50; i++)
      await store.write(putItem, { key: Buffer.from(`k${i}`), n: i, label: '', data: Buffer.alloc(3000) })
    await store.close()
    const file = openSync(place('damaged'), 'r+')
    const { size } = statSync(place('damaged'))
    for (let at = 8192; at < size; at += 8192) writeSync(file, Buffer.alloc(100, 0xff), 0, 100, at)
    closeSync(file)
    await assert.rejects(async () => {
      const damaged = await openMetaStore(place('damaged'), parts)
      try {
        await damaged.read(listItems, null)
      } finally {
        await damaged.close()
      }
    }, failsWith('corrupt'))

    const other = openSync(place('other'), 'w')
    writeSync(other, Buffer.alloc(8192, 'not a database '))
    closeSync(other)
    await assert.rejects(openMetaStore(place('other'), parts), failsWith('corrupt'))
    assert.equal(metaFileOf('/data'), '/data/metadata.sqlite')
    await assert.rejects(openMetaStore(join(directory, 'none'), parts), failsWith('io_error'))
  })

  test('when the writing thread ends, what waits and what comes is unavailable; reads go on', async () => {
    const { port1, port2 } = new MessageChannel()
    const worker = new Worker(new URL('../support/meta-writer-thread.ts', import.meta.url), {
      workerData: { directory: place('ends'), ports: [port1] },
      transferList: [port1],
    })
    await once(worker, 'message')
    const client = openMetaClient(place('ends'), port2, parts)
    const [a, counter] = [Buffer.from('a'), Buffer.from('counter')]
    await client.write(addOnce, { key: a, counter })
    await client.check()
    await assert.rejects(client.write(limitPages, 1), /no script named test.limit-pages/)
    const last = client.write(addOnce, { key: Buffer.from('b'), counter }).catch((error: unknown) => error)
    await worker.terminate()
    const settled = await last
    assert.ok(typeof settled === 'number' || failsWith('unavailable')(settled))
    await assert.rejects(client.write(addOnce, { key: Buffer.from('c'), counter }), failsWith('unavailable'))
    await assert.rejects(client.check(), failsWith('unavailable'))
    assert.equal((await client.read(getItem, a))?.n, 1)
    await client.close()
  })

  test('more writes than may wait are refused, and no other fails', async () => {
    const store = await openMetaStore(place('queue'), parts)
    const counter = Buffer.from('counter')
    const outcomes = await Promise.allSettled(
      Array.from({ length: 25_000 }, (_, i) => store.write(addOnce, { key: Buffer.from(`k${i}`), counter })),
    )
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    assert.equal(refused.length, 5_000)
    for (const each of refused)
      assert.ok(each.status === 'rejected' && failsWith('too_many_requests')(each.reason))
    assert.equal((await store.read(getItem, counter))?.n, 20_000)
    await store.close()
  })
})
