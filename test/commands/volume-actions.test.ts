/** `cairn volume check`, `fix`, `compact`, `export`, `copy` and `adopt` as programs, on volumes of the real engine. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { formatFid, parseFid } from '../../src/base/fid.ts'
import { systemRandom } from '../../src/base/random.ts'
import { findingText } from '../../src/cli/volume-actions/check.ts'
import { OfflineStore } from '../../src/disk/offline-store.ts'
import { realDisk } from '../../src/disk/real-disk.ts'
import { checkVolume, type Finding } from '../../src/disk/volume-check.ts'
import { listVolumes } from '../../src/disk/volume-facts.ts'
import { checkSeaweedVolume, readSeaweedVolume } from '../compat/seaweed-files.ts'
import { runCairn, startServer } from '../support/cairn-process.ts'
import { cookieOf, dataOf, fidOf, KIB, MIB, needleOf } from '../support/needles.ts'
import { RealStore, temporaryDirectory } from '../support/real-store.ts'

const FILES = 300

function scratch(t: TestContext): string {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  return path
}

/** Two volumes: 1 with files of all kinds, 2 of a collection. */
async function makeVolumes(directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true })
  const store = new RealStore(directory)
  await store.create(1)
  await store.create(2, 0, 'pics')
  for (let key = 1; key <= FILES; key++) await store.write(1, key, 1, (key * 37) % 3000)
  await store.write(1, 1000, 1, MIB + 200 * KIB)
  for (let key = 1; key <= 20; key++) store.remove(1, key)
  for (let key = 21; key <= 30; key++) await store.write(1, key, 2, 500)
  for (let key = 2001; key <= 2010; key++) await store.write(2, key, 1, 100)
  await store.close()
}

/** Every file of a directory with its content and times. */
function fingerprint(directory: string): string[] {
  return readdirSync(directory)
    .sort()
    .map((name) => {
      const path = join(directory, name)
      const hash = createHash('sha256').update(readFileSync(path)).digest('hex')
      return `${name} ${statSync(path).mtimeMs} ${hash}`
    })
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path)
  bytes[offset]! ^= 0x10
  writeFileSync(path, bytes)
}

async function cairn(...words: string[]) {
  const result = await runCairn(['volume', ...words])
  return { ...result, lines: result.stdout.trim().split('\n') }
}

async function summaryOf(...words: string[]): Promise<Record<string, number>> {
  const { stdout, stderr } = await cairn(...words, '--json')
  const line = `${stdout}${stderr}`.split('\n').find((each) => each.includes('"summary"'))
  assert.ok(line, stderr)
  return (JSON.parse(line) as { summary: Record<string, number> }).summary
}

