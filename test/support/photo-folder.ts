/** A folder of photos as cameras and phones leave it: many sizes, EXIF orientations, some PNG, WebP and GIF, some broken. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import type { Random } from '../../src/base/random.ts'

export interface Photo {
  name: string
  /** Upright. */
  width: number
  height: number
  isBroken: boolean
}

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

/** Writes the folder. Upright, every photo has a red sky above green ground, and a white sun at the left of the sky. */
export async function makePhotos(directory: string, count: number, random: Random): Promise<Photo[]> {
  await mkdir(directory, { recursive: true })
  const photos: Photo[] = []
  for (let i = 0; i < count; i++) {
    const kind = KINDS[i % KINDS.length]!
    const [width, height] = [200 + random.below(600), 200 + random.below(600)]
    const orientation = kind === 'jpeg' ? 1 + ((Math.floor(i / KINDS.length) + i) % 8) : 1
    const name = `${String(i).padStart(4, '0')}-${kind}-${orientation}.${kind === 'jpeg' ? 'jpg' : kind}`
    const isBroken = i % 17 === 16
    const bytes = await makePhoto({ kind, width, height, orientation })
    await writeFile(join(directory, name), isBroken ? bytes.subarray(0, 300) : bytes)
    photos.push({ name, width, height, isBroken })
  }
  return photos
}

async function makePhoto(photo: {
  kind: 'jpeg' | 'png' | 'webp' | 'gif'
  width: number
  height: number
  orientation: number
}): Promise<Buffer> {
  const { kind, width, height, orientation } = photo
  const sun = Math.floor(Math.min(width, height) / 4)
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <rect width="100%" height="50%" fill="#d03030"/><rect y="50%" width="100%" height="50%" fill="#208020"/>
    <rect x="0" y="0" width="${sun}" height="${sun}" fill="#ffffff"/></svg>`
  const { flop, degrees } = TURNS[orientation]!
  const upright = await sharp(Buffer.from(svg)).flatten().png().toBuffer()
  const flopped = flop ? await sharp(upright).flop().png().toBuffer() : upright
  const turned = sharp(flopped).rotate(degrees)
  return await (kind === 'jpeg' ? turned.withMetadata({ orientation }) : turned).toFormat(kind).toBuffer()
}

/** Whether an image shows sky, sun and ground where an upright one does. */
export async function isUpright(image: Buffer): Promise<boolean> {
  const { data, info } = await sharp(image)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true })
  const at = (x: number, y: number) => {
    const start = (Math.floor(y * info.height) * info.width + Math.floor(x * info.width)) * info.channels
    return [data[start]!, data[start + 1]!, data[start + 2]!] as const
  }
  const [sun, sky, left, right] = [at(0.04, 0.04), at(0.9, 0.1), at(0.1, 0.9), at(0.9, 0.9)]
  const isGround = ([red, green]: readonly [number, number, number]) => green > 80 && red < 90
  return sun[1] > 180 && sky[0] > 150 && sky[1] < 110 && isGround(left) && isGround(right)
}
