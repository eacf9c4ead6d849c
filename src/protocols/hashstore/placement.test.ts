import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMachines, placeWith } from './placement.ts'

const machines = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ host: `10.0.0.${at}`, port: 10_001 }))
const paths = Array.from({ length: 20_000 }, (_, at) => Buffer.from(`e:\\pics\\${at}.gif`))

test('modulo is what the first clients compute', () => {
  // Their MD5 ends in ace1, 67a6 and 427e.
  const place = placeWith('modulo', machines(3))
  const ends = ['e:\\pics\\x.gif', 'x', ''].map((path) => place(Buffer.from(path)))
  assert.deepEqual(ends, [1, 2, 0])
})

test('on the ring, one more server takes its share, and only its share moves', () => {
  const [before, after] = [placeWith('ring', machines(5)), placeWith('ring', machines(6))]
  const counts = new Array(6).fill(0)
  let moved = 0
  for (const path of paths) {
    const place = after(path)
    counts[place]++
    if (place === before(path)) continue
    moved++
    assert.equal(place, 5, 'a file moves to the new server only')
  }
  assert.ok(moved > paths.length / 6 / 1.5 && moved < (paths.length / 6) * 1.5, `${moved} moved`)
  for (const count of counts)
    assert.ok(count > paths.length / 6 / 1.5 && count < (paths.length / 6) * 1.5, `${counts}`)
})

test('the ring does not depend on the order of the lines', () => {
  const list = machines(4)
  const reversed = list.toReversed()
  const [place, other] = [placeWith('ring', list), placeWith('ring', reversed)]
  for (const path of paths.slice(0, 500)) assert.equal(list[place(path)], reversed[other(path)])
})

test('machine files', () => {
  const two = [
    { host: '127.0.0.1', port: 10_001 },
    { host: 'ds2.example', port: 10_002 },
  ]
  assert.deepEqual(parseMachines('127.0.0.1,10001\r\nds2.example , 10002\n\n'), two)
  for (const text of ['', '\n', '127.0.0.1', '127.0.0.1,0', '127.0.0.1,70000', 'a,1\n\nb,2', 'a,1,2'])
    assert.throws(() => parseMachines(text), { code: 'bad_request' }, text)
})
