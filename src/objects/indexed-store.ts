/** The object store whose names are in SQL: each call goes to the part that knows about it. */
import type { Buckets } from './buckets.ts'
import type { Names } from './names.ts'
import type { ObjectStore } from './object-store.ts'
import type { Tree, Uploads } from './parts.ts'

export interface IndexedStoreParts {
  buckets: Buckets
  names: Names
  uploads: Uploads
  tree: Tree
}

type Call<Name extends keyof ObjectStore> = ObjectStore[Name]

export class IndexedStore implements ObjectStore {
  readonly #parts: IndexedStoreParts

  constructor(parts: IndexedStoreParts) {
    this.#parts = parts
  }

  readonly createBucket: Call<'createBucket'> = (bucket) => this.#parts.buckets.create(bucket)
  readonly bucket: Call<'bucket'> = (name) => this.#parts.buckets.find(name)
  readonly listBuckets: Call<'listBuckets'> = (options) => this.#parts.buckets.list(options)
  readonly changeBucket: Call<'changeBucket'> = (bucket, change) => this.#parts.buckets.change(bucket, change)
  readonly deleteBucket: Call<'deleteBucket'> = (bucket) => this.#parts.buckets.delete(bucket)
  readonly usage: Call<'usage'> = (bucket) => this.#parts.buckets.usage(bucket)

  readonly put: Call<'put'> = (request) => this.#parts.names.put(request)
  readonly find: Call<'find'> = (bucket, key, options) => this.#parts.names.find(bucket, key, options)
  readonly delete: Call<'delete'> = (request) => this.#parts.names.delete(request)
  readonly deleteMany: Call<'deleteMany'> = (requests) => this.#parts.names.deleteMany(requests)
  readonly copy: Call<'copy'> = (request) => this.#parts.names.copy(request)
  readonly setTags: Call<'setTags'> = (at, tags) => this.#parts.names.setTags(at, tags)
  readonly setAttributes: Call<'setAttributes'> = (at, change) => this.#parts.names.setAttributes(at, change)
  readonly setLock: Call<'setLock'> = (at, lock, options) => this.#parts.names.setLock(at, lock, options)
  readonly list: Call<'list'> = (request) => this.#parts.names.list(request)
  readonly listVersions: Call<'listVersions'> = (request) => this.#parts.names.listVersions(request)

  readonly append: Call<'append'> = (request) => this.#parts.uploads.append(request)
  readonly createUpload: Call<'createUpload'> = (upload) => this.#parts.uploads.createUpload(upload)
  readonly putPart: Call<'putPart'> = (part) => this.#parts.uploads.putPart(part)
  readonly copyPart: Call<'copyPart'> = (part) => this.#parts.uploads.copyPart(part)
  readonly listParts: Call<'listParts'> = (upload, options) => this.#parts.uploads.listParts(upload, options)
  readonly completeUpload: Call<'completeUpload'> = (request) => this.#parts.uploads.completeUpload(request)
  readonly abortUpload: Call<'abortUpload'> = (upload) => this.#parts.uploads.abortUpload(upload)
  readonly listUploads: Call<'listUploads'> = (request) => this.#parts.uploads.listUploads(request)

  readonly stat: Call<'stat'> = (bucket, path) => this.#parts.tree.stat(bucket, path)
  readonly listDirectory: Call<'listDirectory'> = (bucket, path, options) =>
    this.#parts.tree.listDirectory(bucket, path, options)
  readonly makeDirectory: Call<'makeDirectory'> = (bucket, path, attributes) =>
    this.#parts.tree.makeDirectory(bucket, path, attributes)
  readonly rename: Call<'rename'> = (bucket, from, to) => this.#parts.tree.rename(bucket, from, to)
  readonly removeDirectory: Call<'removeDirectory'> = (bucket, path, options) =>
    this.#parts.tree.removeDirectory(bucket, path, options)
  readonly expireFiles: Call<'expireFiles'> = (bucket, isStopped) =>
    this.#parts.tree.expireFiles(bucket, isStopped)
}
