/** The documents that describe the code say what the code says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configurationPage } from '../script/docs.ts'
import { ERROR_CODES } from '../src/base/errors.ts'
import { allCommands, COMMAND_NAMES, loadCommands } from '../src/cli/commands.ts'
import { COMMON_SETTINGS, nameOf, SETTINGS, type SettingKey, variableOf } from '../src/cli/config.ts'

const ROOT = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const KEYS = Object.keys(SETTINGS) as SettingKey[]

test('docs/configuration.md is what script/docs.ts writes', async () => {
  assert.equal(read('docs/configuration.md'), await configurationPage(), 'run: node script/docs.ts')
})

test('docs/errors.md explains each error code, and no other', () => {
  const described = [...read('docs/errors.md').matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code)
  assert.deepEqual(described, [...ERROR_CODES])
})

test('each command is loaded by its name, alone', async () => {
  for (const name of COMMAND_NAMES) {
    const loaded = await loadCommands(name)
    assert.deepEqual(
      loaded.map((command) => command.name),
      [name],
    )
  }
  assert.equal((await loadCommands('no such command')).length, COMMAND_NAMES.length)
})

test('each setting has a name of its own and a command that uses it', async () => {
  assert.equal(new Set(KEYS.map(nameOf)).size, KEYS.length)
  assert.equal(new Set(KEYS.map(variableOf)).size, KEYS.length)
  const used = new Set<SettingKey>(COMMON_SETTINGS)
  for (const { command } of await allCommands()) for (const key of command.settings) used.add(key)
  const unused = KEYS.filter((key) => !used.has(key))
  assert.deepEqual(unused, [])
})

test('no command has two settings with one short flag', async () => {
  for (const { name, command } of await allCommands()) {
    const shorts = (command.settings as readonly SettingKey[]).map((key) => SETTINGS[key].short)
    const given = shorts.filter((short) => short !== undefined)
    assert.equal(new Set(given).size, given.length, name)
  }
})

test('each setting has a unit at the end of its key where its kind has one', () => {
  for (const key of KEYS) assert.ok(key.endsWith(SETTINGS[key].unit), key)
})

test('docs/seaweedfs.md, docs/filer.md: each yes names a test, and each test that is named exists', () => {
  const pages = read('docs/seaweedfs.md') + read('docs/filer.md')
  const rows = [...pages.matchAll(/^\| .* \| (yes|different|no) \|(.*)$/gm)]
  assert.ok(rows.length > 80)
  for (const [row, answer, rest = ''] of rows) {
    const named = [...rest.matchAll(/`(test\/[\w/.-]+\.ts): ([^`]+)`/g)]
    if (answer === 'yes') assert.ok(named.length > 0, row)
    for (const [, file = '', name = ''] of named) {
      const text = read(file)
      assert.ok(
        text.includes(`test('${name}'`) || text.includes(`test(\`${name}\``),
        `${file} has no test '${name}'`,
      )
    }
  }
})
