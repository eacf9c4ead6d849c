/** Directories over HTTP: made, listed, removed, renamed, and files copied. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FilerKit, startFiler } from './filer-kit.ts'

let filer: FilerKit
before(async () => {
  filer = await startFiler()
})
after(() => filer.close())

const JSON_TYPE = { Accept: 'application/json' }
const mkdir = (path: string) => filer.ask({ method: 'POST', path })
const remove = (path: string) => filer.ask({ method: 'DELETE', path })
const move = (from: string, to: string) =>
  filer.ask({ method: 'POST', path: `${to}?mv.from=${encodeURIComponent(from)}` })
const copy = (from: string, to: string, more = '') =>
  filer.ask({ method: 'POST', path: `${to}?cp.from=${encodeURIComponent(from)}${more}` })

test('before the first file there is an empty root', async () => {
  const empty = await startFiler()
  const listing = (await empty.get('/', JSON_TYPE)).json()
  const keys = 'Version Path Entries Limit LastFileName ShouldDisplayLoadMore EmptyFolder'
  assert.equal(Object.keys(listing).join(' '), keys)
  const { Version, ...rest } = listing
  assert.equal(Version, 'Cairn 0.0.0')
  const nothing = { LastFileName: '', ShouldDisplayLoadMore: false, EmptyFolder: true }
  assert.deepEqual(rest, { Path: '', Entries: null, Limit: 1000, ...nothing })
  assert.equal((await empty.get('/x')).status, 404)
  assert.equal((await empty.ask({ method: 'DELETE', path: '/x' })).status, 204)
  await empty.close()
})

test('POST to a path with a slash and no type makes a directory, once', async () => {
  const made = await mkdir('/mk/sub/')
  assert.equal(made.status, 201)
  assert.equal(made.text, '{"name":"sub"}')
  const again = await mkdir('/mk/sub/')
  assert.equal(again.status, 409)
  assert.equal(again.text, '{"error":"dir /mk/sub already exists"}')
  assert.deepEqual(await filer.names('/mk'), ['sub/'])
  const listing = (await filer.get('/mk/sub', JSON_TYPE)).json()
  assert.deepEqual([listing.Path, listing.Entries, listing.EmptyFolder], ['/mk/sub', null, true])
  assert.equal((await mkdir('/')).status, 409)
})

test('a file makes its directories, which stay when it goes', async () => {
  await filer.put('/stay/a/b/f', 'x')
  await remove('/stay/a/b/f')
  assert.deepEqual(await filer.names('/stay/a'), ['b/'])
  const { Entries } = (await filer.get('/stay', JSON_TYPE)).json() as { Entries: { Mode: number }[] }
  assert.equal(Entries[0]!.Mode, 2 ** 31 + 0o771)
})

test('a file is no directory, and a directory no file', async () => {
  await filer.put('/kinds/file', 'x')
  await mkdir('/kinds/dir/')
  assert.equal((await filer.put('/kinds/file/below', 'x')).status, 409)
  assert.equal((await filer.put('/kinds/dir', 'x')).status, 409)
  assert.equal((await mkdir('/kinds/file/')).status, 409)
  assert.equal((await mkdir('/kinds/file/sub/')).status, 409)
  assert.equal((await filer.get('/kinds/file/')).status, 404)
  assert.equal((await filer.put('/kinds/new/', 'x')).status, 400)
  const posted = await filer.post('/kinds/dir', { content: 'in it', filename: 'f.txt' })
  assert.equal(posted.status, 201)
  assert.equal((await filer.get('/kinds/dir/f.txt')).text, 'in it')
  const named = { 'Content-Disposition': 'attachment; filename=n.txt', 'Content-Type': 'text/plain' }
  assert.equal((await filer.put('/kinds/dir/', 'named', named)).status, 201)
  assert.equal((await filer.get('/kinds/dir/n.txt')).text, 'named')
})

test('pages by limit and lastFileName, patterns that take and leave names', async () => {
  for (const name of ['a.jpg', 'a.txt', 'b.jpg', 'b.txt', 'c.jpg', 'IMG_1.JPG'])
    await filer.put(`/list/${name}`, name)
  await mkdir('/list/dir/')
  const list = async (query: string) => {
    const listing = (await filer.get(`/list/?${query}`, JSON_TYPE)).json()
    const entries = (listing.Entries ?? []) as { FullPath: string }[]
    const names = entries.map(({ FullPath }) => FullPath.slice('/list/'.length)).join(' ')
    return `${names} | ${listing.Limit} ${listing.LastFileName} ${listing.ShouldDisplayLoadMore}`
  }
  assert.equal(await list(''), 'IMG_1.JPG a.jpg a.txt b.jpg b.txt c.jpg dir | 1000 dir false')
  assert.equal(await list('limit=2'), 'IMG_1.JPG a.jpg | 2 a.jpg true')
  assert.equal(await list('limit=2&lastFileName=a.jpg'), 'a.txt b.jpg | 2 b.jpg true')
  assert.equal(await list('limit=7'), 'IMG_1.JPG a.jpg a.txt b.jpg b.txt c.jpg dir | 7 dir false')
  assert.equal(await list('lastFileName=dir'), ' | 1000 dir false')
  assert.equal(await list('namePattern=*.jpg'), 'a.jpg b.jpg c.jpg | 1000 c.jpg false')
  assert.equal(await list('namePattern=*.jpg&limit=2'), 'a.jpg b.jpg | 2 b.jpg true')
  assert.equal(await list('namePattern=*.jpg&limit=2&lastFileName=b.jpg'), 'c.jpg | 2 c.jpg false')
  assert.equal(await list('namePattern=b.*'), 'b.jpg b.txt | 1000 b.txt false')
  assert.equal(await list('namePattern=?.txt&namePatternExclude=b*'), 'a.txt | 1000 a.txt false')
  assert.equal(await list('namePatternExclude=*.*'), 'dir | 1000 dir false')
  assert.equal((await filer.get('/list/?limit=many', JSON_TYPE)).status, 400)
  assert.equal((await filer.get('/nothing/', JSON_TYPE)).status, 404)
  const pretty = await filer.get('/list/?pretty=y&limit=1', JSON_TYPE)
  assert.match(pretty.text, /^\{\n {2}"Version": "Cairn 0\.0\.0",\n/)
})

test('a directory of more entries than one page of the store has', async () => {
  const puts = Array.from({ length: 1_100 }, (_, i) => `/many/${String(i).padStart(5, '0')}`)
  for (let at = 0; at < puts.length; at += 100) {
    await Promise.all(puts.slice(at, at + 100).map((path) => filer.put(path, 'x')))
  }
  const listing = (await filer.get('/many?limit=5000', JSON_TYPE)).json()
  const entries = listing.Entries as { FullPath: string }[]
  assert.deepEqual(
    entries.map(({ FullPath }) => FullPath),
    puts,
  )
  assert.equal(listing.ShouldDisplayLoadMore, false)
  const first = (await filer.get('/many', JSON_TYPE)).json()
  assert.equal((first.Entries as object[]).length, 1000)
  assert.equal(first.ShouldDisplayLoadMore, true)
  assert.equal((await remove('/many?recursive=true')).status, 204)
  assert.equal((await filer.get('/many')).status, 404)
})

test('a whole page of files whose time is over, where buckets are shown', async () => {
  const shown = await startFiler({ filerBuckets: true })
  try {
    const paths = Array.from({ length: 1_001 }, (_, i) => `/a${String(i).padStart(5, '0')}?ttl=1m`)
    for (let at = 0; at < paths.length; at += 100)
      await Promise.all(paths.slice(at, at + 100).map((path) => shown.put(path, 'x')))
    await shown.put('/z', 'x')
    shown.clock.aheadMs += 120_000
    assert.deepEqual(await shown.names('/'), ['buckets/', 'z'])
  } finally {
    await shown.close()
  }
})

test('the page for people: escaped, linked, without a script', async () => {
  const evil = '<img src=x onerror=alert(1)>"\'&.txt'
  await filer.put(`/page/${encodeURIComponent(evil)}`, 'x'.repeat(2_000))
  await filer.put('/page/sub%20dir/%23%3F.txt', 'x')
  await filer.put('/page/a', 'x')
  const page = await filer.get('/page?limit=2', { Accept: 'text/html,application/json' })
  assert.equal(page.status, 200)
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8')
  assert.match(page.headers['content-security-policy'] as string, /default-src 'none'/)
  assert.ok(!page.text.includes('<img'))
  assert.ok(!page.text.includes('<script'))
  assert.ok(page.text.includes('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;.txt'))
  assert.ok(page.text.includes('href="/page/%3Cimg%20src%3Dx'))
  assert.ok(page.text.includes('1.95 KiB'))
  assert.ok(page.text.includes('next »'))
  assert.ok(page.text.includes('href="/"'))
  const next = /href="([^"]+)">next/.exec(page.text)![1]!.replaceAll('&amp;', '&')
  const second = await filer.get(next)
  assert.ok(second.text.includes('href="/page/sub%20dir/"'))
  assert.ok(!second.text.includes('next »'))
  const below = await filer.get('/page/sub%20dir/')
  assert.ok(below.text.includes('<a href="/page/">page</a>'))
  const head = await filer.ask({ method: 'HEAD', path: '/page/sub%20dir/' })
  assert.equal(head.headers['content-length'], below.headers['content-length'])
  const hostile = await filer.get(`/page/?namePattern=${encodeURIComponent('"><script>*')}&lastFileName=x`)
  assert.ok(!hostile.text.includes('<script'))
})

test('a directory goes when it is empty, or with all in it', async () => {
  await filer.put('/rm/a/f', 'x')
  const refused = await remove('/rm')
  assert.equal(refused.status, 500)
  assert.equal(refused.text, '{"error":"delete directory /rm: fail to delete non-empty folder: /rm"}')
  assert.equal((await filer.get('/rm/a/f')).status, 200)
  assert.equal(
    (await remove('/rm/a/?recursive=true&ignoreRecursiveError=true&skipChunkDeletion=false')).status,
    204,
  )
  assert.deepEqual(await filer.names('/rm'), [])
  assert.equal((await remove('/rm/')).status, 204)
  assert.equal((await filer.get('/rm')).status, 404)
  assert.equal((await remove('/')).status, 400)
  await filer.put('/rm2/f', 'x')
  assert.equal((await filer.put('/rm2/f/g', 'x')).status, 409)
  await remove('/rm2?recursive=true')
  assert.equal((await filer.put('/rm2', 'a file now')).status, 201)
})

test('mv.from: files and directories, to a name or into a directory', async () => {
  await filer.put('/mv/f', 'file', { 'Seaweed-Owner': 'bob' })
  await filer.put('/mv/d/x', 'in d')
  assert.equal((await move('/mv/f', '/mv/new/g')).status, 204)
  const moved = await filer.get('/mv/new/g')
  assert.deepEqual([moved.text, moved.headers['seaweed-owner']], ['file', 'bob'])
  assert.equal((await filer.get('/mv/f')).status, 404)
  assert.equal((await move('/mv/new/g', '/mv/d')).status, 204)
  assert.equal((await filer.get('/mv/d/g')).text, 'file')
  assert.equal((await move('/mv/d/g', '/mv/new/')).status, 204)
  assert.equal((await filer.get('/mv/new/g')).text, 'file')
  assert.equal((await move('/mv/d', '/mv/new')).status, 204)
  assert.equal((await filer.get('/mv/new/d/x')).text, 'in d')
  assert.equal((await move('/mv/new/d', '/mv/e')).status, 204)
  assert.deepEqual(await filer.names('/mv'), ['e/', 'new/'])
  await filer.put('/mv/h', 'over')
  assert.equal((await move('/mv/h', '/mv/new/g')).status, 204)
  assert.equal((await filer.get('/mv/new/g')).text, 'over')
  assert.equal((await move('/mv/e', '/mv/new/g')).status, 400)
  assert.equal((await move('/mv/none', '/mv/x')).status, 400)
  assert.equal((await move('/', '/mv/x')).status, 400)
  assert.equal((await move('/mv', '/mv/e/mv')).status, 409)
  assert.equal((await move('/mv/new/g', '/mv/new/g')).status, 204)
  assert.equal((await filer.get('/mv/new/g')).text, 'over')
})

test('cp.from: a file, over another one only when that is asked for', async () => {
  await filer.put('/cp/f.txt', 'one', { 'Seaweed-Owner': 'bob' })
  assert.equal((await copy('/cp/f.txt', '/cp/sub/g.txt')).status, 204)
  const copied = await filer.get('/cp/sub/g.txt')
  assert.deepEqual([copied.text, copied.headers['seaweed-owner']], ['one', 'bob'])
  await filer.put('/cp/f.txt', 'two')
  assert.equal((await filer.get('/cp/sub/g.txt')).text, 'one')
  assert.equal((await copy('/cp/f.txt', '/cp/sub/g.txt')).status, 409)
  assert.equal((await copy('/cp/f.txt', '/cp/sub/g.txt', '&overwrite=true')).status, 204)
  assert.equal((await filer.get('/cp/sub/g.txt')).text, 'two')
  assert.equal((await copy('/cp/f.txt', '/cp/sub/')).status, 204)
  assert.equal((await filer.get('/cp/sub/f.txt')).text, 'two')
  assert.equal((await copy('/cp/sub', '/cp/other')).status, 400)
  assert.equal((await copy('/cp/none', '/cp/other')).status, 400)
  await remove('/cp/f.txt')
  assert.equal((await filer.get('/cp/sub/f.txt')).text, 'two')
  const big = Buffer.alloc(9_000_000, 'b')
  await filer.put('/cp/big', big)
  await copy('/cp/big', '/cp/big2')
  await remove('/cp/big')
  assert.ok((await filer.get('/cp/big2')).body.equals(big))
})

test('a quota that is full answers 507', async () => {
  await filer.put('/quota/f', 'x')
  const bucket = (await filer.objects.bucket('files'))!
  const { bytes } = await filer.objects.usage(bucket)
  await filer.objects.changeBucket(bucket, { quotaBytes: bytes + 10 })
  assert.equal((await filer.put('/quota/small', 'x')).status, 201)
  assert.equal((await filer.put('/quota/large', 'x'.repeat(100))).status, 507)
  assert.equal((await filer.get('/quota/large')).status, 404)
  await filer.objects.changeBucket(bucket, { quotaBytes: 0 })
})

test('other buckets are shown only where that is allowed', async () => {
  await filer.objects.createBucket({ name: 'photos', owner: 'root' })
  for (const path of ['/buckets', '/buckets/', '/buckets/photos/x', '/buckets%2fphotos/x']) {
    assert.equal((await filer.get(path)).status, 403, path)
    assert.equal((await filer.put(`${path}y`.replace(/buckets[y/]*$/, 'buckets'), 'x')).status, 403, path)
  }
  assert.equal((await move('/buckets/photos/x', '/x')).status, 403)
  const open = await startFiler({ filerBuckets: true })
  assert.deepEqual(await open.names('/'), ['buckets/'])
  await open.objects.createBucket({ name: 'photos', owner: 'root' })
  assert.equal((await open.put('/buckets/photos/a/b.txt', 'in photos')).status, 201)
  assert.equal((await open.get('/buckets/photos/a/b.txt')).text, 'in photos')
  await open.put('/first', 'x')
  await open.put('/zz', 'x')
  assert.deepEqual(await open.names('/'), ['buckets/', 'first', 'zz'])
  assert.deepEqual(await open.names('/?limit=1&lastFileName=buckets'), ['first'])
  assert.deepEqual(await open.names('/buckets'), ['files/', 'photos/'])
  assert.deepEqual(await open.names('/buckets/photos'), ['a/'])
  assert.equal((await open.get('/buckets/none/x')).status, 404)
  assert.equal((await open.put('/buckets/none/x', 'x')).status, 404)
  const made = await open.ask({ method: 'POST', path: '/buckets/made/' })
  assert.deepEqual([made.status, made.text], [201, '{"name":"made"}'])
  assert.equal((await open.ask({ method: 'POST', path: '/buckets/made/' })).status, 409)
  const mixed = await open.ask({ method: 'POST', path: '/x?mv.from=/buckets/photos/a/b.txt' })
  assert.equal(mixed.status, 400)
  const copied = await open.ask({ method: 'POST', path: '/copied?cp.from=/buckets/photos/a/b.txt' })
  assert.equal(copied.status, 204)
  assert.equal((await open.get('/copied')).text, 'in photos')
  assert.equal((await open.ask({ method: 'DELETE', path: '/buckets/photos' })).status, 500)
  assert.equal((await open.ask({ method: 'DELETE', path: '/buckets/photos?recursive=true' })).status, 204)
  assert.deepEqual(await open.names('/buckets'), ['files/', 'made/'])
  await open.close()
})
