import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originForm } from './request-target.ts'

test('a target without the host that a proxy sends', () => {
  for (const [target, wanted] of [
    ['/a?b=http://x/y', '/a?b=http://x/y'],
    ['//x/y', '//x/y'],
    ['http://host/file?path=a', '/file?path=a'],
    ['HTTPS://[::1]:80/', '/'],
    ['http://host', '/'],
    ['http://host?a=b', '/?a=b'],
    ['*', '*'],
    ['ftp://host/x', 'ftp://host/x'],
  ] as const)
    assert.equal(originForm(target), wanted)
})
