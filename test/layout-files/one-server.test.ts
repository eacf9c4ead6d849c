/** The guide's last chapter on one `cairn server --layout files`, in one directory and in six. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { curl } from '../support/curl.ts'

const WAIT_MS_MAX = 60_000
const TEXT = 'this object will be seperated to 4+2'
const HASH = '2MRHhgqkvILs04RzLIEpZBzpgos/9QlNKRXEh7cMngY='

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Paths of all shard files, in the order of their indexes. */
function filesOf(directories: readonly string[]): string[] {
  return directories
    .flatMap((directory) =>
      readdirSync(join(directory, 'objects')).map((name) => join(directory, 'objects', name)),
    )
    .sort((a, b) => Number(a.split('=.')[1]![0]) - Number(b.split('=.')[1]![0]))
}

function isRight(path: string): boolean {
  const hash = createHash('sha256').update(readFileSync(path)).digest('base64')
  return path.endsWith(`.${hash.replaceAll('/', '%2F')}`)
}

async function walk({ objects }: ServerProcess, directories: readonly string[]): Promise<void> {
  const target = `${objects}/objects/test5`
  const get = async () => {
    const { status, body } = await curl(target)
    return [status, body]
  }
  const put = ['-XPUT', '-d', TEXT, '-H', `Digest: SHA-256=${HASH}`]
  assert.equal((await curl(target, ...put)).status, '200 OK')
  const files = filesOf(directories)
  assert.equal(files.length, 6)
  assert.ok(files.every(isRight))
  assert.deepEqual(await get(), ['200 OK', TEXT])

  rmSync(files[4]!)
  writeFileSync(files[0]!, 'errMsg\n')
  assert.deepEqual(await get(), ['200 OK', TEXT])
  await until('all are right again', () => filesOf(directories).length === 6 && isRight(files[0]!))
  assert.deepEqual(filesOf(directories), files)
}

for (const count of [1, 6]) {
  test(`in ${count} of its directories`, async () => {
    const root = mkdtempSync(join(tmpdir(), 'cairn-layout-'))
    const directories = Array.from({ length: count }, (_, at) => join(root, String(at + 1)))
    const start = () => startServer(directories.join(','), ['--layout', 'files', '--workers', '2'])
    let server = await start()
    try {
      await walk(server, directories)
      await server.stop()
      const files = filesOf(directories)
      for (const path of files.slice(3, 5)) rmSync(path)
      server = await start()
      await until('they come back by themselves', () => filesOf(directories).length === 6)
      assert.deepEqual(filesOf(directories), files)

      // A repair under way may have all of them in memory still.
      await until('it is lost', async () => {
        for (const path of files.slice(1, 4)) rmSync(path, { force: true })
        return (await curl(`${server.objects}/objects/test5`)).status === '404 Not Found'
      })
      await server.stop()
      const other = await runCairn(['server', '--data', directories[0]!, '--master-port', '0'])
      assert.deepEqual([other.code, /was used with --layout files/.test(other.stderr)], [2, true])
    } finally {
      await server.kill()
      rmSync(root, { recursive: true, force: true })
    }
  })
}
