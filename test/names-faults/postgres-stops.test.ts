/** PostgreSQL is stopped at once and started again while files are stored: errors that say so, or waits, and no name that lies. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCairn, startServer } from '../support/cairn-process.ts'
import { dataOf } from '../support/needles.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { assertClean } from './kill-names.ts'

const WRITERS = 6
const ROUNDS = 2
const REQUEST_MS_MAX = 60_000
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Put {
  path: string
  seed: number
  /** Undefined: no answer came. */
  status: number | undefined
}

const lengthOf = (seed: number) => (seed * 37) % 9000

async function put(filer: string, path: string, seed: number): Promise<Put> {
  const body = new Uint8Array(dataOf(seed, lengthOf(seed)))
  const signal = AbortSignal.timeout(REQUEST_MS_MAX)
  const reply = await fetch(`http://${filer}${path}`, { method: 'PUT', body, signal }).catch(() => undefined)
  await reply?.arrayBuffer()
  return { path, seed, status: reply?.status }
}

/** What a reader gets: undefined where there is nothing. */
async function read(filer: string, path: string): Promise<Buffer | undefined> {
  const reply = await fetch(`http://${filer}${path}`)
  const bytes = Buffer.from(await reply.arrayBuffer())
  if (reply.status === 404) return undefined
  assert.equal(reply.status, 200, path)
  return bytes
}

describe('PostgreSQL goes away', { skip: noPostgres }, () => {
  test('what was acknowledged is there, what was refused is not', { timeout: 280_000 }, async () => {
    const data = mkdtempSync(join(tmpdir(), 'cairn-postgres-stops-'))
    cleanups.push(() => rmSync(data, { recursive: true, force: true }))
    const postgres = await PostgresServer.start()
    cleanups.push(() => postgres.end())
    const metadata = ['--metadata', await postgres.createDatabase('names')]
    const server = await startServer(data, metadata)
    cleanups.push(() => server.kill())
    const puts: Put[] = []
    let isOver = false
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      for (let at = 0; !isOver; at++) {
        const seed = writer * 100_000 + at
        const done = await put(server.filer, `/w${writer}/${at}`, seed)
        puts.push(done)
        if (done.status !== 201) await sleep(20)
      }
    })
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(700)
      await postgres.stop(round === 0 ? 'SIGQUIT' : 'SIGKILL')
      await sleep(500)
      await postgres.run()
    }
    const before = puts.length
    while (puts.slice(before).filter(({ status }) => status === 201).length < WRITERS) await sleep(20)
    isOver = true
    await Promise.all(writers)
    for (const { path, seed, status } of puts) {
      assert.ok(status === 201 || status === 503, `${path}: ${status}`)
      const found = await read(server.filer, path)
      if (status === 201) assert.deepEqual(found, dataOf(seed, lengthOf(seed)), path)
      else assert.equal(found, undefined, `${path} was refused and is there`)
    }
    const expected = puts.filter(({ status }) => status === 201).map(({ path }) => path)
    const listed: string[] = []
    for (let writer = 0; writer < WRITERS; writer++) {
      const url = `http://${server.filer}/w${writer}/?limit=100000`
      const reply = await fetch(url, { headers: { accept: 'application/json' } })
      const { Entries } = (await reply.json()) as { Entries: { FullPath: string }[] }
      listed.push(...Entries.map(({ FullPath }) => FullPath))
    }
    assert.deepEqual(listed.sort(), expected.sort())
    await server.stop()
    // Blobs of puts that were refused: others could still be writing, so that the server itself would wait an hour.
    const repair = await runCairn(['fsck', '--data', data, '--repair', ...metadata])
    assert.equal(repair.code, 0, repair.stdout + repair.stderr)
    await assertClean(data, metadata)
  })
})
