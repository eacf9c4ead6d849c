/** The file of names is lost: nothing starts on empty ones, nothing is taken for an orphan, and all names come back. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'

const data = mkdtempSync(join(tmpdir(), 'cairn-lost-'))
let server: ServerProcess | undefined

after(async () => {
  await server?.kill()
  rmSync(data, { recursive: true, force: true })
})

test('lost names are noticed, and rebuilt from the volumes', async () => {
  const files = new Map(
    Array.from({ length: 40 }, (_, at) => [
      `/d/${at % 7}/${at}`,
      randomBytes(at === 9 ? 5_000_000 : at * 50),
    ]),
  )
  server = await startServer(data)
  for (const [path, body] of files) {
    const reply = await fetch(`http://${server.filer}${path}`, { method: 'PUT', body })
    assert.equal(reply.status, 201)
  }
  assert.equal((await fetch(`http://${server.filer}/d/0/0`, { method: 'DELETE' })).status, 204)
  files.delete('/d/0/0')
  await server.stop()
  rmSync(join(data, 'meta'), { recursive: true })

  await assert.rejects(startServer(data), /Names that were lost come back from the volumes/)
  const repair = await runCairn(['fsck', '--data', data, '--repair'])
  assert.equal(repair.code, 1)
  assert.match(repair.stderr, /Names that were lost come back from the volumes/)
  rmSync(join(data, 'meta'), { recursive: true, force: true })

  const rebuilt = await runCairn(['fsck', '--data', data, '--rebuild'])
  assert.equal(rebuilt.code, 0, rebuilt.stderr + rebuilt.stdout)
  assert.match(rebuilt.stderr, /names brought back/)
  server = await startServer(data)
  for (const [path, body] of files) {
    const reply = await fetch(`http://${server.filer}${path}`)
    assert.ok(Buffer.from(await reply.arrayBuffer()).equals(body), path)
  }
  assert.equal((await fetch(`http://${server.filer}/d/0/0`)).status, 404)
  await server.stop()
})
