/**
 * Images made smaller, cut and turned upright, with `sharp`. It is loaded when the first image asks for it, works on
 * Node's pool of threads, and sees nothing but JPEG, PNG, GIF and WebP, recognised by their first bytes.
 */
import type { Sharp, SharpOptions } from 'sharp'
import { StoreError } from '../../base/errors.ts'
import type { HeavyJobs } from '../../base/heavy-jobs.ts'
import { IMAGE_CACHE_BYTES_MAX, IMAGE_PIXELS_MAX, IMAGE_STORED_BYTES_MAX } from '../../base/limits.ts'
import type { NewNeedle } from '../../disk/needle.ts'
import type { ByteSource } from '../../net/byte-source.ts'
import { dropExifThumbnail } from './exif-thumbnail.ts'
import { type ImageQuery, planImage } from './image-query.ts'

type MakeSharp = (input: Buffer, options?: SharpOptions) => Sharp
type Format = 'jpeg' | 'png' | 'gif' | 'webp'

/** Of a JPEG that is stored anew, upright; and of one that is served smaller. */
const UPRIGHT_QUALITY = 92
const RESIZED_QUALITY = 85
const NAME_OF_IMAGE = /\.(jpe?g|png|gif|webp)$/i
const TYPE_OF_IMAGE = /^image\/(jpeg|jpg|pjpeg|png|gif|webp)\b/i
const IS_JPEG = /\.jpe?g$/i
const JPEG_TYPE = /^image\/p?jpe?g\b/i

/** Whether name or type (latin1) say that a file is an image that can be made smaller. */
export function isImage(name: string, mime: string | undefined): boolean {
  return NAME_OF_IMAGE.test(name) || (mime !== undefined && TYPE_OF_IMAGE.test(mime))
}

export class Images {
  readonly #jobs: HeavyJobs
  readonly #cache = new ByteCache(IMAGE_CACHE_BYTES_MAX)
  /** Undefined inside where this platform has no build of it: then images are served and stored as they come. */
  #sharp: Promise<MakeSharp | undefined> | undefined

  constructor(jobs: HeavyJobs) {
    this.#jobs = jobs
  }

