/** `cairn cp` and `get` of a large file that is interrupted: by a kill of the client, of the server, and of a download. */
import assert from 'node:assert/strict'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCairn, type ServerProcess, spawnCairn, startServer } from '../support/cairn-process.ts'
import { dataOf, MIB } from '../support/needles.ts'

let root: string
let server: ServerProcess
const startAgain = async () => {
  server = await startServer(join(root, 'data'))
}
before(async () => {
  root = mkdtempSync(join(tmpdir(), 'cairn-resume-'))
  await startAgain()
})
after(async () => {
  await server?.stop()
  rmSync(root, { recursive: true, force: true })
})

const local = (name: string) => join(root, name)

async function succeed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCairn([...args, '--filer', server.filer])
  assert.equal(code, 0, stdout + stderr)
  return stdout
}

test('a large file goes on where it was when the client or the server was killed', {
  timeout: 280_000,
}, async () => {
  const path = local('large')
  const large = dataOf(1, 60 * MIB + 4321)
  writeFileSync(path, large)
  const args = ['cp', '--max-mb', '1', path, 'cairn:/big/large']
  const partOf = async () => {
    const reply = await fetch(`http://${server.filer}/big/`, { headers: { accept: 'application/json' } })
    if (reply.status === 404) return undefined
    const { Entries } = (await reply.json()) as { Entries: { FullPath: string; FileSize: number }[] | null }
    return (Entries ?? []).find(({ FullPath }) => FullPath.includes('.cairn-part'))
  }
  const partAbove = async (bytes: number) => {
    for (let tries = 0; tries < 2000; tries++) {
      if (((await partOf())?.FileSize ?? 0) > bytes) return
      await sleep(5)
    }
    assert.fail('no part grows')
  }
  const client = spawnCairn([...args, '--filer', server.filer])
  await partAbove(2 * MIB)
  client.child.kill('SIGKILL')
  await client.ended
  const { FileSize, FullPath } = (await partOf())!
  assert.ok(FileSize < large.length)
  const second = spawnCairn([...args, '--filer', server.filer])
  await partAbove(FileSize + 3 * MIB)
  await server.kill()
  const { code } = await second.ended
  assert.equal(code, 1)
  await startAgain()
  const later = (await partOf())!
  assert.equal(later.FullPath, FullPath)
  assert.ok(later.FileSize > FileSize && later.FileSize < large.length)
  await succeed(...args)
  assert.match(await succeed('ls', '/big'), /^\S+ +\d+ .* large\n$/)
  const target = local('large-back')
  await succeed('get', '/big/large', target)
  assert.ok(readFileSync(target).equals(large))
  assert.equal(Math.floor(statSync(target).mtimeMs), Math.floor(statSync(path).mtimeMs))
  // A download that was broken off goes on with what it has.
  rmSync(target)
  const download = spawnCairn(['get', '/big/large', target, '--filer', server.filer])
  const partial = () => readdirSync(root).find((name) => name.endsWith('.cairn-part'))
  while (partial() === undefined && download.child.exitCode === null) await sleep(1)
  download.child.kill('SIGKILL')
  await download.ended
  const left = partial()
  if (left !== undefined) truncateSync(local(left), Math.min(statSync(local(left)).size, 5_000_000))
  await succeed('get', '/big/large', target)
  assert.ok(readFileSync(target).equals(large))
  assert.equal(partial(), undefined)
})
