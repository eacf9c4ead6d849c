/** The filer with its names in PostgreSQL, where every look at them takes its time. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { type FilerKit, startFiler } from './filer-kit.ts'

describe('on PostgreSQL', { skip: noPostgres }, () => {
  let postgres: PostgresServer
  let filer: FilerKit
  before(async () => {
    postgres = await PostgresServer.start()
    filer = await startFiler({ metadata: await postgres.createDatabase('filer') })
  })
  after(async () => {
    await filer?.close()
    await postgres?.end()
  })

  test('files are stored, read, listed, moved, copied and removed', async () => {
    assert.equal((await filer.get('/a/none')).status, 404)
    assert.equal((await filer.put('/a/b/f.txt', 'one')).status, 201)
    assert.equal((await filer.post('/a/b/', { content: 'two', filename: 'g.txt' })).status, 201)
    assert.equal((await filer.post('/a/b', { content: 'three', filename: 'h.txt' })).status, 201)
    for (let i = 0; i < 3; i++) assert.equal((await filer.get('/a/b/f.txt')).text, 'one')
    assert.equal((await filer.get('/a/b/none')).status, 404)
    assert.deepEqual(await filer.names('/a/b'), ['f.txt', 'g.txt', 'h.txt'])
    const big = Buffer.alloc(5_000_000, 'b')
    assert.equal((await filer.put('/a/big', big)).status, 201)
    assert.ok((await filer.get('/a/big')).body.equals(big))
    const range = await filer.get('/a/big', { Range: 'bytes=4999990-' })
    assert.deepEqual([range.status, range.text], [206, 'bbbbbbbbbb'])
    const ask = (method: string, path: string) => filer.ask({ method, path })
    assert.equal((await ask('POST', '/c?mv.from=/a/b')).status, 204)
    assert.equal((await ask('POST', '/c/copy?cp.from=/c/f.txt')).status, 204)
    assert.equal((await filer.get('/c/copy')).text, 'one')
    assert.equal((await filer.put('/c/f.txt/x', 'x')).status, 409)
    assert.equal((await filer.put('/c', 'x')).status, 409)
    assert.equal((await ask('DELETE', '/a')).status, 500)
    assert.equal((await ask('DELETE', '/a?recursive=true')).status, 204)
    assert.deepEqual(await filer.names('/'), ['c/'])
  })

  test('many at once, in one directory that nobody has made', async () => {
    const puts = Array.from({ length: 60 }, (_, i) => filer.put(`/at/once/${i % 20}`, String(i)))
    for (const reply of await Promise.all(puts)) assert.equal(reply.status, 201)
    assert.equal((await filer.names('/at/once')).length, 20)
  })
})
