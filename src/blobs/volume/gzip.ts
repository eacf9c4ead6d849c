/** Which uploads are stored gzipped, and how: those whose kind compresses, when a tenth or more is won. */
import { gzip, gzipSync } from 'node:zlib'
import type { HeavyJobs } from '../../base/heavy-jobs.ts'
import { GZIP_AT_ONCE_BYTES_MAX, GZIP_BYTES_MAX, GZIP_BYTES_MIN } from '../../base/limits.ts'
import type { NewNeedle } from '../../disk/needle.ts'
import { OCTET_STREAM } from '../../net/mime-types.ts'

/** The gzip is kept when it is at most this share of the file. */
const SHARE_MAX = 0.9
/** Kinds that are compressed already, whatever their type says. */
const PACKED = words(
  '7z avif br bz2 flac gif gz heic jpeg jpg lz4 mkv mov mp3 mp4 ogg png rar tgz webm webp woff2 xz zip zst',
)
/** Kinds that are text, for files whose type says nothing. */
const TEXTS = words(
  'bmp c cfg conf cpp css csv go h htm html ini java js json jsonl log md mjs php pl py rb rs sh sql srt svg tex toml ts tsv txt vtt wav xml yaml yml',
)

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '))
}

/** Whether a file of this name and type (latin1 or undefined) is worth a try. */
export function isCompressible(name: string, mime: string | undefined): boolean {
  const dot = name.lastIndexOf('.')
  const extension = dot < 0 ? '' : name.slice(dot + 1).toLowerCase()
  if (PACKED.has(extension)) return false
  if (mime === undefined || mime === '' || mime.startsWith(OCTET_STREAM)) return TEXTS.has(extension)
  const type = mime.split(';', 1)[0]!.trim().toLowerCase()
  if (type.startsWith('text/') || type.endsWith('xml') || type.endsWith('json')) return true
  if (type.includes('script') || type === 'image/bmp') return true
  return type.startsWith('audio/') && type.includes('wav')
}

/** Replaces the data of a needle by its gzip where that is worth it. A promise for what takes long. */
export function compressNeedle(needle: NewNeedle, jobs: HeavyJobs): undefined | Promise<void> {
  const { data, name, mime } = needle
  if (data.length < GZIP_BYTES_MIN || data.length > GZIP_BYTES_MAX || needle.gzipped || needle.manifest)
    return
  if (!isCompressible(name?.toString('latin1') ?? '', mime?.toString('latin1'))) return
  const options = { maxOutputLength: Math.floor(data.length * SHARE_MAX) }
  if (data.length <= GZIP_AT_ONCE_BYTES_MAX) {
    try {
      setGzip(needle, gzipSync(data, options))
    } catch (error) {
      if (!isTooLong(error)) throw error
    }
    return
  }
  if (jobs.isFull) return
  const compress = () =>
    new Promise<void>((resolve, reject) => {
      gzip(data, options, (error, compressed) => {
        if (error === null) setGzip(needle, compressed)
        if (error === null || isTooLong(error)) resolve()
        else reject(error)
      })
    })
  return jobs.run(compress)
}

function setGzip(needle: NewNeedle, compressed: Buffer): void {
  needle.data = compressed
  needle.gzipped = true
}

function isTooLong(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}
