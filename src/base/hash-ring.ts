/**
 * Consistent hashing: each node has many points on a ring of 2^32 places, and a key belongs to the nodes whose points come
 * next behind its own place. A node that comes or goes moves only the keys that are its share.
 */
import { createHash } from 'node:crypto'
import { assert } from './assert.ts'

/** Points of one node: with these the largest share of three nodes is about a tenth above the mean. */
const POINTS_PER_NODE = 160

export class HashRing {
  readonly #places: Uint32Array
  /** Of each point: nodes in the order in which they are asked. */
  readonly #nodes: readonly (readonly number[])[]

  /** `names`: of the nodes; their order does not matter for where keys go. `copies`: nodes of one key. */
  constructor(names: readonly string[], copies: number) {
    assert(copies >= 1 && copies <= names.length, 'as many copies as there are nodes, at most')
    const points = names.flatMap((name, node) => pointsOf(name).map((place) => ({ place, node })))
    points.sort((a, b) => a.place - b.place || (names[a.node]! < names[b.node]! ? -1 : 1))
    this.#places = Uint32Array.from(points, ({ place }) => place)
    this.#nodes = points.map((_, at) => {
      const found = new Set<number>()
      for (let step = 0; found.size < copies; step++) found.add(points[(at + step) % points.length]!.node)
      return [...found]
    })
  }

  /** Nodes of a key, by their numbers in `names`. `place`: 32 bits of the key's hash. */
  nodesOf(place: number): readonly number[] {
    let [low, high] = [0, this.#places.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#places[middle]! < place) low = middle + 1
      else high = middle
    }
    return this.#nodes[low % this.#nodes.length]!
  }
}

function pointsOf(name: string): number[] {
  const points: number[] = []
  for (let block = 0; points.length < POINTS_PER_NODE; block++) {
    const digest = createHash('sha256').update(`${name}#${block}`).digest()
    for (let at = 0; at < digest.length; at += 4) points.push(digest.readUInt32BE(at))
  }
  return points.slice(0, POINTS_PER_NODE)
}