test('check finds what is damaged, each thing once, and changes nothing', async (t) => {
  const good = scratch(t)
  await makeVolumes(good)
  const before = fingerprint(good)
  const clean = await cairn('check', good)
  assert.deepEqual([clean.code, clean.stderr], [0, ''])
  assert.match(clean.lines.at(-1)!, /^2 volumes, 291 files, 3\d\d records: all good$/)
  assert.deepEqual(fingerprint(good), before)
  const { records } = readSeaweedVolume(readFileSync(join(good, '1.dat')), undefined)
  const [data, header, marker] = [records[50]!, records[60]!, records.find((each) => each.size === 0)!]
  const ways: [string, (directory: string) => void, RegExp[]][] = [
    [
      'records',
      (directory) => {
        flip(join(directory, '1.dat'), data.offset + 100)
        flip(join(directory, '1.dat'), header.offset + 5)
        flip(join(directory, '1.dat'), marker.offset + 30)
      },
      [data, header, marker].map(({ offset }) => new RegExp(`^1\\.dat at ${offset} .*damaged record`)),
    ],
    ['index', (directory) => flip(join(directory, '1.idx'), 40 * 16 + 7), [/^1\.idx at 0: a block/, /^1\.idx.*another one's/]],
    ['torn tail', (directory) => truncateSync(join(directory, '1.dat'), statSync(join(directory, '1.dat')).size - 16), [/^1\.dat: shorter/, /^1\.dat at \d+ .*cut off/]],
    ['bytes behind', (directory) => appendFileSync(join(directory, 'pics_2.dat'), Buffer.alloc(21)), [/^2\.dat at \d+: 16 bytes at the end/, /^2\.dat at \d+: its length/]],
    ['sidecars', (directory) => { flip(join(directory, '1.sums'), 9); rmSync(join(directory, 'pics_2.cairn')) }, [/^1\.sums: damaged/, /^2\.cairn: missing/]],
        [
      'super block',
      (directory) => {
        flip(join(directory, '1.dat'), 2)
        flip(join(directory, 'pics_2.dat'), 5)
      },
      [/^1\.dat: the TTL/, /^2\.dat at 4: the compaction revision/],
    ],
['no index', (directory) => rmSync(join(directory, 'pics_2.idx')), [/^2\.idx: missing/, /^2\.idx at 0: a block/]],
  ] // biome-ignore format: a table
  for (const [name, damage, expected] of ways) {
    const directory = scratch(t)
    cpSync(good, directory, { recursive: true, preserveTimestamps: true })
    damage(directory)
    const damaged = fingerprint(directory)
    // A process for the first; the others by what the commands call.
    const lines = name === 'records' ? (await cairn('check', directory)).lines : await checkHere(directory)
    for (const pattern of expected) {
      const found = lines.filter((line) => pattern.test(line))
      assert.equal(found.length, 1, `${name}: ${pattern}\n${lines.join('\n')}`)
    }
    assert.deepEqual(fingerprint(directory), damaged, name)
    if (name === 'records') assert.equal((await cairn('fix', directory)).code, 1)
    else {
      fixHere(directory)
      const left = await checkHere(directory)
      // What was synced is gone: the index, which tells what it was, stays, and somebody has to look at it before it takes writes.
      const patterns = name === 'torn tail' ? [/^1\.cairn: .*needs a compaction$/, ...expected] : []
      assert.equal(left.length, patterns.length, `${name} after fix\n${left.join('\n')}`)
      for (const [at, pattern] of patterns.entries()) assert.match(left[at]!, pattern)
    }
  }
})

const ALL = { volumeIds: [], collection: '' }

async function checkHere(directory: string): Promise<string[]> {
  const lines: string[] = []
  const options = {
    onFinding: (finding: Finding) => lines.push(findingText(finding)),
    pause: async () => undefined,
  }
  for (const place of listVolumes(realDisk, directory, ALL)) await checkVolume(realDisk, place, options)
  return lines
}

function fixHere(directory: string): void {
  const parts = { disk: realDisk, clock: systemClock, random: systemRandom }
  const store = new OfflineStore({ ...parts, directory, indexBytesMax: 16 * MIB })
  for (const place of listVolumes(realDisk, directory, ALL)) store.fix(place)
}

test('fix makes indexes anew: nothing is lost, and SeaweedFS would take the result', async (t) => {
  const directory = scratch(t)
  await makeVolumes(directory)
  rmSync(join(directory, '1.idx'))
  rmSync(join(directory, '1.sums'))
  rmSync(join(directory, 'pics_2.sums'))
  appendFileSync(join(directory, '1.dat'), Buffer.alloc(40, 7))
  const { code, lines } = await cairn('fix', directory)
  assert.equal(code, 0)
  assert.match(lines[0]!, /^volume 1: cut 40 bytes of a torn tail, made the index anew/)
  const volume = checkSeaweedVolume(
    readFileSync(join(directory, '1.dat')),
    readFileSync(join(directory, '1.idx')),
  )
  assert.equal(volume.liveByIndex.size, 281)
})

test('compact takes garbage back', async (t) => {
  const directory = scratch(t)
  await makeVolumes(directory)
  const summary = await summaryOf('compact', directory)
  assert.deepEqual([summary.volumes, summary.compacted, summary.failed], [2, 1, 0])
  assert.ok(summary.bytesAfter! < summary.bytesBefore!)
  const check = await summaryOf('check', directory)
  assert.deepEqual([check.files, check.records, check.findings], [291, 291, 0])
  assert.equal((await summaryOf('compact', directory, '--volume-id', '1')).compacted, 0)
})

test('export: a tar that tar reads, names that stay inside, only verified bytes', async (t) => {
  const directory = scratch(t)
  await makeVolumes(directory)
  const store = new RealStore(directory)
  const write = (key: number, name: string) =>
    store.volume(1).write(needleOf(key, 1, 10, { name: Buffer.from(name), mime: undefined }))
  await write(5001, '../../../evil')
  await write(5002, '/abs/./../x')
  await write(5003, `${'ü'.repeat(120)}.txt`)
  await store.close()
  const dat = readFileSync(join(directory, '1.dat'))
  const victim = readSeaweedVolume(dat, undefined).records.find(({ key }) => key === 100n)!
  flip(join(directory, '1.dat'), victim.offset + 25)
  const before = fingerprint(directory)
  const tar = join(scratch(t), 'out.tar')
  const result = await cairn('export', directory, '-o', tar)
  assert.equal(result.code, 1)
  assert.match(result.stderr, new RegExp(`${formatFid(fidOf(100))}: damaged record`))
  assert.deepEqual(fingerprint(directory), before)
  const unpacked = scratch(t)
  execFileSync('tar', ['xf', tar, '-C', unpacked])
  const names = readdirSync(unpacked, { recursive: true }) as string[]
  const files = names.filter((name) => statSync(join(unpacked, name)).isFile())
  assert.equal(files.length, 291 + 3 - 1)
  const find = (id: number) => files.find((name) => new RegExp(`(^|/)${id}:`).test(name))
  assert.equal(
    readFileSync(join(unpacked, find(1000)!)).equals(dataOf(1000 * 7919 + 1, MIB + 200 * KIB)),
    true,
  )
  assert.ok(files.includes('5001:../__/__/evil'))
  assert.equal(find(5003), `5003:${'ü'.repeat(120)}.txt`)
  const named = await cairn('export', directory, '--volume-id', '2', '-o', '-', '--name-format', '{{.Key}}')
  assert.equal(named.code, 0)
  assert.match(named.stdout, new RegExp(formatFid({ ...fidOf(2001, 2) })))
  const list = await cairn('export', directory, '--collection', 'pics', '--limit', '3')
  assert.equal(list.lines.length, 1 + 3)
  assert.match(list.lines[1]!, new RegExp(`^2,07d1${cookieOf(2001).toString(16).padStart(8, '0')}\t`))
  const newer = await summaryOf('export', directory, '--newer', '2100-01-01T00:00:00', '-o', tar)
  assert.ok(newer.files! < 294 - 1)
})

test('copy: whole, verified, completed after a cut, never over another volume', async (t) => {
  const directory = scratch(t)
  await makeVolumes(directory)
  const target = join(scratch(t), 'new')
  mkdirSync(join(target, 'arriving'), { recursive: true })
  const dat = readFileSync(join(directory, '1.dat'))
  // As a power loss may leave a copy: longer than what was written, with wrong bytes in it.
  writeFileSync(
    join(target, 'arriving', '1.dat'),
    Buffer.concat([dat.subarray(0, 1000), Buffer.alloc(50_000)]),
  )
  const first = await summaryOf('copy', directory, target)
  assert.deepEqual([first.copied, first.failed, first.findings], [2, 0, 0])
  assert.equal(readFileSync(join(target, '1.dat')).equals(dat), true)
  const again = await summaryOf('copy', directory, target)
  assert.deepEqual([again.copied, again.thereAlready, again.failed], [0, 2, 0])
  assert.equal((await summaryOf('check', target)).findings, 0)
  flip(join(target, '1.dat'), 500)
  const other = await summaryOf('copy', directory, target)
  assert.deepEqual([other.thereAlready, other.failed], [1, 1])
})

test('adopt into a directory without a server: refuses numbers that are taken', async (t) => {
  const [source, data] = [scratch(t), scratch(t)]
  await makeVolumes(source)
  const before = fingerprint(source)
  const store = new RealStore(data)
  await store.create(2)
  await store.write(2, 7, 1, 100)
  await store.close()
  const result = await cairn('adopt', source, '--data', data)
  assert.equal(result.code, 1)
  assert.match(result.stdout, /^volume 2 of pics: .*has a volume 2/m)
  assert.deepEqual(fingerprint(source), before)
  const reopened = new RealStore(data)
  assert.ok(await reopened.volume(1).read(fidOf(250)))
  assert.ok(await reopened.volume(2).read(fidOf(7, 2)))
  await reopened.close()
})

test('adopt into a running server: read, verified, written; damage keeps it read only', async (t) => {
  const [source, data] = [scratch(t), scratch(t)]
  const damaged = scratch(t)
  await makeVolumes(source)
  const store = new RealStore(damaged)
  await store.create(9)
  for (let key = 1; key <= 5; key++) await store.write(9, key, 1, 1000)
  await store.close()
  flip(join(damaged, '9.dat'), 300)
  const server = await startServer(data)
  t.after(() => server.kill())
  for (const words of [
    ['check', data],
    ['fix', data],
    ['compact', data],
    ['export', data],
  ]) {
    const { code, stderr } = await cairn(...words)
    assert.equal(code, 1)
    assert.match(stderr, /a server or another command uses/)
  }
  const adopted = await cairn('adopt', source, '--data', data)
  assert.equal(adopted.code, 0, adopted.stdout + adopted.stderr)
  const url = (key: number, id = 1) => `http://${server.volume}/${formatFid(fidOf(key, id))}`
  const read = await fetch(url(250))
  assert.deepEqual(Buffer.from(await read.arrayBuffer()), dataOf(250 * 7919 + 1, (250 * 37) % 3000))
  const body = new FormData()
  body.append('file', new Blob(['new']), 'new.txt')
  assert.equal((await fetch(url(777), { method: 'POST', body })).status, 201)
  const assigned = (await (await fetch(`http://${server.master}/dir/assign`)).json()) as { fid: string }
  assert.ok(parseFid(assigned.fid).keyLow > 2010, `the master knows of the keys: ${assigned.fid}`)
  const again = await cairn('adopt', source, '--data', data)
  assert.equal(again.code, 1)
  assert.match(again.stdout, /has a volume 1/)
  const bad = await cairn('adopt', damaged, '--data', data)
  assert.equal(bad.code, 1)
  assert.match(bad.stdout, /volume 9: adopted: 1 damaged records or files: it stays read only/)
  assert.equal((await fetch(url(5, 9))).status, 200)
  assert.notEqual((await fetch(url(778, 9), { method: 'POST', body })).status, 201)
  await server.stop()
  assert.equal(existsSync(join(data, '1.adopting')), false)
  assert.equal((await summaryOf('check', data, '--volume-id', '1')).findings, 0)
})

test('wrong use', async (t) => {
  const directory = scratch(t)
  for (const [words, expected] of [
    [['check'], /missing required argument/],
    [['check', join(directory, 'none')], /is not a directory/],
    [['export', directory, '--name-format', '{{.Nme}}'], /there is no \{\{\.Nme\}\}/],
    [['export', directory, '--newer', 'soon'], /must be a time/],
    [['copy', directory, directory], /must be another directory/],
  ] as const) {
    const { code, stderr } = await cairn(...words)
    assert.equal(code, 2, words.join(' '))
    assert.match(stderr, expected)
  }
  const { code, stderr } = await cairn('check', directory, '--volume-id', '5')
  assert.equal(code, 1)
  assert.match(stderr, /has no volume 5/)
})