  /**
   * The image as the query wants it; undefined where it is served as it is stored: damaged, small enough already, or
   * no image. `key` names the stored bytes. Throws `bad_request` for too many pixels, `too_many_requests`.
   */
  async derive(source: ByteSource, key: string, query: ImageQuery): Promise<Buffer | undefined> {
    if (source.sizeBytes > IMAGE_STORED_BYTES_MAX) return undefined
    const cacheKey = `${key}-${query.variant}`
    const kept = this.#cache.get(cacheKey)
    if (kept !== undefined) return kept
    const derived = await this.#jobs.run(async () => {
      const stored = await bytesOf(source)
      const format = formatOf(stored)
      return format === undefined ? undefined : await this.#transform(stored, format, query)
    })
    if (derived !== undefined) this.#cache.set(cacheKey, derived)
    return derived
  }

  async #transform(stored: Buffer, format: Format, query: ImageQuery): Promise<Buffer | undefined> {
    const sharp = await this.#load()
    if (sharp === undefined) return undefined
    // The limit is checked here, for an answer of its own; sharp's comes as a damaged image would.
    const options = { animated: format === 'gif' || format === 'webp', limitInputPixels: false } as const
    const found = await sharp(stored, options)
      .metadata()
      .catch(() => undefined)
    if (found === undefined) return undefined
    if (found.width * found.height > IMAGE_PIXELS_MAX) {
      throw new StoreError(
        'bad_request',
        `the image has ${found.width} x ${found.height} pixels, more than ${IMAGE_PIXELS_MAX} together`,
      )
    }
    const { width, height } = { ...found.autoOrient }
    const plan = planImage(query, { width, height: found.pageHeight ?? height })
    if (plan === undefined) return undefined
    const { crop, resize } = plan
    let image = sharp(stored, {
      ...options,
      limitInputPixels: IMAGE_PIXELS_MAX,
      sequentialRead: true,
    }).autoOrient()
    if (crop !== undefined) image = image.extract(crop)
    if (resize !== undefined) {
      const size = { width: resize.width, height: resize.height }
      image = image.resize({ ...size, fit: resize.covers ? 'cover' : 'fill' })
    }
    if (format === 'jpeg') image = image.jpeg({ quality: RESIZED_QUALITY })
    return await image
      .keepIccProfile()
      .toBuffer()
      .catch(() => undefined)
  }

  /** Turns a JPEG upright that says it lies on its side; anything else, damaged ones too, stays as it is. */
  uprightNeedle(needle: NewNeedle): undefined | Promise<void> {
    const { data, name, mime } = needle
    const isJpeg =
      IS_JPEG.test(name?.toString('latin1') ?? '') || JPEG_TYPE.test(mime?.toString('latin1') ?? '')
    if (!isJpeg || needle.gzipped || needle.manifest || formatOf(data) !== 'jpeg') return
    if (data.length > IMAGE_STORED_BYTES_MAX || this.#jobs.isFull) return
    return this.#jobs.run(async () => {
      const upright = await this.#upright(data)
      if (upright !== undefined) needle.data = upright
    })
  }

  async #upright(data: Buffer): Promise<Buffer | undefined> {
    const sharp = await this.#load()
    if (sharp === undefined) return undefined
    try {
      const options = { limitInputPixels: IMAGE_PIXELS_MAX, sequentialRead: true }
      const { orientation = 1, chromaSubsampling } = await sharp(data, options).metadata()
      if (orientation < 2 || orientation > 8) return undefined
      const upright = await sharp(data, options)
        .autoOrient()
        .keepMetadata()
        .jpeg({
          quality: UPRIGHT_QUALITY,
          chromaSubsampling: chromaSubsampling === '4:4:4' ? '4:4:4' : '4:2:0',
        })
        .toBuffer()
      dropExifThumbnail(upright)
      return upright
    } catch {
      return undefined
    }
  }

  #load(): Promise<MakeSharp | undefined> {
    this.#sharp ??= import('sharp').then(
      ({ default: sharp }) => {
        // The jobs are counted here; what is worth keeping, too.
        sharp.concurrency(1)
        sharp.cache(false)
        return sharp as MakeSharp
      },
      () => undefined,
    )
    return this.#sharp
  }
}

function formatOf(data: Buffer): Format | undefined {
  if (data.length < 12) return undefined
  if (data[0] === 0xff && data[1] === 0xd8 && data[2] === 0xff) return 'jpeg'
  const head = data.toString('latin1', 0, 12)
  if (head.startsWith('\x89PNG')) return 'png'
  if (head.startsWith('GIF8')) return 'gif'
  return head.startsWith('RIFF') && head.endsWith('WEBP') ? 'webp' : undefined
}

async function bytesOf(source: ByteSource): Promise<Buffer> {
  if (source.whole !== undefined) return source.whole
  const whole = Buffer.allocUnsafeSlow(source.sizeBytes)
  let filled = 0
  for await (const piece of source.read(0, source.sizeBytes)) filled += piece.copy(whole, filled)
  return whole
}

/** The values used last, as long as they fit. */
class ByteCache {
  readonly #bytesMax: number
  /** In the order of use, the oldest first. */
  readonly #entries = new Map<string, Buffer>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(key: string): Buffer | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: string, value: Buffer): void {
    if (value.length > this.#bytesMax / 4) return
    this.#bytes += value.length - (this.#entries.get(key)?.length ?? 0)
    this.#entries.delete(key)
    this.#entries.set(key, value)
    for (const [oldest, { length }] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) break
      this.#entries.delete(oldest)
      this.#bytes -= length
    }
  }
}
