/** Which server has a file: by the hash of its whole path, modulo the number of servers, or on a ring of hashes. */
import { createHash } from 'node:crypto'
import { StoreError } from '../../base/errors.ts'
import { HASHSTORE_RING_POINTS } from '../../base/limits.ts'

export const PLACEMENTS = ['modulo', 'ring'] as const
export type Placement = (typeof PLACEMENTS)[number]

export interface Machine {
  host: string
  port: number
}

/** The place of a path in the list of machines. */
export type Place = (path: Buffer) => number

/** Reads `machineconf.txt`: `ip,port` a line. Throws `bad_request`. */
export function parseMachines(text: string): Machine[] {
  const lines = text.split('\n').map((line) => line.trim())
  while (lines.at(-1) === '') lines.pop()
  if (lines.length === 0) throw new StoreError('bad_request', 'it names no server')
  return lines.map((line, at) => {
    const [, host, digits] = /^([^\s,]+)\s*,\s*(\d{1,5})$/.exec(line) ?? []
    const port = Number(digits)
    if (host === undefined || port < 1 || port > 65_535)
      throw new StoreError('bad_request', `line ${at + 1} is not ip,port: ${line}`)
    return { host, port }
  })
}

export const nameOfMachine = ({ host, port }: Machine) => `${host},${port}`

export function placeWith(placement: Placement, machines: readonly Machine[]): Place {
  return placement === 'modulo' ? placeByModulo(machines.length) : placeOnRing(machines)
}

/** As the first clients do: the last four hex digits of the MD5. */
function placeByModulo(count: number): Place {
  return (path) => md5(path).readUInt16BE(14) % count
}

/** Each server has many points on the ring, and the files up to each: one more server takes a share from all the others. */
function placeOnRing(machines: readonly Machine[]): Place {
  const points = machines.flatMap((machine, index) =>
    Array.from({ length: HASHSTORE_RING_POINTS }, (_, at) => ({
      hash: hashOf(Buffer.from(`${nameOfMachine(machine)}#${at}`)),
      index,
    })),
  )
  points.sort((a, b) => a.hash - b.hash || a.index - b.index)
  return (path) => {
    const hash = hashOf(path)
    let [low, high] = [0, points.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (points[middle]!.hash < hash) low = middle + 1
      else high = middle
    }
    return points[low % points.length]!.index
  }
}

/** The first 48 bits. */
const hashOf = (bytes: Buffer) => md5(bytes).readUIntBE(0, 6)

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest()
