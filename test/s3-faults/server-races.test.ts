/**
 * Races and kills of the real program, whose threads share nothing but the store: each outcome is one that could have come
 * one request after the other, and after `kill -9` an object is the old or the new one.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertClean, collected } from '../names-faults/kill-names.ts'
import { S3Door } from '../names-faults/s3-door.ts'
import { element, elements, errorOf, type S3Client, type S3Reply } from '../s3/s3-kit.ts'
import { ROOT_KEY, type ServerProcess, startServer } from '../support/cairn-process.ts'
import { rawExchange, signedHead } from './faults-kit.ts'

const MIB = 1024 * 1024
const PART = Buffer.alloc(5 * MIB, 'p')
const CLIENTS = 64

let data: string
let server: ServerProcess
let client: S3Client
before(async () => {
  data = mkdtempSync(join(tmpdir(), 'cairn-s3-races-'))
  await start()
  assert.equal((await client.put('/races')).status, 200)
})
after(async () => {
  await server?.stop()
  rmSync(data, { recursive: true, force: true })
})

async function start(flags: string[] = []): Promise<void> {
  server = await startServer(data, ['--workers', '3', ...flags])
  client = new S3Door(server).client
}

function many<T>(count: number, run: (at: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => run(at)))
}

/** An upload whose parts are there. */
async function uploaded(
  key: string,
  first = PART,
): Promise<{ uploadId: string; complete(): Promise<S3Reply> }> {
  const path = `/races/${key}`
  const begun = await client.send('POST', { path, query: { uploads: '' } })
  const uploadId = element(begun.text, 'UploadId')!
  let parts = ''
  for (const [at, body] of [first, Buffer.from('end')].entries()) {
    const { headers } = await client.put(path, body, { query: { partNumber: String(at + 1), uploadId } })
    parts += `<Part><PartNumber>${at + 1}</PartNumber><ETag>${headers.etag}</ETag></Part>`
  }
  const body = `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`
  return { uploadId, complete: () => client.send('POST', { path, query: { uploadId }, body }) }
}

test('If-None-Match: * from many clients has one winner, and its bytes stay', async () => {
  for (let round = 0; round < 2; round++) {
    const path = `/races/first-${round}`
    const size = round % 2 === 0 ? 100 : 100_000
    const bodyOf = (at: number) => Buffer.alloc(size, `client ${at} `)
    const headers = { 'If-None-Match': '*' }
    const replies = await many(CLIENTS, (at) => client.put(path, bodyOf(at), { headers }))
    const winners = [...replies.entries()].filter(([, { status }]) => status === 200)
    assert.equal(winners.length, 1, replies.map(errorOf).join(', '))
    for (const reply of replies) {
      if (reply.status !== 200) assert.match(errorOf(reply), /^412 PreconditionFailed$|^409 Conditional/)
    }
    assert.ok((await client.get(path)).body.equals(bodyOf(winners[0]![0])))
  }
})

test('If-Match from many clients: one replaces what all have seen', async () => {
  const { headers } = await client.put('/races/seen', 'old')
  const replies = await many(CLIENTS, (at) =>
    client.put('/races/seen', `new ${at}`, { headers: { 'If-Match': headers.etag! } }),
  )
  assert.equal(replies.filter(({ status }) => status === 200).length, 1)
})

test('an upload completed by many clients is one object, told to all', async () => {
  const { complete } = await uploaded('complete-often')
  const replies = await many(8, complete)
  for (const reply of replies) assert.equal(reply.status, 200, reply.text)
  assert.equal(new Set(replies.map(({ text }) => element(text, 'ETag'))).size, 1)
  const { body } = await client.get('/races/complete-often')
  assert.equal(body.length, PART.length + 3)
})

