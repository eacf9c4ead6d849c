/** RestoreObject and GetObjectTorrent: nothing is archived here, and nothing has a torrent. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ALICE, BOB, errorOf, fill, type S3Kit, startS3 } from './s3-kit.ts'

let kit: S3Kit
before(async () => {
  kit = await startS3()
  await kit.as(ALICE).put('/cold')
  await fill(kit, 'cold', ['k'])
})
after(() => kit.close())

test('an object that is not archived', async () => {
  const body = '<RestoreRequest><Days>1</Days></RestoreRequest>'
  const restore = (path: string, client = kit.as(ALICE)) =>
    client.send('POST', { path, query: { restore: '' }, body })
  assert.equal(errorOf(await restore('/cold/k')), '403 InvalidObjectState')
  assert.equal(errorOf(await restore('/cold/none')), '404 NoSuchKey')
  assert.equal(errorOf(await restore('/cold/k', kit.as(BOB))), '403 AccessDenied')
})

test('a torrent', async () => {
  assert.equal(errorOf(await kit.as(ALICE).get('/cold/k', { torrent: '' })), '404 NoSuchKey')
})
