/** A photo of 12 megapixels as a camera leaves it, lying on its side, and the sizes that are asked of it. */
import sharp from 'sharp'

const [WIDTH, HEIGHT] = [4_000, 3_000]
/** Asked for from this width on: thumbnails of a page. */
const WIDTH_MIN = 600
const WIDTHS = 400

/** The width of the nth request: all of one kind, so that neither side has the easier ones. */
export const photoWidth = (n: number) => WIDTH_MIN + (n % WIDTHS)

/** A JPEG of 3 to 4 MB: large shapes, grain, and an EXIF orientation. */
export async function makePhoto(): Promise<Buffer> {
  const noise = (width: number, height: number, sigma: number) =>
    sharp({
      create: {
        width,
        height,
        channels: 3,
        background: '#888',
        noise: { type: 'gaussian', mean: 128, sigma },
      },
    })
  const shapes = await noise(40, 30, 60).resize(WIDTH, HEIGHT, { kernel: 'cubic' }).png().toBuffer()
  const grain = await noise(WIDTH / 2, HEIGHT / 2, 12)
    .resize(WIDTH, HEIGHT)
    .png()
    .toBuffer()
  return await sharp(shapes)
    .composite([{ input: grain, blend: 'overlay' }])
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 90 })
    .toBuffer()
}