test('complete against abort, against a part that is sent again', async () => {
  for (let round = 0; round < 4; round++) {
    const path = `/races/ended-${round}`
    const { uploadId, complete } = await uploaded(path.slice('/races/'.length))
    const again = client.put(path, Buffer.alloc(6 * MIB, 'q'), { query: { partNumber: '1', uploadId } })
    const [done, gone] = await Promise.all([complete(), client.delete(path, { uploadId })])
    const { status } = await again
    assert.ok(status === 200 || status === 404, String(status))
    const got = await client.get(path)
    if (done.status === 200) {
      assert.equal(errorOf(gone), '404 NoSuchUpload')
      assert.equal(got.body.length, PART.length + 3)
      assert.ok(got.body.subarray(0, PART.length).equals(PART))
    } else {
      // The part may have been replaced before it was asked for by its old ETag.
      assert.match(errorOf(done), /^404 NoSuchUpload$|^400 InvalidPart$/)
      assert.equal(gone.status, 204)
      assert.equal(got.status, 404)
    }
    assert.equal(errorOf(await client.get(path, { uploadId })), '404 NoSuchUpload')
  }
})

test('readers see the old object or the new one, whole, whatever is written and deleted', async () => {
  const bodies = ['a', 'b', 'c'].map((letter, at) => Buffer.alloc([900, 90_000, 3_000_000][at]!, letter))
  let isOver = false
  const write = async (from: number) => {
    for (let i = from; i < from + 8; i++) {
      if (i % 4 === 3) await client.delete('/races/read')
      else assert.equal((await client.put('/races/read', bodies[i % 3]!)).status, 200)
    }
  }
  const read = async () => {
    while (!isOver) {
      const { status, body, headers } = await client.get('/races/read')
      assert.ok(status === 404 || bodies.some((each) => each.equals(body)), `${status} ${body.length}`)
      if (status === 200) assert.equal(Number(headers['content-length']), body.length)
    }
  }
  const reading = many(4, read)
  await many(3, write).finally(() => {
    isOver = true
  })
  await reading
})

test('killed in overwrites that are read and in completions by several, an object is the old or the new one', async () => {
  const bodies = [Buffer.alloc(2_000, 'o'), Buffer.alloc(4_500_000, 'n')]
  const isOne = (body: Buffer) => bodies.some((each) => each.equals(body))
  const keys = Array.from({ length: 6 }, (_, at) => `/races/killed-${at}`)
  for (const path of keys) assert.equal((await client.put(path, bodies[0]!)).status, 200)
  const uploads = await many(3, (at) => uploaded(`whole-${at}`))
  const acknowledged = new Set<string>()
  const note = async (path: string, reply: Promise<S3Reply>) => {
    if ((await reply).status === 200) acknowledged.add(path)
  }
  const mixed: string[] = []
  let isOver = false
  const all = Promise.allSettled([
    ...keys.map((path) => note(path, client.put(path, bodies[1]!))),
    ...uploads.flatMap(({ complete }, at) => [1, 2, 3].map(() => note(`/races/whole-${at}`, complete()))),
    ...keys.map(async (path) => {
      while (!isOver) {
        const { status, body } = await client.get(path)
        if (status === 200 && !isOne(body)) mixed.push(`${path}: ${body.length} bytes`)
      }
    }),
  ])
  await sleep(20)
  await server.kill()
  isOver = true
  await all
  assert.deepEqual(mixed, [])
  await start()
  for (const path of keys) {
    const { body } = await client.get(path)
    if (acknowledged.has(path)) assert.ok(body.equals(bodies[1]!), `${path}: acknowledged and lost`)
    else assert.ok(isOne(body), `${path}: ${body.length} bytes`)
  }
  for (const [at, { uploadId, complete }] of uploads.entries()) {
    const path = `/races/whole-${at}`
    const got = await client.get(path)
    if (got.status === 200) assert.equal(got.body.length, PART.length + 3)
    else {
      assert.ok(!acknowledged.has(path), `${path}: acknowledged and lost`)
      const parts = await client.get(path, { uploadId })
      assert.deepEqual(elements(parts.text, 'PartNumber'), ['1', '2'], 'all parts or the whole')
    }
    assert.equal((await complete()).status, 200, 'what was not told is told now')
    assert.equal((await client.get(path)).body.length, PART.length + 3)
  }
})

