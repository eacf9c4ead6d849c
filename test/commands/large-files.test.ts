/** Files above `--max-mb`: up in chunks, resumed, down verified, and gone as a whole. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { StoreError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { uploadLargeFile } from '../../src/cli/large-file.ts'
import { CairnClient } from '../../src/client/cairn-client.ts'
import { type UploadedChunk, uploadChunked } from '../../src/client/chunked-upload.ts'
import { runCairn, type ServerProcess, startServer } from '../support/cairn-process.ts'

const MIB = 1024 * 1024
const CONTENT = seededRandom(7).bytes(5 * MIB + 12_345)

let root: string
let server: ServerProcess
let client: CairnClient
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'cairn-large-'))
  server = await startServer(join(root, 'data'))
  client = new CairnClient({ masters: [server.master] })
})
after(async () => {
  client?.close()
  await server?.stop()
  await rm(root, { recursive: true, force: true })
})

const isCode = (code: string) => (error: unknown) => error instanceof StoreError && error.code === code
const sourceOf = (content: Buffer) => ({
  sizeBytes: content.length,
  async *open(start: number, end: number) {
    for (let at = start; at < end; at += 100_000) yield content.subarray(at, Math.min(end, at + 100_000))
  },
})
const manifestOf = async (fid: string) =>
  (await (await fetch(`http://${server.volume}/${fid}?cm=false`)).json()) as {
    size: number
    chunks: UploadedChunk[]
  }

test('cairn upload --max-mb cuts a file, cairn download verifies each chunk, cairn delete removes all', async () => {
  const path = join(root, 'large.bin')
  await writeFile(path, CONTENT)
  const up = await runCairn(['upload', '--master', server.master, '--max-mb', '1', path])
  assert.equal(up.code, 0, up.stderr)
  const { fid, size } = JSON.parse(up.stdout) as { fid: string; size: number }
  assert.equal(size, CONTENT.length)
  const { chunks } = await manifestOf(fid)
  assert.deepEqual(
    chunks.map(({ offset }) => offset),
    [0, 1, 2, 3, 4, 5].map((each) => each * MIB),
  )
  const reply = await fetch(`http://${server.volume}/${fid}`, { headers: { range: 'bytes=1048570-1048585' } })
  assert.equal(reply.status, 206)
  assert.deepEqual(Buffer.from(await reply.arrayBuffer()), CONTENT.subarray(1_048_570, 1_048_586))
  assert.match(reply.headers.get('content-disposition') ?? '', /large\.bin/)
  const target = join(root, 'back.bin')
  const down = await runCairn(['download', '--master', server.master, '-o', target, fid])
  assert.equal(down.code, 0, down.stderr)
  assert.deepEqual(await readFile(target), CONTENT)
  const gone = await runCairn(['delete', '--master', server.master, fid])
  assert.equal(gone.code, 0, gone.stderr)
  for (const each of [fid, ...chunks.map((chunk) => chunk.fid)]) {
    assert.equal((await fetch(`http://${server.volume}/${each}`)).status, 404)
  }
})

test('a failed upload leaves nothing behind, unless it is to be resumed', async () => {
  const broken = {
    sizeBytes: CONTENT.length,
    async *open(start: number, end: number) {
      if (start >= 3 * MIB) throw new StoreError('io_error', 'cannot be read')
      yield CONTENT.subarray(start, end)
    },
  }
  const before = await fileCount()
  await assert.rejects(uploadChunked(client, broken, { chunkBytes: MIB }), isCode('io_error'))
  assert.equal(await fileCount(), before)
  const known: UploadedChunk[] = []
  const onChunk = (chunk: UploadedChunk) => void known.push(chunk)
  await assert.rejects(uploadChunked(client, broken, { chunkBytes: MIB, onChunk }), isCode('io_error'))
  assert.ok(known.length >= 1 && known.length <= 3)
  // One of them is lost meanwhile, and one has other bounds.
  const kept = known.slice(1).map(({ fid }) => fid)
  await client.delete(known[0]!.fid)
  known.push({ fid: known[0]!.fid, offset: 4 * MIB, size: 17 })
  const { fid, sizeBytes } = await uploadChunked(client, sourceOf(CONTENT), { chunkBytes: MIB, known })
  assert.equal(sizeBytes, CONTENT.length)
  assert.deepEqual(await client.downloadBytes(fid), CONTENT)
  const fids = (await manifestOf(fid)).chunks.map((chunk) => chunk.fid)
  for (const each of kept) assert.ok(fids.includes(each))
})

async function fileCount(): Promise<number> {
  const { Volumes } = (await (await fetch(`http://${server.volume}/status`)).json()) as {
    Volumes: { FileCount: number; DeleteCount: number }[]
  }
  return Volumes.reduce((sum, { FileCount, DeleteCount }) => sum + FileCount - DeleteCount, 0)
}

test('an interrupted upload goes on where it was; of a file that changed nothing is taken over', async () => {
  const path = join(root, 'resumed.bin')
  const directory = join(root, 'notes')
  await mkdir(directory)
  await writeFile(path, CONTENT)
  const upload = async (stopAtBytes: number) => {
    const interrupt = new AbortController()
    let bytes = 0
    const file = { path, info: await stat(path) }
    const stored = await uploadLargeFile(
      client,
      file,
      { name: 'resumed.bin' },
      {
        chunkBytes: MIB,
        notes: { directory, target: server.master },
        onBytes: (count) => {
          bytes += count
          if (bytes >= stopAtBytes) interrupt.abort()
        },
        signal: interrupt.signal,
      },
    )
    return stored
  }
  const notes = async () => {
    const [name] = await readdir(directory)
    const lines = (await readFile(join(directory, name!), 'utf8')).trim().split('\n')
    return lines.slice(1).map((line) => JSON.parse(line) as UploadedChunk)
  }
  await assert.rejects(upload(MIB), isCode('unavailable'))
  const first = await notes()
  assert.ok(first.length >= 1 && first.length < 6)
  const { fid } = await upload(Number.POSITIVE_INFINITY)
  assert.deepEqual(await readdir(directory), [])
  assert.deepEqual(await client.downloadBytes(fid), CONTENT)
  const fids = (await manifestOf(fid)).chunks.map((chunk) => chunk.fid)
  for (const chunk of first) assert.ok(fids.includes(chunk.fid))
  await assert.rejects(upload(MIB), isCode('unavailable'))
  const stale = await notes()
  const changed = Buffer.from(CONTENT).fill(0, 0, 100)
  await writeFile(path, changed)
  await utimes(path, 1, 1)
  const second = await upload(Number.POSITIVE_INFINITY)
  assert.deepEqual(await client.downloadBytes(second.fid), changed)
  for (const chunk of stale) await assert.rejects(client.downloadBytes(chunk.fid), isCode('not_found'))
})

test('a file that changes while it is uploaded is refused, and nothing of it stays', async () => {
  const path = join(root, 'changing.bin')
  await writeFile(path, CONTENT)
  const before = await fileCount()
  let writing: Promise<void> | undefined
  const options = {
    chunkBytes: MIB,
    notes: { directory: join(root, 'notes'), target: server.master },
    onBytes: () => {
      writing ??= utimes(path, 5, 5)
    },
    signal: new AbortController().signal,
  }
  const file = { path, info: await stat(path) }
  await assert.rejects(uploadLargeFile(client, file, {}, options), isCode('conflict'))
  await writing
  assert.equal(await fileCount(), before)
  assert.deepEqual(await readdir(join(root, 'notes')), [])
})

test('a chunk that is damaged or missing ends a download', async () => {
  const { fid } = await uploadChunked(client, sourceOf(CONTENT), { chunkBytes: MIB, name: 'x.bin' })
  const { chunks } = await manifestOf(fid)
  await client.delete(chunks[3]!.fid)
  await assert.rejects(client.downloadBytes(fid), isCode('not_found'))
})

test('many small files with ids in batches: each under its own, all as they were', async () => {
  const directory = join(root, 'small')
  await mkdir(directory)
  const sums = new Map<string, string>()
  for (let i = 0; i < 300; i++) {
    const content = seededRandom(i).bytes(i * 7)
    sums.set(`${i}.bin`, createHash('md5').update(content).digest('hex'))
    await writeFile(join(directory, `${i}.bin`), content)
  }
  const up = await runCairn(['upload', '--master', server.master, '-r', directory])
  assert.equal(up.code, 0, up.stderr)
  const lines = up.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { fileName: string; fid: string })
  assert.equal(new Set(lines.map(({ fid }) => fid)).size, 300)
  for (const { fileName, fid } of lines) {
    assert.equal(
      createHash('md5')
        .update(await client.downloadBytes(fid))
        .digest('hex'),
      sums.get(fileName),
    )
  }
})

test('many small files where tokens and a password are asked for', async () => {
  const directory = join(root, 'guarded')
  await mkdir(directory)
  for (let i = 0; i < 100; i++) await writeFile(join(directory, `"${i}" ä.txt`), `file ${i}`)
  await writeFile(join(root, 'users'), 'ann:secret\n')
  const flags = ['--jwt-signing-key', 'a key of the test', '--basic-auth-file', join(root, 'users')]
  const guarded = await startServer(join(root, 'guarded-data'), flags)
  try {
    const up = await runCairn([
      'upload',
      '--master',
      guarded.master,
      '--basic-auth',
      'ann:secret',
      '-r',
      directory,
    ])
    assert.equal(up.code, 0, up.stderr)
    const lines = up.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { fileName: string; url: string })
    assert.equal(lines.length, 100)
    for (const { fileName, url } of lines.slice(0, 10)) {
      const headers = { authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` }
      assert.equal(
        await (await fetch(`http://${url}`, { headers })).text(),
        `file ${/\d+/.exec(fileName)![0]}`,
      )
    }
  } finally {
    await guarded.stop()
  }
})
