/** ListMultipartUploads. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  ALICE,
  canonicalId,
  element,
  elements,
  errorOf,
  type S3Client,
  type S3Kit,
  startS3,
} from './s3-kit.ts'

let kit: S3Kit
let alice: S3Client
const ids: string[] = []
before(async () => {
  kit = await startS3()
  alice = kit.as(ALICE)
  await alice.put('/uploads')
  const bucket = (await kit.objects.bucket('uploads'))!
  for (const key of ['a', 'a', 'b/1', 'b/2', 'c'])
    ids.push((await kit.objects.createUpload({ bucket, key, attributes: {} })).uploadId)
})
after(() => kit.close())

test('the whole document', async () => {
  const reply = await alice.get('/uploads', { uploads: '', prefix: 'c' })
  const name = (element: string) =>
    `<${element}><ID>${canonicalId('alice')}</ID><DisplayName>Alice</DisplayName></${element}>`
  assert.equal(
    reply.text.replace(/<Initiated>[^<]+<\/Initiated>/, '<Initiated></Initiated>'),
    `<?xml version="1.0" encoding="UTF-8"?>\n<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>uploads</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker><Prefix>c</Prefix><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated><Upload><Key>c</Key><UploadId>${ids[4]}</UploadId>${name('Initiator')}${name('Owner')}<StorageClass>STANDARD</StorageClass><Initiated></Initiated></Upload></ListMultipartUploadsResult>`,
  )
})

test('pages and common prefixes', async () => {
  const seen: string[] = []
  let more: Record<string, string> = {}
  for (;;) {
    const { text } = await alice.get('/uploads', { uploads: '', 'max-uploads': '1', delimiter: '/', ...more })
    seen.push(...elements(text, 'UploadId'))
    seen.push(...[...text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g)].map(([, prefix]) => prefix!))
    if (element(text, 'IsTruncated') === 'false') break
    more = { 'key-marker': element(text, 'NextKeyMarker')! }
    const id = element(text, 'NextUploadIdMarker')
    if (id) more['upload-id-marker'] = id
  }
  assert.deepEqual(seen.slice(0, 2).sort(), ids.slice(0, 2).sort())
  assert.deepEqual(seen.slice(2), ['b/', ids[4]])
  assert.equal(
    errorOf(await alice.get('/uploads', { uploads: '', 'max-uploads': 'x' })),
    '400 InvalidArgument',
  )
  const marked = (key: string) => ({ uploads: '', 'key-marker': key, 'upload-id-marker': 'none' })
  const odd = await alice.get('/uploads', marked('a'))
  assert.equal(errorOf(odd), '400 InvalidArgument')
  assert.equal(element(odd.text, 'Message'), 'Invalid uploadId marker')
  assert.equal((await alice.get('/uploads', marked(''))).status, 200)
})
