/**
 * A folder of photos as cameras and phones leave it: many sizes, all EXIF orientations in both byte orders, baseline and
 * progressive, some in a wide colour space, some PNG, WebP and GIF, some broken.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import type { Random } from '../../src/base/random.ts'
import { withCameraExif } from './exif.ts'

export interface Photo {
  name: string
  /** Upright. */
  width: number
  height: number
  isBroken: boolean
  /** What it shows upright: all of it, and the square in its middle. */
  whole: Grid
  square: Grid
}

export interface PhotoFolder {
  directory: string
  count: number
  random: Random
  /** Upright photographs that the folder's are cut from; by default they are drawn. */
  sources: readonly string[]
}

/** The colours of an image in so many fields on each side, three bytes each: what tells how it lies. */
export type Grid = Uint8Array
export const GRID_SIDE = 8
/** Mean difference of a byte between any two ways for a photo to lie. */
const APART_MIN = 12
/** What compression and sizes change is at most this share of that. */
const SHARE_MAX = 0.7
const SIDE_MIN = 200
const CUTS_MAX = 200
const KINDS = ['jpeg', 'jpeg', 'jpeg', 'jpeg', 'jpeg', 'png', 'webp', 'gif'] as const
/** What a camera does to an upright picture, by the orientation that it notes: flip, then turn. */
const TURNS: Record<number, { flop: boolean; degrees: number }> = {
  1: { flop: false, degrees: 0 },
  2: { flop: true, degrees: 0 },
  3: { flop: false, degrees: 180 },
  4: { flop: true, degrees: 180 },
  5: { flop: true, degrees: 270 },
  6: { flop: false, degrees: 270 },
  7: { flop: true, degrees: 90 },
  8: { flop: false, degrees: 90 },
}

interface Picture {
  data: Buffer
  width: number
  height: number
}

interface Cut extends Picture {
  whole: Grid
  square: Grid
}

export async function makePhotos({ directory, count, random, sources }: PhotoFolder): Promise<Photo[]> {
  await mkdir(directory, { recursive: true })
  const scenes = sources.length === 0 ? await drawScenes(random) : await Promise.all(sources.map(pictureOf))
  const photos: Photo[] = []
  for (let i = 0; i < count; i++) {
    const kind = KINDS[i % KINDS.length]!
    const orientation = kind === 'jpeg' ? 1 + ((Math.floor(i / KINDS.length) + i) % 8) : 1
    const picture = await cutOut(scenes, random)
    const name = `${String(i).padStart(4, '0')}-${kind}-${orientation}.${kind === 'jpeg' ? 'jpg' : kind}`
    const isBroken = i % 17 === 16
    const bytes = await encode(picture, { kind, orientation, i })
    await writeFile(join(directory, name), isBroken ? bytes.subarray(0, 300) : bytes)
    const { width, height, whole, square } = picture
    photos.push({ name, width, height, isBroken, whole, square })
  }
  return photos
}

const pictureOf = (path: string) => pixelsOf(sharp(path).autoOrient().toColourspace('srgb').removeAlpha())

async function pixelsOf(image: Sharp): Promise<Picture> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
  return { data, width: info.width, height: info.height }
}

const imageOf = ({ data, width, height }: Picture) => sharp(data, { raw: { width, height, channels: 3 } })

/** Soft shapes under grain, as photographs are for an encoder. */
async function drawScenes(random: Random): Promise<Picture[]> {
  const noise = (width: number, height: number) =>
    imageOf({ data: random.bytes(width * height * 3), width, height })
  const [width, height] = [1_200, 900]
  const scenes: Picture[] = []
  for (let i = 0; i < 4; i++) {
    const grain = await noise(width / 2, height / 2)
      .linear(0.2, 100)
      .resize(width, height)
      .png({ compressionLevel: 1 })
      .toBuffer()
    const shapes = await pixelsOf(noise(8, 6).linear(0.7, 40).resize(width, height, { kernel: 'cubic' }))
    scenes.push(
      await pixelsOf(
        imageOf(shapes)
          .composite([{ input: grain, blend: 'overlay' }])
          .removeAlpha(),
      ),
    )
  }
  return scenes
}

