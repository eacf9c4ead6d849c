/** `upload`, `download`, `delete` and `benchmark`, and the client behind them, against a real server process. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { CairnClient } from '../../src/client/cairn-client.ts'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'

let root: string
let server: ServerProcess

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'cairn-'))
  server = await startServer(join(root, 'data'))
})
after(async () => {
  await server?.stop()
  await rm(root, { recursive: true, force: true })
})

const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, string>)
const isCode = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code

test('files go up, come back under their names, and go away', async () => {
  const [from, to] = [join(root, 'from'), join(root, 'to')]
  await mkdir(join(from, 'below'), { recursive: true })
  await mkdir(to)
  const contents: Record<string, Buffer> = {
    'a.txt': Buffer.from('some text\n'.repeat(50)),
    'below/größe "1".bin': seededRandom(1).bytes(3_000_000),
    'empty.dat': Buffer.alloc(0),
  }
  for (const [name, content] of Object.entries(contents)) await writeFile(join(from, name), content)
  const up = await runCairn(['upload', '--master', server.master, '-r', from, join(from, 'none')])
  assert.equal(up.code, 1)
  assert.match(up.stderr, /none: ENOENT/)
  const stored = lines(up.stdout)
  assert.deepEqual(stored.map((line) => line.fileName).sort(), Object.keys(contents).sort())
  for (const line of stored) {
    assert.deepEqual(Object.keys(line), ['fileName', 'fid', 'url', 'size', 'eTag'])
    assert.equal(line.url, `${server.volume}/${line.fid}`)
    assert.equal(Number(line.size), contents[line.fileName!]!.length)
  }
  const fids = stored.map((line) => line.fid!)
  const down = await runCairn([
    'download',
    '--master',
    server.master,
    '--output-dir',
    to,
    ...fids,
    '99,01aabbccdd',
  ])
  assert.equal(down.code, 1)
  assert.match(down.stderr, /99,01aabbccdd: .*volume/)
  // The volume file keeps no name for an empty file: it comes under its id.
  const empty = fidOf(stored, 'empty.dat')
  assert.deepEqual((await readdir(to)).sort(), [empty, 'a.txt', 'größe "1".bin'].sort())
  for (const [name, content] of Object.entries(contents)) {
    const path = join(to, name === 'empty.dat' ? empty : name.replace('below/', ''))
    assert.deepEqual(await readFile(path), content)
  }
  const again = await runCairn(['download', '--master', server.master, '--output-dir', to, fids[0]!])
  assert.match(again.stderr, /exists already/)
  const shown = await runCairn(['download', '--master', server.master, '-o', '-', fidOf(stored, 'a.txt')])
  assert.equal(shown.stdout, contents['a.txt']!.toString())
  const gone = await runCairn(['delete', '--master', server.master, ...fids])
  assert.deepEqual([gone.code, lines(gone.stdout).length], [0, 3])
  const twice = await runCairn(['delete', '--master', server.master, fids[0]!])
  assert.equal(twice.code, 1)
  assert.match(twice.stderr, /not_found/)
})

function fidOf(stored: Record<string, string>[], name: string): string {
  return stored.find((line) => line.fileName === name)!.fid!
}

test('the benchmark writes, reads and verifies, and prints its tables', async () => {
  const list = join(root, 'fids')
  const flags = ['--server', server.master, '--size', '3000', '-c', '8', '--list', list]
  const text = await runCairn([
    'benchmark',
    'volume',
    '-n',
    '300',
    ...flags,
    '--delete-percent',
    '10',
    '--threads',
    '2',
  ])
  assert.equal(text.code, 0, text.stderr)
  assert.match(text.stdout, /-{12} Writing Benchmark -{10}\nConcurrency Level: +8\nTime taken/)
  assert.match(text.stdout, /-{12} Randomly Reading Benchmark -{10}\n/)
  assert.equal(
    text.stdout.match(/Complete requests: +300\nFailed requests: +0\nTotal transferred: +900000 bytes/g)
      ?.length,
    2,
  )
  const fids = (await readFile(list, 'utf8')).trim().split('\n')
  assert.ok(fids.length > 200 && fids.length < 300)
  const json = await runCairn(['benchmark', 'volume', '-n', '500', ...flags, '--no-write', '--json'])
  const [report] = lines(json.stdout) as unknown as [
    { phases: { completedRequests: number; failedRequests: number }[] },
  ]
  assert.deepEqual(
    report!.phases.map(({ completedRequests, failedRequests }) => [completedRequests, failedRequests]),
    [[500, 0]],
  )
  const wrongSize = await runCairn([
    'benchmark',
    'volume',
    '-n',
    '5',
    '--server',
    server.master,
    '--no-write',
    '--list',
    list,
  ])
  assert.equal(wrongSize.code, 1)
  assert.match(wrongSize.stdout, /Failed requests: +5\n/)
})

test('wrong usage is refused with code 2', async () => {
  for (const args of [
    ['benchmark', 'disks'],
    ['benchmark', 'volume', '--no-write', '--no-read'],
    ['benchmark', 'volume', '-n', '0'],
    ['upload'],
    ['download', '-o', 'x', '1,01aabbccdd', '1,02aabbccdd'],
  ]) {
    const { code, stderr } = await runCairn(args)
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, /^cairn: /)
  }
})

test('the client keeps pairs, times, ranges and tells what is wrong', async () => {
  const client = new CairnClient({ masters: ['127.0.0.1:1', server.master] })
  try {
    const content = seededRandom(2).bytes(200_000)
    const { fid } = await client.upload(content, {
      name: 'b.bin',
      mime: 'application/x-test',
      pairs: { Owner: 'bob' },
      lastModifiedS: 1_700_000_000,
      ttl: '3d',
      collection: 'pictures',
      fsync: true,
    })
    const download = await client.download(fid)
    assert.deepEqual(
      [download.name, download.mime, download.headers.owner, download.lastModified],
      ['b.bin', 'application/x-test', 'bob', 'Tue, 14 Nov 2023 22:13:20 GMT'],
    )
    download.discard()
    const part = await client.download(fid, { range: { start: 65_000, end: 131_073 } })
    const pieces: Buffer[] = []
    for await (const piece of part.body) pieces.push(piece)
    assert.deepEqual(Buffer.concat(pieces), content.subarray(65_000, 131_073))
    const wrongCookie = fid.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
    await assert.rejects(client.download(wrongCookie), isCode('not_found'))
    await assert.rejects(client.delete(wrongCookie), isCode('bad_request'))
    assert.deepEqual(await client.downloadBytes(fid), content)
  } finally {
    client.close()
  }
})
