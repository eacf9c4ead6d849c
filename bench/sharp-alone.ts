/**
 * How often a second `sharp` by itself, with the volume server's settings, makes an image smaller, one after another, whenever
 * the parent process asks.
 */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import sharp from 'sharp'
import { photoWidth } from './photo.ts'

/** As the volume server compresses what it makes smaller. */
const QUALITY = 85

sharp.concurrency(1)
sharp.cache(false)
let turns = 0

async function run(path: string, seconds: number): Promise<number> {
  const photo = readFileSync(path)
  const start = performance.now()
  let count = 0
  while (performance.now() - start < seconds * 1_000) {
    await sharp(photo, { sequentialRead: true })
      .autoOrient()
      .resize({ width: photoWidth(turns++) })
      .jpeg({ quality: QUALITY })
      .toBuffer()
    count++
  }
  return (count * 1_000) / (performance.now() - start)
}

process.on('message', ({ path, seconds }: { path: string; seconds: number }) => {
  void run(path, seconds).then((rate) => process.send!(rate))
})
