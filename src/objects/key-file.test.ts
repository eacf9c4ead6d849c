/** The file of encryption keys: what is written is read back, and nothing else is taken for keys. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from '../base/random.ts'
import { formatKeyFile, newInstallationKey, parseKeyFile } from './key-file.ts'

test('generations in their order', () => {
  const keys = [1_000, 2_000].map((nowMs) => newInstallationKey(nowMs, systemRandom.bytes))
  const text = formatKeyFile(keys)
  assert.deepEqual(parseKeyFile(text), keys)
  assert.deepEqual(parseKeyFile(`${text}\n# a comment\n`), keys)
  const lines = text.split('\n').length
  for (const [wrong, message] of [
    ['', /there are no keys/],
    ['# only a comment\n', /there are no keys/],
    [`${text}x\n`, new RegExp(`^line ${lines} is no key`)],
    [text.slice(0, -3), /is no key/],
    [text.replace('Z ', ' '), /is no key/],
    [`${text}${text}`, /has the id of another key/],
  ] as const)
    assert.throws(
      () => parseKeyFile(wrong),
      ({ message: said }: Error) => message.test(said),
      String(message),
    )
})
