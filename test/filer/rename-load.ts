/** The rename of a large directory, while others read, list and write: nobody sees files under both of its names. */
import assert from 'node:assert/strict'
import type { Bucket } from '../../src/objects/object-store.ts'
import { type FilerKit, startFiler } from './filer-kit.ts'

const PUTS_AT_ONCE = 500
const MOVES = [
  ['one', 'two'],
  ['two', 'three'],
  ['three', 'a'],
] as const

const nameOf = (number: number) =>
  `${String(number % 100).padStart(2, '0')}/${String(number).padStart(5, '0')}`

/** Small objects without bytes: what is tested is names. */
async function fill(filer: FilerKit, bucket: Bucket, files: number): Promise<void> {
  for (let at = 0; at < files; at += PUTS_AT_ONCE) {
    const puts = Array.from({ length: PUTS_AT_ONCE }, (_, i) => {
      const body = { sizeBytes: 0, whole: Buffer.alloc(0), async *pieces() {} }
      return filer.objects.put({ bucket, key: `one/${nameOf(at + i)}`, body, attributes: {} })
    })
    await Promise.all(puts)
  }
}

/** Names below a directory, by the store's own listing. */
async function keysBelow(filer: FilerKit, bucket: Bucket, directory: string): Promise<number> {
  let count = 0
  let after: string | undefined
  do {
    const page = await filer.objects.list({ bucket, prefix: `${directory}/`, after, limit: 1000 })
    count += page.objects.length
    after = page.next
  } while (after !== undefined)
  return count
}

/** A write waits for the end of a rename, but not for ever: then it is told to come again. */
async function putPatiently(filer: FilerKit, path: string): Promise<number> {
  for (;;) {
    const { status } = await filer.put(path, 'late')
    if (status !== 503) return status
  }
}

/** So many files, a multiple of 500. `metadata`: URL of PostgreSQL; SQLite without it. Gives how often others looked. */
export async function renameBesideReaders(
  files: number,
  options: { metadata?: string } = {},
): Promise<{ listings: number; finds: number }> {
  const filer = await startFiler(options)
  await filer.put('/first', 'x')
  const bucket = (await filer.objects.bucket('files'))!
  await fill(filer, bucket, files)
  let isOver = false
  const seen = { listings: 0, finds: 0 }
  /** In one page of a listing a directory is under one name: all of it. */
  const lister = async () => {
    while (!isOver) {
      const { objects } = await filer.objects.list({ bucket, limit: 1000 })
      const tops = new Set(objects.map(({ key }) => key.slice(0, -nameOf(0).length)))
      tops.delete('')
      assert.ok(tops.size <= 1, `one page shows ${[...tops].join(' and ')}`)
      const roots = (await filer.names('/')).filter((name) => name !== 'first')
      assert.equal(roots.length, 1, roots.join(' '))
      seen.listings++
      await filer.clockTick()
    }
  }
  /** Once a file was seen at its new name, no file is at the old one any more. */
  const finder = async (from: string, to: string, over: () => boolean) => {
    for (let number = 0; !over(); number = (number + 7_919) % files) {
      const there = await filer.objects.stat(bucket, `${to}/${nameOf(number)}`)
      const other = (number + 10_007) % files
      const old = await filer.objects.stat(bucket, `${from}/${nameOf(other)}`)
      assert.ok(there === undefined || old === undefined, `${number} is new, ${other} is old`)
      if (there === undefined) assert.ok(old !== undefined || (await isRenamed(to)), `${other} is nowhere`)
      seen.finds++
      await filer.clockTick()
    }
  }
  const isRenamed = async (to: string) => (await filer.objects.stat(bucket, to)) !== undefined
  const failed = (error: unknown) => {
    isOver = true
    throw error
  }
  const listing = lister().catch(failed)
  try {
    for (const [from, to] of MOVES) {
      let isRenaming = true
      const finding = finder(from, to, () => isOver || !isRenaming).catch(failed)
      const moved = filer.ask({ method: 'POST', path: `/${to}?mv.from=/${from}` })
      // Below the new name, so that it must wait; before the rename has begun it would be in its way.
      while (!(await isRenamed(to))) await filer.clockTick()
      const writing = putPatiently(filer, `/${to}/late`)
      assert.equal((await moved).status, 204)
      isRenaming = false
      await finding
      assert.equal(await writing, 201)
      assert.equal(await keysBelow(filer, bucket, from), 0)
      await filer.ask({ method: 'DELETE', path: `/${to}/late` })
      assert.ok((await keysBelow(filer, bucket, to)) >= files)
    }
    isOver = true
    await listing
    assert.ok(seen.listings > 3 && seen.finds > 20, JSON.stringify(seen))
    for (let number = 0; number < files; number += 997)
      assert.equal((await filer.get(`/a/${nameOf(number)}`)).status, 200)
    return seen
  } finally {
    isOver = true
    await filer.close()
  }
}
