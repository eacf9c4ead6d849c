/** `kill -9` of the whole program in the middle of a rename: after the next start it is as if it had happened, or as if it had not. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { ask } from '../volume-server/volume-server-kit.ts'

const FILES = 3_000
const nameOf = (number: number) => String(number).padStart(5, '0')
const portOf = (server: ServerProcess) => Number(server.filer.split(':').at(-1))

async function fill(server: ServerProcess): Promise<void> {
  for (let at = 0; at < FILES; at += 100) {
    const puts = Array.from({ length: 100 }, (_, i) =>
      ask(portOf(server), { method: 'PUT', path: `/0/${nameOf(at + i)}`, body: nameOf(at + i) }),
    )
    for (const reply of await Promise.all(puts)) assert.equal(reply.status, 201)
  }
}

async function namesIn(server: ServerProcess, directory: string): Promise<string[]> {
  const reply = await ask(portOf(server), {
    path: `${directory}/?limit=10000`,
    headers: { Accept: 'application/json' },
  })
  if (reply.status === 404) return []
  const entries = (reply.json().Entries ?? []) as { FullPath: string }[]
  return entries.map(({ FullPath }) => FullPath.slice(FullPath.lastIndexOf('/') + 1))
}

test('killed in a rename, all files are under one name after the next start', {
  timeout: 280_000,
}, async () => {
  const data = mkdtempSync(join(tmpdir(), 'cairn-rename-'))
  let server = await startServer(data, ['--sync', 'none'])
  const all = Array.from({ length: FILES }, (_, number) => nameOf(number))
  try {
    await fill(server)
    let renamedHalfWay = 0
    for (let round = 0; round < 4; round++) {
      const [from, to] = [`/${round}`, `/${round + 1}`]
      const moving = ask(portOf(server), { method: 'POST', path: `${to}?mv.from=${from}` }).then(
        (reply) => reply.status,
        () => undefined,
      )
      // Killed as soon as somebody has seen the new name.
      while (
        (await ask(portOf(server), { method: 'HEAD', path: `${to}/${nameOf(FILES - 1)}` })).status !== 200
      );
      await server.kill()
      const told = await moving
      if (told === undefined) renamedHalfWay++
      server = await startServer(data, ['--sync', 'none'])
      assert.deepEqual(await namesIn(server, to), all, `round ${round}, answered ${told}`)
      assert.deepEqual(await namesIn(server, from), [])
      const got = await ask(portOf(server), { path: `${to}/${nameOf(round)}` })
      assert.equal(got.text, nameOf(round))
      // A write there waits for the rename to be ended.
      const put = await ask(portOf(server), { method: 'PUT', path: `${to}/new`, body: 'x' })
      assert.equal(put.status, 201)
      assert.equal((await ask(portOf(server), { method: 'DELETE', path: `${to}/new` })).status, 204)
    }
    assert.ok(renamedHalfWay > 0, 'no round was killed before its rename had ended')
  } finally {
    await server.kill()
    rmSync(data, { recursive: true, force: true })
  }
})
