/** The ring: shares that are about even, few keys that move, and the same places whatever the order of the nodes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HashRing } from './hash-ring.ts'
import { seededRandom } from './random.ts'

const random = seededRandom(7)
const places = Array.from({ length: 20_000 }, () => random.u32())
const names = ['10.0.0.1:7900', '10.0.0.2:7900', '10.0.0.3:7900', '10.0.0.4:7900']

test('each key has as many different nodes as it has copies, and the nodes have about even shares', () => {
  const ring = new HashRing(names, 3)
  const counts = [0, 0, 0, 0]
  for (const place of places) {
    const nodes = ring.nodesOf(place)
    assert.equal(new Set(nodes).size, 3)
    counts[nodes[0]!]!++
  }
  for (const count of counts) assert.ok(count > 20_000 * 0.2 && count < 20_000 * 0.3, String(counts))
})

test('a node that comes takes its share and moves nothing else; the order of nodes does not matter', () => {
  const before = new HashRing(names.slice(0, 3), 1)
  const after = new HashRing(names, 1)
  const turned = new HashRing([...names].reverse(), 1)
  let moved = 0
  for (const place of places) {
    const [from, to] = [before.nodesOf(place)[0]!, after.nodesOf(place)[0]!]
    if (from !== to) {
      assert.equal(to, 3)
      moved++
    }
    assert.equal(names.length - 1 - turned.nodesOf(place)[0]!, to)
  }
  assert.ok(moved > 20_000 * 0.2 && moved < 20_000 * 0.3, String(moved))
})
