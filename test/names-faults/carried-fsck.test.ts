/** Real servers whose volumes have lost a small file that a commit carried: it comes back by the next start, and by `cairn fsck`. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, test } from 'node:test'
import { packCarriedBlob } from '../../src/base/carried-blob.ts'
import { runCairn, startServer } from '../support/cairn-process.ts'
import { dataOf } from '../support/needles.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function newDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'cairn-carried-'))
  cleanups.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function withServer(data: string, use: (filer: string) => Promise<void>): Promise<void> {
  const server = await startServer(data)
  cleanups.push(() => server.kill())
  await use(server.filer)
  await server.stop()
}

async function put(filer: string, path: string, body: Buffer): Promise<void> {
  const response = await fetch(`http://${filer}${path}`, { method: 'PUT', body: new Uint8Array(body) })
  assert.equal(response.status, 201)
}

const copyVolumes = (from: string, to: string) => {
  for (const name of readdirSync(from).filter((each) => /^_objects_\d+\./.test(each)))
    cpSync(join(from, name), join(to, name))
}

/** As if the power had gone right after the commit: what the file's row names is in no volume any more. */
async function loseAfterCommit(): Promise<{ data: string; body: Buffer }> {
  const [data, earlier] = [newDirectory(), newDirectory()]
  const body = dataOf(7, 1500)
  await withServer(data, (filer) => put(filer, '/docs/before.bin', dataOf(6, 1500)))
  copyVolumes(data, earlier)
  await withServer(data, (filer) => put(filer, '/docs/small.bin', body))
  copyVolumes(earlier, data)
  const database = new DatabaseSync(join(data, 'meta', 'metadata.sqlite'))
  try {
    const [row] = database.prepare(`select blobs from object where cast(key as text) like '%small.bin'`).all()
    const blobs = Buffer.from(row!.blobs as Uint8Array)
    const [volumeId, keyHigh, keyLow, cookie] = [0, 4, 8, 12].map((at) => blobs.readUInt32BE(at)) as [
      ...[number, number, number, number],
    ]
    const packed = packCarriedBlob({ volumeId, keyHigh, keyLow, cookie, data: body })
    database.prepare('insert into carried_blobs (blobs) values (?)').run(packed)
  } finally {
    database.close()
  }
  return { data, body }
}

test('the next start brings it back', async () => {
  const { data, body } = await loseAfterCommit()
  await withServer(data, async (filer) => {
    const found = Buffer.from(await (await fetch(`http://${filer}/docs/small.bin`)).arrayBuffer())
    assert.deepEqual(found, body)
  })
  const { code, stdout } = await runCairn(['fsck', '--data', data, '--verify-bytes'])
  assert.equal(code, 0, stdout)
})

test('cairn fsck brings it back too, and would miss it otherwise', async () => {
  const { data } = await loseAfterCommit()
  const copy = newDirectory()
  cpSync(data, copy, { recursive: true })
  const database = new DatabaseSync(join(copy, 'meta', 'metadata.sqlite'))
  database.exec('delete from carried_blobs')
  database.close()
  assert.match((await runCairn(['fsck', '--data', copy])).stdout, / 1 missing/)
  const { code, stdout } = await runCairn(['fsck', '--data', data, '--verify-bytes'])
  assert.match(stdout, / 0 missing, 0 damaged/)
  assert.equal(code, 0, stdout)
})