test('killed while many want to be first and uploads are given up and completed, one is first and no upload is half there', async () => {
  const path = '/races/killed-first'
  const bodyOf = (at: number) => Buffer.alloc(50_000, `client ${at} `)
  const uploads = await many(6, (at) => uploaded(`given-up-${at}`))
  const told = new Map<string, number>()
  const note = async (name: string, reply: Promise<S3Reply>) => told.set(name, (await reply).status)
  const all = Promise.allSettled([
    ...Array.from({ length: CLIENTS }, (_, at) =>
      note(`first-${at}`, client.put(path, bodyOf(at), { headers: { 'If-None-Match': '*' } })),
    ),
    ...uploads.flatMap(({ uploadId, complete }, at) => {
      const abort = () => note(`abort-${at}`, client.delete(`/races/given-up-${at}`, { uploadId }))
      const end = () => note(`complete-${at}`, complete())
      return [[abort], [abort, end], [end, abort]][at % 3]!.map((begin) => begin())
    }),
  ])
  await sleep(15)
  await server.kill()
  await all
  await start()
  const winners = Array.from({ length: CLIENTS }, (_, at) => at).filter(
    (at) => told.get(`first-${at}`) === 200,
  )
  assert.ok(winners.length <= 1, `${winners.length} were told to be first`)
  const got = await client.get(path)
  if (winners.length === 1) assert.ok(got.body.equals(bodyOf(winners[0]!)), 'acknowledged and lost')
  else if (got.status === 200) {
    const bodies = Array.from({ length: CLIENTS }, (_, at) => bodyOf(at))
    assert.ok(
      bodies.some((each) => each.equals(got.body)),
      'of one client, and whole',
    )
  } else assert.equal(errorOf(got), '404 NoSuchKey')
  for (const [at, { uploadId, complete }] of uploads.entries()) {
    const object = await client.get(`/races/given-up-${at}`)
    const parts = await client.get(`/races/given-up-${at}`, { uploadId })
    if (parts.status === 200) {
      assert.equal(errorOf(object), '404 NoSuchKey')
      assert.notEqual(told.get(`abort-${at}`), 204, 'given up and back again')
      assert.notEqual(told.get(`complete-${at}`), 200, 'completed and open again')
      assert.deepEqual(elements(parts.text, 'PartNumber'), ['1', '2'])
      assert.equal((await complete()).status, 200)
    } else {
      assert.equal(errorOf(parts), '404 NoSuchUpload')
      const isWhole = object.status === 200
      if (isWhole) assert.equal(object.body.length, PART.length + 3)
      assert.notEqual(told.get(`abort-${at}`), isWhole ? 204 : undefined, `upload ${at}: ${object.status}`)
      if (told.get(`complete-${at}`) === 200) assert.ok(isWhole, 'acknowledged and lost')
    }
  }
})

test('what broke off, was refused or was killed gives its space back', async () => {
  const port = Number(server.s3.split(':')[1])
  const key = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
  const body = Buffer.alloc(9_000_000, 'b')
  const ask = { key, method: 'PUT', path: '/races/broken', lengthBytes: body.length, body }
  const head = Buffer.from(signedHead(port, ask))
  const cut = Buffer.concat([head, body.subarray(0, body.length - 1)])
  for (const end of ['half', 'reset'] as const) await rawExchange(port, cut, end)
  const headers = { 'Content-MD5': Buffer.alloc(16).toString('base64') }
  for (const size of [1_000, body.length]) {
    const refused = await client.put('/races/broken', body.subarray(0, size), { headers })
    assert.equal(errorOf(refused), '400 BadDigest')
  }
  const { uploadId } = await uploaded('broken-part')
  const again = { query: { partNumber: '2', uploadId }, headers }
  assert.equal(errorOf(await client.put('/races/broken-part', body, again)), '400 BadDigest')
  const parts = await client.get('/races/broken-part', { uploadId })
  assert.deepEqual(elements(parts.text, 'Size'), [String(PART.length), '3'])
  assert.equal(errorOf(await client.get('/races/broken')), '404 NoSuchKey')
  // After that it looks for bytes that nothing names.
  await server.kill()
  await start(['--garbage-delay', '0s'])
  await collected(server)
  await server.stop()
  await assertClean(data)
})
