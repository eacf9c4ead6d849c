/** The S3 door of a server that runs as a process, for its root. */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/base/clock.ts'
import { elements, S3Client, type S3Reply } from '../s3/s3-kit.ts'
import { ROOT_KEY, type ServerProcess } from '../support/cairn-process.ts'

export class S3Door {
  readonly client: S3Client

  constructor(server: ServerProcess) {
    const key = { accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey }
    const port = Number(server.s3.split(':').at(-1))
    this.client = new S3Client(port, { key, region: 'us-east-1', clock: systemClock })
  }

  /** The reply, which must have a status of success. */
  async must(reply: Promise<S3Reply>): Promise<S3Reply> {
    const got = await reply
    assert.ok(got.status >= 200 && got.status < 300, `${got.status} ${got.text.slice(0, 500)}`)
    return got
  }

  /** All keys below a prefix, by small pages, with their sizes. */
  async keys(bucket: string, prefix: string): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    for (let token: string | undefined = ''; token !== undefined; ) {
      const query: Record<string, string> = { 'list-type': '2', prefix, 'max-keys': '40' }
      if (token !== '') query['continuation-token'] = token
      const { text } = await this.must(this.client.get(`/${bucket}`, query))
      const sizes = elements(text, 'Size')
      for (const [at, key] of elements(text, 'Key').entries()) found.set(key, Number(sizes[at]))
      token = elements(text, 'NextContinuationToken')[0]
    }
    return found
  }

  /** Everything that listings say of a bucket: versions, uploads and their parts. */
  async everything(bucket: string): Promise<string[]> {
    const texts: string[] = []
    for (let marker: Record<string, string> | undefined = {}; marker !== undefined; ) {
      const { text } = await this.must(this.client.get(`/${bucket}`, { versions: '', ...marker }))
      texts.push(text)
      const [key] = elements(text, 'NextKeyMarker')
      const [version] = elements(text, 'NextVersionIdMarker')
      marker = key === undefined ? undefined : { 'key-marker': key, 'version-id-marker': version ?? '' }
    }
    const { text } = await this.must(this.client.get(`/${bucket}`, { uploads: '' }))
    texts.push(text)
    const uploads = elements(text, 'UploadId')
    for (const [at, key] of elements(text, 'Key').entries()) {
      const parts = await this.must(this.client.get(`/${bucket}/${key}`, { uploadId: uploads[at]! }))
      texts.push(parts.text)
    }
    return texts
  }
}
