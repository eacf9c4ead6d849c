/** Volumes that are on the server's disks but cannot be used: "there is none" would be a lie that a client believes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ask, startKit } from './volume-server-kit.ts'

test('a volume that could not be opened answers with errors, others work', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-unopened-'))
  writeFileSync(join(directory, '2.dat'), 'no super block at all')
  const kit = await startKit({ directory })
  try {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
      const body = method === 'PUT' ? 'x' : undefined
      const reply = await ask(kit.port, { method, path: '/2,0112345678', body })
      assert.equal(reply.status, 500, method)
      if (method !== 'HEAD') assert.match(reply.text, /volume 2 could not be opened/)
    }
    assert.equal((await ask(kit.port, { path: '/3,0112345678' })).status, 404)
    const path = `/${kit.newFid()}`
    assert.equal((await ask(kit.port, { method: 'PUT', path, body: 'x' })).status, 201)
    assert.equal((await ask(kit.port, { path })).text, 'x')
  } finally {
    await kit.close()
    rmSync(directory, { recursive: true })
  }
})

test('while a data directory cannot be looked into, no volume is said to be missing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-failed-'))
  const notADirectory = join(directory, 'file')
  writeFileSync(notADirectory, 'x')
  const kit = await startKit({ directory: notADirectory, volumeIds: [] })
  try {
    for (const method of ['GET', 'DELETE']) {
      const reply = await ask(kit.port, { method, path: '/3,0112345678' })
      assert.equal(reply.status, 500, method)
      assert.match(reply.text, /a data directory failed/)
    }
  } finally {
    await kit.close()
    rmSync(directory, { recursive: true })
  }
})
