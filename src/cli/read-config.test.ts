/** Where a value comes from, which of several counts, and what a wrong one says. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { SettingKey } from './config.ts'
import { readConfig, readConfigFile, type Sources, unknownVariables } from './read-config.ts'
import { UsageError } from './usage-error.ts'

const MACHINE = {
  cpus: 6,
  memoryBytes: 2 ** 33,
  configDir: '/home/ann/.config/cairn',
  cacheDir: '/home/ann/.cache/cairn',
  logsToTerminal: false,
}

function read(settings: SettingKey[], sources: Partial<Sources> = {}) {
  return readConfig({
    command: 'server',
    settings,
    flags: {},
    env: {},
    file: undefined,
    machine: MACHINE,
    ...sources,
  })
}

function file(values: Record<string, unknown>) {
  return { path: 'cairn.toml', values }
}

test('a flag counts before a variable, a variable before the file, the file before the default', () => {
  const all = {
    flags: { rack: 'flag' },
    env: { CAIRN_RACK: 'variable' },
    file: file({ rack: 'file' }),
  }
  assert.equal(read(['rack'], all).rack, 'flag')
  assert.equal(read(['rack'], { ...all, flags: {} }).rack, 'variable')
  assert.equal(read(['rack'], { ...all, flags: {}, env: { CAIRN_RACK: '' } }).rack, 'file')
  assert.equal(read(['rack']).rack, 'DefaultRack')
})

test('defaults may depend on the machine and on the command', () => {
  const { workers, indexMemoryBytes, logFormat } = read(['workers', 'indexMemoryBytes'])
  assert.deepEqual([workers, indexMemoryBytes, logFormat], [6, 2 ** 31, 'json'])
  assert.equal(read(['port'], { command: 'master' }).port, 9333)
  assert.equal(read(['port'], { command: 'volume' }).port, 8080)
  assert.equal(read(['logFormat'], { machine: { ...MACHINE, logsToTerminal: true } }).logFormat, 'pretty')
})

test('a list takes commas, several flags, and an array of the file', () => {
  assert.deepEqual(read(['data'], { flags: { data: ['a,b', 'c'] } }).data, ['a', 'b', 'c'])
  assert.deepEqual(read(['data'], { env: { CAIRN_DATA: 'a,b' } }).data, ['a', 'b'])
  assert.deepEqual(read(['data'], { file: file({ data: ['a', 'b'] }) }).data, ['a', 'b'])
})

test('a scheme with a slip in it is not taken for a directory', () => {
  for (const good of ['/var/meta', 'meta', './a:b', 'postgres://u:p@h/d', 'postgresql://h/d', ''])
    assert.equal(read(['metadata'], { flags: { metadata: good } }).metadata, good)
  for (const bad of ['postgress://u:p@h/d', 'postgres:/h/d', 'sqlite:///meta', 'Postgres://h/d']) {
    const message = '--metadata must be a directory, or postgres://USER:PASSWORD@HOST/DATABASE'
    assert.throws(() => read(['metadata'], { flags: { metadata: bad } }), { message })
  }
})

test('the configuration is frozen', () => {
  const config = read(['data'])
  assert.ok(Object.isFrozen(config))
  assert.ok(Object.isFrozen(config.data))
})

test('a wrong value names where it came from', () => {
  const message = (sources: Partial<Sources>) => {
    try {
      read(['workers', 'jwtReadKey'], sources)
    } catch (error) {
      assert.ok(error instanceof UsageError)
      return error.message
    }
    throw new Error('nothing was refused')
  }
  assert.equal(message({ flags: { workers: '0' } }), '--workers must be from 1 to 64, not "0"')
  assert.equal(message({ env: { CAIRN_WORKERS: 'x' } }), 'CAIRN_WORKERS must be from 1 to 64, not "x"')
  assert.equal(
    message({ file: file({ workers: true }) }),
    'cairn.toml: workers must be from 1 to 64, not true',
  )
  assert.equal(message({ file: file({ 'jwt-read-key': 12345 }) }), 'cairn.toml: jwt-read-key must be text')
})

test('settings that contradict each other are refused', () => {
  const refused: [SettingKey[], Record<string, unknown>][] = [
    [['tlsCert', 'tlsKey'], { tlsCert: 'a.pem' }],
    [['tlsCert', 'tlsKey'], { tlsKey: 'a.pem' }],
    [['masterPort', 'volumePort'], { masterPort: '8080' }],
    [['clusterSecret'], { clusterSecret: 'short' }],
  ]
  for (const [settings, flags] of refused) assert.throws(() => read(settings, { flags }), UsageError)
  assert.ok(read(['masterPort', 'volumePort'], { flags: { masterPort: '0', volumePort: '0' } }))
})

test('a file is TOML whose keys are settings', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-config-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'cairn.toml')
  writeFileSync(path, 'sync = "none"\nvolume-size-limit = "1GiB"\ndata = ["a", "b"]\nworkers = 3\n')
  const { sync, volumeSizeLimitBytes, data, workers } = read(
    ['sync', 'volumeSizeLimitBytes', 'data', 'workers'],
    {
      file: readConfigFile(path),
    },
  )
  assert.deepEqual([sync, volumeSizeLimitBytes, data, workers], ['none', 2 ** 30, ['a', 'b'], 3])
  for (const [content, expected] of [
    ['sinc = "none"\n', /cairn\.toml: there is no setting sinc/],
    ['volumeSizeLimit = 1\n', /there is no setting volumeSizeLimit/],
    ['sync = \n', /cannot read the configuration file/],
  ] as const) {
    writeFileSync(path, content)
    assert.throws(() => readConfigFile(path), { name: 'UsageError', message: expected })
  }
  assert.throws(() => readConfigFile(join(directory, 'none.toml')), { name: 'UsageError', message: /ENOENT/ })
})

test('variables that no setting has are found', () => {
  assert.deepEqual(
    unknownVariables({ CAIRN_SINC: 'none', CAIRN_SYNC: 'none', CAIRN_CONFIG: 'x', HOME: '/' }),
    ['CAIRN_SINC'],
  )
})
