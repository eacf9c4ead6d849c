/** Version 2 of the SDK of AWS for JavaScript, minio for it, and aws4fetch. Arguments: the directory of packages, and the function that runs. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'

const [, , directory, group] = process.argv
const load = createRequire(join(directory!, 'package.json'))
const endpoint = process.env.ENDPOINT!
const KEY = 'a b/c+ü'
const readText = async (url: string) => await (await fetch(url)).text()

const GROUPS: Record<string, () => Promise<void>> = {
  async 'aws-sdk'() {
    const AWS = load('aws-sdk')
    const data = randomBytes(11 * 1024 * 1024)
    for (const signatureVersion of ['v4', 'v2']) {
      const s3 = new AWS.S3({ endpoint, s3ForcePathStyle: true, signatureVersion })
      const Bucket = `sdk-of-old-${signatureVersion}`
      await s3.createBucket({ Bucket }).promise()
      await s3.putObject({ Bucket, Key: KEY, Body: 'hello', Metadata: { who: 'me' } }).promise()
      const got = await s3.getObject({ Bucket, Key: KEY }).promise()
      assert.equal(got.Body.toString(), 'hello')
      assert.deepEqual(got.Metadata, { who: 'me' })
      await s3.upload({ Bucket, Key: 'large', Body: data }, { partSize: 5 * 1024 * 1024 }).promise()
      assert.deepEqual((await s3.getObject({ Bucket, Key: 'large' }).promise()).Body, data)
      assert.equal(await readText(s3.getSignedUrl('getObject', { Bucket, Key: KEY })), 'hello')
      const { Contents } = await s3.listObjectsV2({ Bucket }).promise()
      const Objects = Contents.map(({ Key }: { Key: string }) => ({ Key }))
      assert.deepEqual(Objects, [{ Key: KEY }, { Key: 'large' }])
      await s3.deleteObjects({ Bucket, Delete: { Objects } }).promise()
      await s3.deleteBucket({ Bucket }).promise()
    }
  },

  async minio() {
    const { Client } = load('minio')
    const { hostname, port } = new URL(endpoint)
    const keys = { accessKey: process.env.AWS_ACCESS_KEY_ID, secretKey: process.env.AWS_SECRET_ACCESS_KEY }
    const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, ...keys })
    const bucket = 'minio-of-javascript'
    await client.makeBucket(bucket)
    assert.equal(await client.bucketExists(bucket), true)
    await client.putObject(bucket, KEY, 'hello', 5, { 'X-Amz-Meta-Who': 'me' })
    assert.equal((await buffer(await client.getObject(bucket, KEY))).toString(), 'hello')
    assert.equal((await client.statObject(bucket, KEY)).metaData.who, 'me')
    const data = randomBytes(11 * 1024 * 1024)
    client.partSize = 5 * 1024 * 1024
    await client.putObject(bucket, 'large', data)
    assert.deepEqual(await buffer(await client.getObject(bucket, 'large')), data)
    const names: string[] = []
    for await (const each of client.listObjectsV2(bucket, '', true)) names.push(each.name)
    assert.deepEqual(names, [KEY, 'large'])
    assert.equal(await readText(await client.presignedGetObject(bucket, KEY, 60)), 'hello')
    const policy = client.newPostPolicy()
    policy.setBucket(bucket)
    policy.setKey('form')
    policy.setExpires(new Date(Date.now() + 60_000))
    const { postURL, formData } = await client.presignedPostPolicy(policy)
    const form = new FormData()
    for (const [name, value] of Object.entries(formData)) form.append(name, String(value))
    form.append('file', new Blob(['by form']))
    assert.equal((await fetch(postURL, { method: 'POST', body: form })).status, 204)
    await client.removeObjects(bucket, [...names, 'form'])
    await client.removeBucket(bucket)
  },

  async aws4fetch() {
    const { AwsClient } = load('aws4fetch')
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = process.env
    const aws = new AwsClient({ accessKeyId, secretAccessKey, service: 's3', region: 'us-east-1' })
    const bucket = `${endpoint}/aws4fetch`
    const url = `${bucket}/${encodeURIComponent(KEY)}`
    const statusOf = async (path: string, options: object) => (await aws.fetch(path, options)).status
    assert.equal(await statusOf(bucket, { method: 'PUT' }), 200)
    const headers = { 'x-amz-meta-who': 'me', 'Content-Type': 'text/x' }
    assert.equal(await statusOf(url, { method: 'PUT', body: 'hello', headers }), 200)
    const got = await aws.fetch(url)
    assert.equal(got.headers.get('x-amz-meta-who'), 'me')
    assert.equal(await got.text(), 'hello')
    assert.match(await (await aws.fetch(`${bucket}?list-type=2&prefix=a b/`)).text(), /<KeyCount>1</)
    const link = new URL(url)
    link.searchParams.set('X-Amz-Expires', '60')
    const signed = await aws.sign(new Request(link), { aws: { signQuery: true } })
    assert.equal(await readText(signed.url), 'hello')
    assert.equal(await statusOf(url, { method: 'DELETE' }), 204)
    assert.equal(await statusOf(url, {}), 404)
    assert.equal(await statusOf(bucket, { method: 'DELETE' }), 204)
  },
}

await GROUPS[group!]!()
