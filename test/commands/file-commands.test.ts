/** `cairn put`, `get`, `ls`, `cp`, `mv` and `rm` against a real server: files, folders, odd names, and going on after a break. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { assertSameTree, makeTree, ODD_NAMES } from '../names-faults/trees.ts'
import { type CommandResult, runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { freePort } from '../support/cluster-processes.ts'
import { dataOf } from '../support/needles.ts'

let root: string
let server: ServerProcess
before(async () => {
  root = mkdtempSync(join(tmpdir(), 'cairn-files-'))
  server = await startServer(join(root, 'data'))
})
after(async () => {
  await server?.stop()
  rmSync(root, { recursive: true, force: true })
})

const local = (name: string) => join(root, name)
const cairn = (...args: string[]) => runCairn([...args, '--filer', server.filer])

async function succeed(...args: string[]): Promise<CommandResult> {
  const result = await cairn(...args)
  assert.equal(result.code, 0, result.stdout + result.stderr)
  return result
}

/** Paths below a directory of the store. */
async function listed(path: string): Promise<string[]> {
  const { stdout } = await succeed('ls', '-r', '--json', path)
  const entries = stdout.split('\n').filter((line) => line !== '')
  return entries.map((line) => JSON.parse(line).path as string).sort()
}

test('a folder with odd names, modes, times and empty directories comes back as it was', async () => {
  const source = local('odd')
  makeTree(source, 30)
  for (const [at, name] of ODD_NAMES.entries()) {
    writeFileSync(join(source, name), name)
    mkdirSync(join(source, 'in', name.slice(0, 60)), { recursive: true })
    writeFileSync(join(source, 'in', name.slice(0, 60), 'file'), dataOf(at, at * 100))
  }
  mkdirSync(join(source, 'empty', 'deeper'), { recursive: true })
  mkdirSync(join(source, 'only links'))
  symlinkSync('nowhere', join(source, 'only links', 'dangling'))
  writeFileSync(join(source, 'nothing'), '')
  utimesSync(join(source, 'nothing'), 0, 0)
  chmodSync(join(source, 'nothing'), 0o400)
  symlinkSync('nothing', join(source, 'link'))
  symlinkSync('nowhere', join(source, 'dangling'))
  symlinkSync('.', join(source, 'circle'))
  const first = await succeed('put', '-r', source, '/trees/odd')
  assert.match(first.stdout, /^\d+ files, \d+ bytes\n$/m)
  const again = await succeed('cp', '-r', source, 'cairn:/trees/odd')
  assert.match(again.stdout, /^0 files, 0 bytes, \d+ there already$/m)
  await succeed('get', '-r', '/trees/odd', local('odd-back'))
  assertSameTree(local('odd-back'), source)
  assert.match((await succeed('get', '-r', '/trees/odd', local('odd-back'))).stdout, /^0 files, 0 bytes, /m)
  // One file that changed goes again.
  writeFileSync(join(source, '.hidden'), 'changed')
  assert.match((await succeed('put', '-r', source, '/trees/odd')).stdout, /^1 files, 7 bytes, /m)
  mkdirSync(local('into'))
  await succeed('cp', '-r', 'cairn:/trees/odd', `${local('into')}/`)
  assertSameTree(local('into/odd'), source)
})

test('files go to the path named, or into a directory; out of it likewise', async () => {
  writeFileSync(local('one'), 'one')
  writeFileSync(local('two'), 'two')
  await succeed('put', local('one'), '/plain/name')
  await succeed('put', local('one'), local('two'), '/plain')
  await succeed('put', local('two'), '/plain/deep/')
  assert.deepEqual(await listed('/plain'), [
    '/plain/deep',
    '/plain/deep/two',
    '/plain/name',
    '/plain/one',
    '/plain/two',
  ])
  mkdirSync(local('out'))
  await succeed('get', '/plain/name', '/plain/deep/two', local('out'))
  assert.deepEqual(readdirSync(local('out')).sort(), ['name', 'two'])
  await succeed('get', '/plain/name', local('out/other'))
  assert.equal(readFileSync(local('out/other'), 'utf8'), 'one')
  await succeed('put', local('one'), '/lines/a\nb\x1b[2J')
  assert.match((await succeed('ls', '/lines')).stdout, / a\?b\?\[2J\n$/)
  const table = await succeed('ls', '/plain')
  assert.match(table.stdout, /^\d{3} +- .* deep\/\n644 +3 .* name\n/)
})

test('copies within the store, renames and removals', async () => {
  makeTree(local('some'), 12)
  await succeed('put', '-r', local('some'), '/w/some')
  await succeed('cp', '-r', 'cairn:/w/some', 'cairn:/w/copy')
  await succeed('mv', '/w/some', '/w/moved')
  await succeed('get', '-r', '/w/copy', local('copy-back'))
  assertSameTree(local('copy-back'), local('some'))
  // What was copied does not depend on where it came from.
  await succeed('rm', '-r', '/w/moved')
  rmSync(local('copy-back'), { recursive: true })
  await succeed('get', '-r', '/w/copy', local('copy-back'))
  assertSameTree(local('copy-back'), local('some'))
  await succeed('mv', '/w/copy/d1', '/w/copy/d2', '/w')
  assert.equal((await listed('/w')).includes('/w/d2/e2/file-2.txt'), true)
  await succeed('rm', '/w/d2/e2/file-2.txt')
  assert.equal((await listed('/w')).includes('/w/d2/e2/file-2.txt'), false)
})

test('what is wrong is said, with an exit code, and does nothing', async () => {
  const refused: [number, RegExp, ...string[]][] = [
    [1, /no such file/, 'put', local('absent'), '/x'],
    [1, /nothing at \/absent/, 'get', '/absent', local('x')],
    [1, /nothing at \/absent/, 'ls', '/absent'],
    [1, /nothing/, 'rm', '/absent'],
    [1, /nothing at \/absent/, 'mv', '/absent', '/x'],
    [2, /-r takes it/, 'put', root, '/x'],
    [2, /usage/, 'put', '/x'],
    [2, /one side is in the store/, 'cp', local('a'), local('b')],
    [2, /sources are all local, or all/, 'cp', local('a'), 'cairn:/b', 'cairn:/c'],
  ]
  for (const [code, reason, ...args] of refused) {
    const result = await cairn(...args)
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stdout}${result.stderr}`)
    assert.match(result.stdout + result.stderr, reason)
  }
  assert.equal(existsSync(local('x')), false)
  writeFileSync(local('one'), 'one')
  await succeed('put', local('one'), '/errors/file')
  const intoFile = await cairn('put', local('one'), '/errors/file/below')
  assert.equal(intoFile.code, 1)
  assert.equal((await cairn('rm', '/errors')).code, 1)
  assert.deepEqual(await listed('/errors'), ['/errors/file'])
  const nobody = await runCairn(['ls', '--filer', `127.0.0.1:${await freePort()}`])
  assert.equal(nobody.code, 1)
})
