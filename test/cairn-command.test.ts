/** The program from outside: how it finds its Node, what it answers to wrong use, and its exit codes. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMMAND_NAMES } from '../src/cli/commands.ts'

const ROOT = join(import.meta.dirname, '..')
const RUN_MS_MAX = 60_000

function cairn(
  words: string[],
  { program = join(ROOT, 'bin', 'cairn'), env = {} as Record<string, string> } = {},
) {
  // A directory without `node`, `npm` or anything else of ours: the command must find its own.
  const path = '/usr/bin:/bin'
  const result = spawnSync(program, words, {
    encoding: 'utf8',
    timeout: RUN_MS_MAX,
    cwd: tmpdir(),
    env: { PATH: path, HOME: tmpdir(), ...env },
  })
  return { code: result.status, out: result.stdout, err: result.stderr }
}

test('cairn --version, through links, from any directory', (t) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const directory = mkdtempSync(join(tmpdir(), 'cairn link '))
  t.after(() => rmSync(directory, { recursive: true }))
  mkdirSync(join(directory, 'bin'))
  symlinkSync(join(ROOT, 'bin', 'cairn'), join(directory, 'first'))
  symlinkSync('../first', join(directory, 'bin', 'second'))
  for (const program of [join(ROOT, 'bin', 'cairn'), join(directory, 'bin', 'second')]) {
    assert.deepEqual(cairn(['--version'], { program }), { code: 0, out: `${version}\n`, err: '' })
  }
})

test('help is on standard output and names every command', () => {
  const { code, out, err } = cairn(['--help'])
  assert.deepEqual([code, err], [0, ''])
  for (const name of COMMAND_NAMES) assert.match(out, new RegExp(`^  ${name} `, 'm'))
  const server = cairn(['server', '--help'])
  assert.equal(server.code, 0)
  assert.match(server.out, /--volume-size-limit <SIZE>/)
  assert.match(server.out, /CAIRN_VOLUME_SIZE_LIMIT/)
  assert.deepEqual(cairn(['help', 'server']), server)
})

test('wrong use: one line, exit code 2, nothing on standard output', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-use-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'cairn.toml')
  writeFileSync(file, 'sinc = "none"\n')
  const wrong: [string[], RegExp, Record<string, string>?][] = [
    [['serve'], /unknown command 'serve'/],
    [['server', '--sinc', 'none'], /unknown option '--sinc'/],
    [['server', '--sync', 'often'], /--sync must be one of none, batch, always, not "often"/],
    [['server', '--workers'], /argument missing/],
    [['server', 'now'], /too many arguments/],
    [['server'], /CAIRN_WORKERS must be from 1 to 64, not "many"/, { CAIRN_WORKERS: 'many' }],
    [['server', '--config', file], /there is no setting sinc/],
    [['server'], /cannot read the configuration file \/nowhere/, { CAIRN_CONFIG: '/nowhere' }],
    [['server', '--tls-cert', 'a.pem'], /--tls-cert and --tls-key go together/],
  ]
  for (const [words, expected, env] of wrong) {
    const { code, out, err } = cairn(words, { env })
    assert.deepEqual([code, out], [2, ''], words.join(' '))
    assert.match(err, expected)
    assert.match(err, /^cairn: /)
    assert.doesNotMatch(err, / at .*\.ts:/)
  }
})
