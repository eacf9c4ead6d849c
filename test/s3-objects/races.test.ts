/** Several clients at one key or one upload: each outcome is one that could have come one after the other. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { element, errorOf, type S3Kit, type S3Reply, startS3 } from '../s3/s3-kit.ts'

const PART = Buffer.alloc(5 * 1024 * 1024, 'p')
const ROUNDS = 8
let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.client.put('/races')
})
after(() => kit.close())

async function uploaded(key: string): Promise<{ uploadId: string; complete(): Promise<S3Reply> }> {
  const path = `/races/${key}`
  const begun = await kit.client.send('POST', { path, query: { uploads: '' } })
  const uploadId = element(begun.text, 'UploadId')!
  const etags: string[] = []
  for (const [at, body] of [PART, Buffer.from('end')].entries()) {
    const part = await kit.client.put(path, body, { query: { partNumber: String(at + 1), uploadId } })
    etags.push(part.headers.etag!)
  }
  const parts = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
  const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
  return { uploadId, complete: () => kit.client.send('POST', { path, query: { uploadId }, body }) }
}

test('completing twice at once makes one object, and tells both', async () => {
  const { complete } = await uploaded('twice')
  const replies = await Promise.all([complete(), complete(), complete()])
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal(new Set(replies.map(({ text }) => element(text, 'ETag'))).size, 1)
  assert.equal((await kit.client.get('/races/twice')).body.length, PART.length + 3)
})

test('completing against aborting: one of them wins', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const key = `won-${round}`
    const { uploadId, complete } = await uploaded(key)
    const abort = () => kit.client.delete(`/races/${key}`, { uploadId })
    const [done, gone] = await Promise.all(
      round % 2 === 0 ? [complete(), abort()] : [abort(), complete()].reverse(),
    )
    const got = await kit.client.get(`/races/${key}`)
    if (done!.status === 200) {
      assert.equal(errorOf(gone!), '404 NoSuchUpload')
      assert.equal(got.body.length, PART.length + 3)
    } else {
      assert.equal(errorOf(done!), '404 NoSuchUpload')
      assert.equal(gone!.status, 204)
      assert.equal(errorOf(got), '404 NoSuchKey')
    }
  }
})

test('a reader gets one object or the other, never both mixed', async () => {
  const bodies = [Buffer.alloc(3_000_000, 'a'), Buffer.alloc(5_000_000, 'b')]
  await kit.client.put('/races/mixed', bodies[0]!)
  const write = async () => {
    for (let i = 0; i < ROUNDS; i++) await kit.client.put('/races/mixed', bodies[i % 2]!)
  }
  const read = async () => {
    for (let i = 0; i < ROUNDS; i++) {
      const { body } = await kit.client.get('/races/mixed')
      assert.ok(bodies.some((each) => each.equals(body)))
    }
  }
  await Promise.all([write(), read(), read()])
})

test('If-Match from many: each success saw what it replaced', async () => {
  await kit.client.put('/races/count', '0')
  let successes = 0
  const add = async () => {
    for (let i = 0; i < ROUNDS; i++) {
      const before = await kit.client.get('/races/count')
      const headers = { 'If-Match': before.headers.etag! }
      const reply = await kit.client.put('/races/count', String(Number(before.text) + 1), { headers })
      if (reply.status === 200) successes++
      else assert.equal(errorOf(reply), '412 PreconditionFailed')
    }
  }
  await Promise.all([add(), add(), add(), add()])
  assert.equal((await kit.client.get('/races/count')).text, String(successes))
})
