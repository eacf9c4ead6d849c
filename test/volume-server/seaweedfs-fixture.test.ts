/**
 * Volumes that SeaweedFS 4.44 wrote are served as SeaweedFS serves them: status, every header, every byte.
 * Runs where the fixture is: in CAIRN_SEAWEEDFS_FIXTURE, or beside the repository.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ask, type Kit, startKit } from './volume-server-kit.ts'

const FIXTURE =
  process.env.CAIRN_SEAWEEDFS_FIXTURE ?? join(import.meta.dirname, '../../../shared/data/seaweedfs')
/** What the fixture does not fix. */
const FREE_HEADERS = new Set(['server', 'date', 'x-amz-request-id'])

interface Entry {
  fid: string
  status: number
  served_sha256: string | null
  headers: Record<string, string>
  note: string
}

// Without the fixture there is nothing to be tested, and nothing to be installed that would bring it.
if (existsSync(join(FIXTURE, 'manifest.json'))) describe('volumes of SeaweedFS', volumesOfSeaweedFs)
else console.log(`no volumes of SeaweedFS at ${FIXTURE}`)

function volumesOfSeaweedFs(): void {
  let kit: Kit
  let directory: string
  let entries: Entry[]

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'cairn-fixture-'))
    cpSync(join(FIXTURE, 'volumes'), directory, { recursive: true })
    chmodSync(directory, 0o755)
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o644)
    entries = JSON.parse(readFileSync(join(FIXTURE, 'manifest.json'), 'utf8')) as Entry[]
    kit = await startKit({ directory, volumeIds: [] })
  })

  after(async () => {
    await kit.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('every entry of the manifest', async () => {
    assert.ok(entries.length > 0)
    for (const entry of entries) {
      const reply = await ask(kit.port, { path: `/${entry.fid}` })
      const what = `${entry.fid} (${entry.note})`
      assert.equal(reply.status, entry.status, what)
      if (entry.status !== 200) continue
      assert.equal(createHash('sha256').update(reply.body).digest('hex'), entry.served_sha256, what)
      const wanted = Object.fromEntries(
        Object.entries(entry.headers).map(([name, value]) => [name.toLowerCase(), value]),
      )
      const got = Object.fromEntries(
        Object.entries(reply.headers).filter(([name]) => !FREE_HEADERS.has(name)),
      )
      if (reply.headers.connection !== undefined) delete got.connection
      assert.deepEqual(got, wanted, what)
    }
  })

  test('a HEAD has the same headers', async () => {
    for (const entry of entries.slice(0, 40)) {
      const reply = await ask(kit.port, { method: 'HEAD', path: `/${entry.fid}` })
      assert.equal(reply.status, entry.status)
      for (const [name, value] of Object.entries(entry.headers))
        assert.equal(reply.headers[name.toLowerCase()], value)
      assert.equal(reply.body.length, 0)
    }
  })

  test('stored gzip goes out as it is to those who take it', async () => {
    const entry = entries.find((each) => each.note.startsWith('gzip'))!
    const reply = await ask(kit.port, { path: `/${entry.fid}`, headers: { 'Accept-Encoding': 'br, gzip' } })
    assert.equal(reply.headers['content-encoding'], 'gzip')
    assert.ok(reply.body.length < Number(entry.headers['Content-Length']))
  })

  test('a range across two chunks of a manifest, and the manifest itself', async () => {
    const entry = entries.find((each) => each.headers['X-File-Store'] === 'chunked')!
    const whole = await ask(kit.port, { path: `/${entry.fid}` })
    const part = await ask(kit.port, { path: `/${entry.fid}`, headers: { Range: 'bytes=990-1010' } })
    assert.equal(part.status, 206)
    assert.equal(part.headers['content-range'], 'bytes 990-1010/1600')
    assert.deepEqual(part.body, whole.body.subarray(990, 1011))
    const manifest = (await ask(kit.port, { path: `/${entry.fid}?cm=false` })).json()
    assert.equal((manifest.chunks as unknown[]).length, 2)
  })
}
