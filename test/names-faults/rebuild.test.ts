/** The SQLite file is lost while the server is stopped: `cairn fsck --rebuild` brings its names back from the volumes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { element } from '../s3/s3-kit.ts'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { dataOf } from '../support/needles.ts'
import { randomOf } from '../support/seeds.ts'
import { MixedLoad } from './mixed-load.ts'
import { S3Door } from './s3-door.ts'

/** The safety copies are at most a second behind; the rest is for a machine that has other things to do too. */
const BEHIND_MS_MAX = 1500
/** Storing a copy takes a machine as long as the slowest answers: it makes a volume, and syncs. */
const BEHIND_REPLIES_MAX = 2
const LOAD_MS = 1500

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(data: string): Promise<ServerProcess> {
  const server = await startServer(data)
  cleanups.push(() => server.kill())
  return server
}

function newData(): string {
  const data = mkdtempSync(join(tmpdir(), 'cairn-rebuild-'))
  cleanups.push(() => rmSync(data, { recursive: true, force: true }))
  return data
}

async function loseAndRebuild(data: string): Promise<void> {
  rmSync(join(data, 'meta'), { recursive: true })
  // Starting without them says what to do, and what it leaves is not in the way.
  await assert.rejects(start(data), /fsck --rebuild/)
  const { code, stdout, stderr } = await runCairn(['fsck', '--rebuild', '--data', data])
  assert.match(stderr, /names brought back: \d+ rows/)
  assert.match(stdout, / 0 missing, 0 damaged/)
  assert.ok(code === 0 || / [1-9]\d* orphaned/.test(stdout), stdout)
}

/** Versions, delete markers, tags and an upload with parts. */
async function fillVersions(s3: S3Door): Promise<void> {
  const { client } = s3
  await s3.must(client.put('/versions'))
  const xml = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  await s3.must(client.putXml('/versions', 'versioning', xml))
  for (let at = 0; at < 30; at++) {
    const headers = { 'x-amz-meta-number': String(at), 'x-amz-tagging': `at=${at}` }
    await s3.must(client.put(`/versions/key${at % 7}`, dataOf(at, at * 1000), { headers }))
    if (at % 5 === 4) await s3.must(client.delete(`/versions/key${at % 7}`))
  }
  const path = '/versions/unfinished'
  const begun = await s3.must(client.send('POST', { path, query: { uploads: '' } }))
  const uploadId = element(begun.text, 'UploadId')!
  for (const partNumber of ['1', '7']) {
    await s3.must(client.send('PUT', { path, query: { partNumber, uploadId }, body: dataOf(7, 100_000) }))
  }
}

test('after a clean stop every object, version and upload comes back', { timeout: 280_000 }, async () => {
  const data = newData()
  let server = await start(data)
  const load = new MixedLoad(randomOf(5), { filerWriters: 3, s3Writers: 3 })
  cleanups.push(() => load.close())
  await load.connect(server)
  await fillVersions(new S3Door(server))
  let isOver = false
  await Promise.all([
    load.run(() => isOver),
    sleep(LOAD_MS).then(() => {
      isOver = true
    }),
  ])
  const before = await new S3Door(server).everything('versions')
  await server.stop()
  await loseAndRebuild(data)
  server = await start(data)
  await load.connect(server)
  await load.verify()
  const s3 = new S3Door(server)
  assert.deepEqual(await s3.everything('versions'), before)
  const reply = await s3.must(s3.client.get('/versions/key0'))
  assert.deepEqual(reply.body, dataOf(28, 28_000))
  assert.equal(reply.headers['x-amz-meta-number'], '28')
  // What was rebuilt goes on to be copied: it can be lost again.
  await s3.must(s3.client.put('/versions/later', 'later'))
  await server.stop()
  await loseAndRebuild(data)
  server = await start(data)
  assert.equal((await new S3Door(server).client.get('/versions/later')).text, 'later')
  await server.stop()
})

test('after a kill all but the last moment comes back, also soon after the first start', {
  timeout: 280_000,
}, async () => {
  const data = newData()
  for (let round = 0; round < 2; round++) {
    const server = await start(data)
    const acknowledged: { path: string; seed: number; atMs: number }[] = []
    let [isOver, slowestMs] = [false, 0]
    const behindMs = () => BEHIND_MS_MAX + BEHIND_REPLIES_MAX * slowestMs
    const writer = async (number: number) => {
      for (let at = 0; !isOver; at++) {
        const askedMs = performance.now()
        const [path, seed] = [`/r${round}/${number}/${at}`, number * 10_000 + at]
        const body = new Uint8Array(dataOf(seed, 500))
        const reply = await fetch(`http://${server.filer}${path}`, { method: 'PUT', body }).catch(() => {})
        if (reply === undefined) return
        assert.equal(reply.status, 201)
        const atMs = performance.now()
        slowestMs = Math.max(slowestMs, atMs - askedMs)
        acknowledged.push({ path, seed, atMs })
      }
    }
    const writers = Array.from({ length: 4 }, (_, number) => writer(number))
    const startedMs = performance.now()
    while (performance.now() < startedMs + LOAD_MS + behindMs()) await sleep(50)
    isOver = true
    const killedMs = performance.now()
    await server.kill()
    await Promise.all(writers)
    await loseAndRebuild(data)
    const again = await start(data)
    const old = acknowledged.filter(({ atMs }) => atMs < killedMs - behindMs())
    assert.ok(old.length > 0)
    for (const { path, seed } of old) {
      const reply = await fetch(`http://${again.filer}${path}`)
      assert.equal(reply.status, 200, `${path} of ${old.length}`)
      assert.deepEqual(Buffer.from(await reply.arrayBuffer()), dataOf(seed, 500))
    }
    await again.kill()
  }
})
