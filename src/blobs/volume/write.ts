/** POST and PUT of a file: the needle is appended, made durable as configured, and then acknowledged. Never before. */
import { StoreError } from '../../base/errors.ts'
import type { Volume, WriteResult } from '../../disk/volume.ts'
import { JSON_HEADERS, jsonBytes, type Outcome } from '../../net/reply.ts'
import { etagHex } from './etag.ts'
import type { Upload } from './upload.ts'

/** When a write counts as done: written, synced together with others, or synced on its own. */
export type SyncMode = 'none' | 'batch' | 'always'

export interface WriteOptions {
  sync: SyncMode
  /** Asked for by the request: at least `batch`. */
  fsync: boolean
  pretty: boolean
}

/** Stores an upload. Throws or rejects with what `Volume.write` and `durable` do. */
export function storeUpload(
  volume: Volume,
  upload: Upload,
  options: WriteOptions,
): Outcome | Promise<Outcome> {
  const written = volume.write(upload.needle)
  if (written instanceof Promise) return written.then((result) => finish(volume, upload, options, result))
  return finish(volume, upload, options, written)
}

function finish(
  volume: Volume,
  upload: Upload,
  options: WriteOptions,
  result: WriteResult,
): Outcome | Promise<Outcome> {
  // An unchanged needle may be another thread's that is not synced yet, so it waits as well.
  const synced = syncVolume(volume, options)
  if (synced === undefined) return writtenOutcome(upload, result, options.pretty)
  return synced.then(() => writtenOutcome(upload, result, options.pretty))
}

/** The promise to wait for before a write or delete is acknowledged; undefined when there is none. */
export function syncVolume(
  volume: Volume,
  options: { sync: SyncMode; fsync: boolean },
): Promise<void> | undefined {
  if (options.sync === 'always') return volume.durableAlone()
  if (options.sync === 'batch' || options.fsync) return volume.durable()
  return undefined
}

function writtenOutcome(upload: Upload, result: WriteResult, pretty: boolean): Outcome {
  const eTag = etagHex(result.checksum)
  if (result.unchanged) return { status: 204, headers: ['ETag', `"${eTag}"`], body: undefined }
  const headers = [...JSON_HEADERS, 'ETag', `"${eTag}"`, 'Content-MD5', upload.contentMd5]
  const { name, mime } = upload.needle
  const nameText = name?.toString('utf8') ?? ''
  const mimeText = mime?.toString('latin1') ?? ''
  if (!pretty && PLAIN_TEXT.test(nameText) && PLAIN_TEXT.test(mimeText) && upload.contentMd5 === '') {
    const namePart = nameText === '' ? '' : `"name":"${nameText}",`
    const sizePart = upload.sizeBytes === 0 ? '' : `"size":${upload.sizeBytes},`
    const mimePart = mimeText === '' ? '' : `,"mime":"${mimeText}"`
    return { status: 201, headers, body: `{${namePart}${sizePart}"eTag":"${eTag}"${mimePart}}` }
  }
  const reply = {
    name: nameText || undefined,
    size: upload.sizeBytes || undefined,
    eTag,
    mime: mimeText || undefined,
    contentMd5: upload.contentMd5 || undefined,
  }
  return { status: 201, headers, body: jsonBytes(reply, pretty) }
}

/** ASCII that JSON shows as it is. */
const PLAIN_TEXT = /^[ !#-%'-;=?-[\]-~]*$/

/** What is known before the body: a volume that will refuse it should do so at once. */
export function requireVolume(volume: Volume | undefined, volumeId: number): Volume {
  if (volume === undefined) throw new StoreError('volume_not_found', `volume ${volumeId} not found`)
  return volume
}