/** A part of a scene of which everyone can see how it lies. */
async function cutOut(scenes: readonly Picture[], random: Random): Promise<Cut> {
  for (let i = 0; i < CUTS_MAX; i++) {
    const scene = scenes[random.below(scenes.length)]!
    const [width, height] = [scene.width, scene.height].map(
      (side) => SIDE_MIN + random.below(side - SIDE_MIN),
    )
    const [left, top] = [random.below(scene.width - width!), random.below(scene.height - height!)]
    const picture = await pixelsOf(imageOf(scene).extract({ left, top, width: width!, height: height! }))
    const whole = await gridOf(imageOf(picture))
    const square = await gridOf(imageOf(await pixelsOf(imageOf(picture).resize(100, 100))))
    if ([whole, square].every((grid) => differenceOfOthers(grid, grid) > APART_MIN)) {
      return { ...picture, whole, square }
    }
  }
  throw new Error('the sources are the same all over')
}

async function encode(
  picture: Picture,
  { kind, orientation, i }: { kind: (typeof KINDS)[number]; orientation: number; i: number },
): Promise<Buffer> {
  if (kind === 'gif') return await imageOf(picture).gif({ effort: 1, dither: 0, colours: 64 }).toBuffer()
  if (kind !== 'jpeg') return await imageOf(picture).toFormat(kind).toBuffer()
  const { flop, degrees } = TURNS[orientation]!
  const lying = await pixelsOf(imageOf(await pixelsOf(imageOf(picture).flop(flop))).rotate(degrees))
  const jpeg = imageOf(lying).jpeg({
    quality: 70 + (i % 26),
    progressive: i % 3 === 0,
    chromaSubsampling: i % 4 === 0 ? '4:4:4' : '4:2:0',
  })
  const bytes = await (i % 5 === 0 ? jpeg.withIccProfile('p3') : jpeg).toBuffer()
  const thumbnail = await imageOf(lying).resize(160, 120, { fit: 'inside' }).jpeg().toBuffer()
  return withCameraExif(bytes, { orientation, bigEndian: i % 2 === 0, thumbnail })
}

/** The grid of what an image shows to those who know nothing of orientations. */
export async function gridOf(image: Sharp): Promise<Grid> {
  return await image
    .removeAlpha()
    .toColourspace('srgb')
    .resize(GRID_SIDE, GRID_SIDE, { fit: 'fill' })
    .raw()
    .toBuffer()
}

/** Whether an image shows what it should, in this position and in none of the seven others. */
export function isUpright(seen: Grid, wanted: Grid): boolean {
  return differenceOf(seen, wanted) < SHARE_MAX * differenceOfOthers(seen, wanted)
}

/** The least difference to an image that lies in another way. */
function differenceOfOthers(seen: Grid, wanted: Grid): number {
  const last = GRID_SIDE - 1
  const ways: ((x: number, y: number) => [number, number])[] = [
    (x, y) => [last - x, y],
    (x, y) => [last - x, last - y],
    (x, y) => [x, last - y],
    (x, y) => [y, x],
    (x, y) => [y, last - x],
    (x, y) => [last - y, last - x],
    (x, y) => [last - y, x],
  ]
  return Math.min(...ways.map((way) => differenceOf(seen, turned(wanted, way))))
}

function turned(grid: Grid, way: (x: number, y: number) => [number, number]): Grid {
  const result = new Uint8Array(grid.length)
  for (let y = 0; y < GRID_SIDE; y++) {
    for (let x = 0; x < GRID_SIDE; x++) {
      const [fromX, fromY] = way(x, y)
      const from = (fromY * GRID_SIDE + fromX) * 3
      result.set(grid.subarray(from, from + 3), (y * GRID_SIDE + x) * 3)
    }
  }
  return result
}

function differenceOf(a: Grid, b: Grid): number {
  return a.reduce((sum, byte, i) => sum + Math.abs(byte - b[i]!), 0) / a.length
}
