/** `@aws-sdk/client-s3` with its default settings. Arguments: the directory of its packages, and the function that runs. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createReadStream, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Readable } from 'node:stream'

const MIB = 1024 * 1024
const [, , directory, group] = process.argv
const load = createRequire(join(directory!, 'package.json'))
const sdk = load('@aws-sdk/client-s3')
const { Upload } = load('@aws-sdk/lib-storage')
const { getSignedUrl } = load('@aws-sdk/s3-request-presigner')
/** A host that is an address cannot carry a bucket's name: this is the one setting beside the endpoint. */
const client = new sdk.S3Client({ endpoint: process.env.ENDPOINT, forcePathStyle: true })

const send = (command: string, input: object) => client.send(new sdk[command](input))
const textOf = async (key: object): Promise<string> =>
  (await send('GetObjectCommand', key)).Body.transformToString()
const bytesOf = async (key: object): Promise<Buffer> =>
  Buffer.from(await (await send('GetObjectCommand', key)).Body.transformToByteArray())
const named = (name: string) => (error: Error) => error.name === name

const GROUPS: Record<string, () => Promise<void>> = {
  async objects() {
    const Bucket = 'sdk-objects'
    await send('CreateBucketCommand', { Bucket })
    await send('HeadBucketCommand', { Bucket })
    const put = await send('PutObjectCommand', {
      Bucket,
      Key: 'a b/ü+',
      Body: 'hello',
      Metadata: { who: 'me' },
    })
    assert.ok(put.ChecksumCRC32)
    const got = await send('GetObjectCommand', { Bucket, Key: 'a b/ü+' })
    assert.equal(got.ChecksumCRC32, put.ChecksumCRC32)
    assert.deepEqual(got.Metadata, { who: 'me' })
    assert.equal(await got.Body.transformToString(), 'hello')
    assert.equal(await textOf({ Bucket, Key: 'a b/ü+', Range: 'bytes=-2' }), 'lo')
    await assert.rejects(textOf({ Bucket, Key: 'none' }), sdk.NoSuchKey)
    await assert.rejects(send('HeadObjectCommand', { Bucket, Key: 'none' }), sdk.NotFound)
    await assert.rejects(send('HeadBucketCommand', { Bucket: 'none-such' }), sdk.NotFound)
    await assert.rejects(send('ListObjectsV2Command', { Bucket: 'none-such' }), sdk.NoSuchBucket)
    await send('CopyObjectCommand', { Bucket, Key: 'copy', CopySource: `${Bucket}/a%20b/%C3%BC%2B` })
    assert.equal(await textOf({ Bucket, Key: 'copy' }), 'hello')
    const Objects = [{ Key: 'a b/ü+' }, { Key: 'copy' }]
    assert.equal((await send('DeleteObjectsCommand', { Bucket, Delete: { Objects } })).Deleted.length, 2)
    await send('DeleteBucketCommand', { Bucket })
  },

  async streams() {
    const Bucket = 'sdk-streams'
    await send('CreateBucketCommand', { Bucket })
    const data = randomBytes(3 * MIB + 17)
    writeFileSync('stream', data)
    await send('PutObjectCommand', { Bucket, Key: 'file', Body: createReadStream('stream') })
    assert.deepEqual(await bytesOf({ Bucket, Key: 'file' }), data)
    const Body = Readable.from([data.subarray(0, 100_000), data.subarray(100_000)])
    await send('PutObjectCommand', { Bucket, Key: 'pieces', Body, ContentLength: data.length })
    assert.deepEqual(await bytesOf({ Bucket, Key: 'pieces' }), data)
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
      const place = { Bucket, Key: ChecksumAlgorithm }
      const put = await send('PutObjectCommand', {
        ...place,
        Body: createReadStream('stream'),
        ChecksumAlgorithm,
      })
      const head = await send('HeadObjectCommand', { ...place, ChecksumMode: 'ENABLED' })
      assert.ok(put[`Checksum${ChecksumAlgorithm}`])
      assert.equal(head[`Checksum${ChecksumAlgorithm}`], put[`Checksum${ChecksumAlgorithm}`])
      assert.deepEqual(await bytesOf(place), data)
    }
    const wrong = { Bucket, Key: 'wrong', Body: 'x', ChecksumSHA256: Buffer.alloc(32).toString('base64') }
    await assert.rejects(send('PutObjectCommand', wrong), named('BadDigest'))
    await assert.rejects(send('HeadObjectCommand', { Bucket, Key: 'wrong' }), sdk.NotFound)
  },

  async multipart() {
    const Bucket = 'sdk-multipart'
    await send('CreateBucketCommand', { Bucket })
    const data = randomBytes(11 * MIB)
    const pieces = [data.subarray(0, 5 * MIB), data.subarray(5 * MIB, 10 * MIB), data.subarray(10 * MIB)]
    const place = { Bucket, Key: 'by/commands' }
    const { UploadId } = await send('CreateMultipartUploadCommand', place)
    const Parts = []
    for (const [i, Body] of pieces.entries()) {
      const part = { ...place, UploadId, PartNumber: i + 1 }
      const { ETag, ChecksumCRC32 } = await send('UploadPartCommand', { ...part, Body })
      Parts.push({ ETag, ChecksumCRC32, PartNumber: i + 1 })
    }
    assert.equal((await send('ListPartsCommand', { ...place, UploadId })).Parts.length, 3)
    const complete = { ...place, UploadId, MultipartUpload: { Parts } }
    assert.match((await send('CompleteMultipartUploadCommand', complete)).ETag, /-3"$/)
    assert.deepEqual(await bytesOf(place), data)
    assert.deepEqual(await bytesOf({ ...place, PartNumber: 3 }), pieces[2])

    await send('CreateMultipartUploadCommand', { Bucket, Key: 'left' })
    const { Uploads } = await send('ListMultipartUploadsCommand', { Bucket })
    assert.equal(Uploads.length, 1)
    await send('AbortMultipartUploadCommand', { Bucket, Key: 'left', UploadId: Uploads[0].UploadId })

    const params = { Bucket, Key: 'managed', Body: Readable.from(pieces) }
    await new Upload({ client, params, queueSize: 3 }).done()
    assert.deepEqual(await bytesOf({ Bucket, Key: 'managed' }), data)
    const CopySource = `${Bucket}/managed`
    const copy = await send('CreateMultipartUploadCommand', { Bucket, Key: 'copied' })
    const target = { Bucket, Key: 'copied', UploadId: copy.UploadId }
    const copied = await send('UploadPartCopyCommand', { ...target, PartNumber: 1, CopySource })
    const copyParts = { Parts: [{ PartNumber: 1, ETag: copied.CopyPartResult.ETag }] }
    await send('CompleteMultipartUploadCommand', { ...target, MultipartUpload: copyParts })
    assert.deepEqual(await bytesOf({ Bucket, Key: 'copied' }), data)
  },

  async conditions() {
    const Bucket = 'sdk-conditions'
    await send('CreateBucketCommand', { Bucket })
    const place = { Bucket, Key: 'k' }
    const racers = Array.from({ length: 8 }, (_, i) =>
      send('PutObjectCommand', { ...place, Body: String(i), IfNoneMatch: '*' }).then(
        () => 'won',
        (error: Error) => error.name,
      ),
    )
    const outcomes = await Promise.all(racers)
    assert.equal(outcomes.filter((each) => each === 'won').length, 1)
    assert.ok(
      outcomes.every((each) => ['won', 'PreconditionFailed', 'ConditionalRequestConflict'].includes(each)),
    )
    const { ETag } = await send('HeadObjectCommand', place)
    await send('PutObjectCommand', { ...place, Body: 'next', IfMatch: ETag })
    const again = { ...place, Body: 'next', IfMatch: ETag }
    await assert.rejects(send('PutObjectCommand', again), named('PreconditionFailed'))
    const next = await send('HeadObjectCommand', place)
    await assert.rejects(
      send('GetObjectCommand', { ...place, IfNoneMatch: next.ETag }),
      (error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode === 304,
    )
    await assert.rejects(
      send('DeleteObjectCommand', { ...place, IfMatch: ETag }),
      named('PreconditionFailed'),
    )
    await send('DeleteObjectCommand', { ...place, IfMatch: next.ETag })
  },

  async pages() {
    const Bucket = 'sdk-pages'
    await send('CreateBucketCommand', { Bucket })
    await send('PutBucketVersioningCommand', { Bucket, VersioningConfiguration: { Status: 'Enabled' } })
    const keys = Array.from({ length: 40 }, (_, i) => `dir${i % 4}/key ${String(i).padStart(2, '0')}`).sort()
    await Promise.all(keys.map((Key) => send('PutObjectCommand', { Bucket, Key, Body: Key })))
    const listed: string[] = []
    for await (const page of sdk.paginateListObjectsV2({ client, pageSize: 7 }, { Bucket }))
      for (const each of page.Contents ?? []) listed.push(each.Key)
    assert.deepEqual(listed, keys)
    const folders: string[] = []
    for await (const page of sdk.paginateListObjectsV2({ client, pageSize: 3 }, { Bucket, Delimiter: '/' }))
      for (const each of page.CommonPrefixes ?? []) folders.push(each.Prefix)
    assert.deepEqual(folders, ['dir0/', 'dir1/', 'dir2/', 'dir3/'])
    const versions = await send('ListObjectVersionsCommand', { Bucket, MaxKeys: 1000 })
    assert.equal(versions.Versions.length, 40)
    const buckets: string[] = []
    for await (const page of sdk.paginateListBuckets({ client, pageSize: 1 }, {}))
      for (const each of page.Buckets ?? []) buckets.push(each.Name)
    assert.ok(buckets.includes(Bucket))
    await send('PutBucketTaggingCommand', { Bucket, Tagging: { TagSet: [{ Key: 'k', Value: 'v' }] } })
    assert.deepEqual((await send('GetBucketTaggingCommand', { Bucket })).TagSet, [{ Key: 'k', Value: 'v' }])
  },

  async links() {
    const Bucket = 'sdk-links'
    await send('CreateBucketCommand', { Bucket })
    const put = await getSignedUrl(client, new sdk.PutObjectCommand({ Bucket, Key: 'a b+' }), {
      expiresIn: 60,
    })
    const sent = await fetch(put, { method: 'PUT', body: 'sent' })
    assert.equal(sent.status, 200, await sent.text())
    const get = await getSignedUrl(client, new sdk.GetObjectCommand({ Bucket, Key: 'a b+' }), {
      expiresIn: 60,
    })
    assert.equal(await (await fetch(get)).text(), 'sent')
  },
}

await GROUPS[group!]!()
