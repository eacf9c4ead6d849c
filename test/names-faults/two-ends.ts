/**
 * Names as two threads have them, in one: the end that serves and the end that writes metadata, each with its view of the same volumes.
 * Metadata are a real SQLite file; the volumes lie on whatever disk they are given.
 */
import { randomBytes } from 'node:crypto'
import { MessageChannel } from 'node:worker_threads'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { LocalBlobStore } from '../../src/blobs/local-blob-store.ts'
import { RemoteBlobs } from '../../src/blobs/remote-blobs.ts'
import { volumeSyncs } from '../../src/cli/roles/volume-syncs.ts'
import type { VolumeSet } from '../../src/disk/volume-set.ts'
import type { MetaStore } from '../../src/meta/meta-store.ts'
import { type MetaWriter, openMetaClient, openMetaWriter } from '../../src/meta/open-meta-store.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { Buckets } from '../../src/objects/buckets.ts'
import { BlobContentReader } from '../../src/objects/content-reader.ts'
import { BlobContentWriter, UPLOAD_LOAD_BYTES, UploadLoad } from '../../src/objects/content-writer.ts'
import { inlineHashPool } from '../../src/objects/digests.ts'
import { Names } from '../../src/objects/names.ts'
import type { Bucket, PutResult } from '../../src/objects/object-store.ts'
import { OBJECT_SCRIPTS } from '../../src/objects/scripts.ts'
import { objectKeys } from '../support/object-keys.ts'

export interface TwoEndsOptions {
  /** Views of the same volumes. */
  serving: VolumeSet
  writing: VolumeSet
  /** Of the metadata. */
  directory: string
  /** Volumes that ids are given out of, in turn. */
  volumeIds: readonly number[]
  /** The first key that is given out, the same for all volumes. Default 1. */
  firstKey?: number
  /** As if the volumes lay on the disk of the metadata, or did not. */
  isNear: boolean
  /** Of the end that writes metadata. Default systemClock. */
  clock?: Clock
}

export interface TwoEnds {
  names: Names
  bucket: Bucket
  /** Of the end that serves. */
  meta: MetaStore
  writer: MetaWriter
  put(key: string, whole: Buffer): Promise<PutResult>
  /** Of a small object. Throws `not_found`, `corrupt`. */
  read(key: string): Promise<Buffer>
  close(): Promise<void>
}

export async function openTwoEnds(options: TwoEndsOptions): Promise<TwoEnds> {
  const { serving, writing, directory, volumeIds, isNear, clock = systemClock } = options
  const parts = { clock: systemClock, random: systemRandom }
  const writer = openMetaWriter(directory, {
    ...{ ...parts, clock },
    scripts: OBJECT_SCRIPTS,
    syncs: { ...volumeSyncs(writing, directory), isNear: () => isNear },
  })
  await writer.restore()
  const { port1, port2 } = new MessageChannel()
  writer.serve(port1)
  const meta = openMetaClient(directory, port2, { clock: systemClock })
  const http = new HttpClient()
  const auth = new ClusterAuth({ ...parts, secret: randomBytes(32) })
  let leases = 0
  let key = options.firstKey ?? 1
  const blobs = new LocalBlobStore({
    ...parts,
    volumes: serving,
    remote: new RemoteBlobs({ http, auth, scheme: 'http', find: async () => [] }),
    listing: { volumes: async () => [], async *list() {} },
    async assign({ count }) {
      const keyLow = key
      key += count
      return {
        volumeId: volumeIds[leases++ % volumeIds.length]!,
        keyHigh: 0,
        keyLow,
        count,
        url: '127.0.0.1:1',
      }
    },
    sync: 'batch',
    leaseCount: 1,
  })
  const load = new UploadLoad(new SharedArrayBuffer(UPLOAD_LOAD_BYTES))
  const keys = objectKeys()
  const storing = { ...parts, blobs, load, meta, keys, hashPool: inlineHashPool }
  const names = new Names({
    ...{ ...parts, meta, keys },
    writer: new BlobContentWriter({ ...storing, collection: '_objects' }),
    reader: new BlobContentReader(storing),
  })
  const buckets = new Buckets({ ...parts, meta })
  const bucket = (await buckets.find('bucket')) ?? (await buckets.create({ name: 'bucket', owner: 'ada' }))
  return {
    ...{ names, bucket, meta, writer },
    put: (name, whole) => {
      const body = {
        sizeBytes: whole.length,
        whole,
        async *pieces() {
          yield whole
        },
      }
      return names.put({ bucket, key: name, attributes: {}, body })
    },
    async read(name) {
      const found = await names.find(bucket, name)
      return (await found.read(0, found.info.sizeBytes)) as Buffer
    },
    async close() {
      await meta.close()
      await writer.close()
      blobs.close()
      http.close()
    },
  }
}
