/** Trees of files on the local disk: made from a number, and compared byte for byte, with their modes and times. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { dataOf } from '../support/needles.ts'

/** Names that some layer between the disk and the store could take for something else. */
export const ODD_NAMES = [
  'with space',
  'a+b&c=d;e,f',
  'per%20cent%2F',
  'ques?tion#hash',
  'ümläut — 日本語 🙂',
  'quote\'double"back\\slash',
  '.hidden',
  '...',
  '-r',
  '__proto__',
  'constructor',
  'new\nline\ttab',
  'x'.repeat(255),
  '日'.repeat(85),
  '🙂'.repeat(63),
]

/** Writes `count` files of up to 20 KiB into nested directories. */
export function makeTree(root: string, count: number): void {
  for (let at = 0; at < count; at++) {
    const path = join(root, `d${at % 37}`, `e${at % 11}`, `file-${at}.txt`)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, dataOf(at, (at * 7919) % 20_000))
    utimesSync(path, 1_600_000_000 + at, 1_600_000_000 + at + 0.25)
    chmodSync(path, at % 3 === 0 ? 0o755 : 0o640)
  }
}

/** Relative paths of all files, links to files included, and of directories with a slash at the end. */
export function pathsIn(root: string, below = ''): string[] {
  const found: string[] = []
  for (const entry of readdirSync(join(root, below), { withFileTypes: true })) {
    const path = join(below, entry.name)
    const info = statSync(join(root, path), { throwIfNoEntry: false })
    if (info === undefined || (info.isDirectory() && entry.isSymbolicLink())) continue
    if (info.isDirectory()) found.push(`${path}/`, ...pathsIn(root, path))
    else if (info.isFile()) found.push(path)
  }
  return found.sort()
}

/** Same names, bytes, modes and times. Gives the number of files and their bytes. */
export function assertSameTree(actual: string, expected: string): { files: number; bytes: number } {
  const paths = pathsIn(expected)
  assert.deepEqual(pathsIn(actual), paths)
  const counts = { files: 0, bytes: 0 }
  for (const path of paths) {
    if (path.endsWith('/')) continue
    const [to, from] = [join(actual, path), join(expected, path)]
    const bytes = readFileSync(from)
    assert.ok(readFileSync(to).equals(bytes), path)
    const [toInfo, fromInfo] = [statSync(to), statSync(from)]
    assert.equal(toInfo.mode & 0o777, fromInfo.mode & 0o777, `mode of ${path}`)
    assert.ok(Math.abs(Math.floor(toInfo.mtimeMs) - Math.floor(fromInfo.mtimeMs)) <= 1, `time of ${path}`)
    counts.files++
    counts.bytes += bytes.length
  }
  return counts
}
