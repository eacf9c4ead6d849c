/** Listings: what comes on a page, where the next one begins, and what is read for it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Query, Row } from '../../src/meta/meta-store.ts'
import { type ListArgs, listObjects } from '../../src/objects/list-steps.ts'
import type { ListRequest } from '../../src/objects/object-store.ts'
import { code, OneBucket } from './objects-kit.ts'

const KEYS = [
  ...['a', 'a-', 'a/', 'a/b', 'a/b/c', 'a/d', 'a//', 'a0', 'b/1', 'b/2', 'b/3', 'c', 'd--e', 'd--f', 'd-'],
  ...['é/1', 'é/2', '日', '日本/x', '日本/y', '\uffff', '\u{1f600}/1', '\u{1f600}/2', '\u{10ffff}'],
]
const sorted = KEYS.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
let one: OneBucket

before(async () => {
  one = await OneBucket.open()
  for (const key of KEYS) await one.put(key)
})
after(() => one.kit.close())

async function list(request: Omit<ListRequest, 'bucket' | 'limit'> & { limit?: number }) {
  const page = await one.store.list({ limit: 1000, ...request, bucket: one.bucket })
  return { keys: page.objects.map(({ key }) => key), prefixes: page.prefixes, next: page.next }
}

test('all keys come in the order of their bytes', async () => {
  assert.deepEqual(await list({}), { keys: sorted, prefixes: [], next: undefined })
})

test('keys up to a delimiter are shown as one prefix', async () => {
  assert.deepEqual(await list({ delimiter: '/' }), {
    keys: ['a', 'a-', 'a0', 'c', 'd-', 'd--e', 'd--f', '日', '\uffff', '\u{10ffff}'],
    prefixes: ['a/', 'b/', 'é/', '日本/', '\u{1f600}/'],
    next: undefined,
  })
  assert.deepEqual(await list({ delimiter: '--', prefix: 'd' }), {
    keys: ['d-'],
    prefixes: ['d--'],
    next: undefined,
  })
  assert.deepEqual(await list({ delimiter: '/', prefix: 'a/' }), {
    keys: ['a/', 'a/b', 'a/d'],
    prefixes: ['a//', 'a/b/'],
    next: undefined,
  })
  assert.deepEqual(await list({ delimiter: '本', prefix: '日' }), {
    keys: ['日'],
    prefixes: ['日本'],
    next: undefined,
  })
})

test('a prefix that is a key, and one that ends between', async () => {
  assert.deepEqual((await list({ prefix: 'a/b' })).keys, ['a/b', 'a/b/c'])
  assert.deepEqual((await list({ prefix: 'a/b', delimiter: '/' })).prefixes, ['a/b/'])
  assert.deepEqual((await list({ prefix: 'zzz' })).keys, [])
  assert.deepEqual((await list({ prefix: '\u{10ffff}' })).keys, ['\u{10ffff}'])
})

test('a page begins behind a key, there or not, or behind a common prefix', async () => {
  assert.deepEqual((await list({ after: 'c' })).keys[0], 'd-')
  assert.deepEqual((await list({ after: 'bzz' })).keys[0], 'c')
  assert.deepEqual((await list({ after: '\u{10ffff}' })).keys, [])
  assert.deepEqual((await list({ after: 'a/', delimiter: '/' })).prefixes[0], 'b/')
  assert.deepEqual((await list({ after: 'b/2', delimiter: '/' })).keys[0], 'c')
  assert.deepEqual((await list({ after: 'b/2', prefix: 'b/', delimiter: '/' })).keys, ['b/3'])
  assert.deepEqual((await list({ after: 'a', prefix: 'b/' })).keys, ['b/1', 'b/2', 'b/3'])
  assert.deepEqual((await list({ after: 'c', prefix: 'b/' })).keys, [])
})

test('pages of every length give all, once, and end where there is no more', async () => {
  for (const delimiter of ['', '/', '--']) {
    const whole = await list({ delimiter })
    const total = whole.keys.length + whole.prefixes.length
    for (let limit = 1; limit <= total + 1; limit++) {
      const [keys, prefixes] = [[] as string[], [] as string[]]
      let pages = 0
      for (let after: string | undefined; pages <= total; pages++) {
        const page = await list({ delimiter, after, limit })
        keys.push(...page.keys)
        prefixes.push(...page.prefixes)
        after = page.next
        if (after === undefined) break
      }
      assert.deepEqual({ keys, prefixes, next: undefined }, whole, `limit ${limit}, delimiter '${delimiter}'`)
      assert.equal(pages + 1, Math.ceil(total / limit))
    }
  }
})

test('a page of nothing, and pages that may not be', async () => {
  assert.deepEqual(await list({ limit: 0 }), { keys: [], prefixes: [], next: undefined })
  for (const limit of [-1, 1001, 1.5, Number.NaN]) await assert.rejects(list({ limit }), code('bad_request'))
  await assert.rejects(list({ prefix: '\ud800' }), code('bad_request'))
})

test('what lies below common prefixes is not read', () => {
  const count = 100_000
  const keys = Array.from({ length: count }, (_, i) => Buffer.from(`${10_000 + Math.floor(i / 1000)}/${i}`))
  const args: ListArgs = {
    ...{ bucketId: 1, prefix: Buffer.alloc(0), delimiter: Buffer.from('/') },
    ...{ after: undefined, limit: 1000 },
  }
  const steps = listObjects.steps(args)
  let [queries, read] = [0, 0]
  const answer = ({ sql, params }: Query): Row[] => {
    if (sql.includes('from bucket')) return [{ moves: 0 }]
    queries++
    const [, start, end, limit] = params as [number, Buffer, Buffer, number]
    const from = keys.findIndex((key) => key.compare(start) >= 0)
    const rows = from < 0 ? [] : keys.slice(from, from + limit).filter((key) => key.compare(end) < 0)
    read += rows.length
    return rows.map((key) => ({ key, rank: 1 }))
  }
  let step = steps.next()
  while (!step.done) step = steps.next(answer(step.value))
  assert.equal(step.value.items.length, 100)
  assert.ok(queries < 120 && read < 180, `${queries} queries read ${read} rows`)
})

test('versions come newest first, page by page, also from the middle of a key', async () => {
  const kept = await OneBucket.open()
  try {
    await kept.put('b', 'null version')
    await kept.versioning('enabled')
    for (const text of ['1', '2', '3']) await kept.put('b', text)
    await kept.store.delete({ bucket: kept.bucket, key: 'b' })
    await kept.put('a', 'a')
    await kept.put('c/1')
    await kept.put('c/2')
    const all = await kept.store.listVersions({ bucket: kept.bucket, delimiter: '/', limit: 1000 })
    assert.deepEqual(
      all.versions.map(({ key, isLatest }) => [key, isLatest]),
      [
        ['a', true],
        ['b', true],
        ['b', false],
        ['b', false],
        ['b', false],
        ['b', false],
      ],
    )
    assert.equal(all.versions[1]!.isDeleteMarker, true)
    assert.equal(all.versions[5]!.versionId, 'null')
    assert.deepEqual(all.prefixes, ['c/'])
    const behindNull = { after: 'b', afterVersionId: 'null' }
    const rest = await kept.store.listVersions({ bucket: kept.bucket, limit: 10, ...behindNull })
    assert.deepEqual(
      rest.versions.map(({ key }) => key),
      ['c/1', 'c/2'],
    )
    const second = { after: 'b', afterVersionId: all.versions[2]!.versionId }
    const middle = await kept.store.listVersions({ bucket: kept.bucket, limit: 2, ...second })
    assert.deepEqual(middle.versions, all.versions.slice(3, 5))
    assert.equal(middle.next?.key, 'b')
    const nonsense = { after: 'b', afterVersionId: 'x' }
    await assert.rejects(
      async () => kept.store.listVersions({ bucket: kept.bucket, limit: 2, ...nonsense }),
      code('bad_request'),
    )
  } finally {
    await kept.kit.close()
  }
})
