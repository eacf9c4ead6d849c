/** A folder of photos goes into a store that turns them upright, and comes out in three sizes, in a page of a browser. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { seededRandom } from '../../src/base/random.ts'
import { runCairn, startServer } from './cairn-process.ts'
import { GRID_SIDE, type Grid, gridOf, isUpright, makePhotos, type Photo } from './photo-folder.ts'

export const BROWSER = '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const SIZES = ['width=64&height=64&mode=fit', 'width=120', 'width=100&height=100']
const PAGE_MS_MAX = 60_000

export interface PhotoRound {
  count: number
  seed: number
  /** Opens the page of thumbnails in the browser, too. */
  withBrowser: boolean
  /** Where the screenshot is kept; nowhere without it. */
  screenshot?: string
  /** Upright photographs that the folder's are cut from; by default they are drawn. */
  sources?: string[]
}

export async function photoRound(round: PhotoRound): Promise<void> {
  const { count, seed, withBrowser, screenshot, sources = [] } = round
  const root = await mkdtemp(join(tmpdir(), 'cairn-photos-'))
  const folder = join(root, 'photos')
  const server = await startServer(join(root, 'data'), ['--fix-jpeg-orientation'])
  try {
    const photos = await makePhotos({ directory: folder, count, random: seededRandom(seed), sources })
    const up = await runCairn(['upload', '--master', server.master, '-r', folder])
    assert.equal(up.code, 0, up.stderr)
    const urls = new Map<string, string>()
    for (const line of up.stdout.trim().split('\n')) {
      const { fileName, fid } = JSON.parse(line) as { fileName: string; fid: string }
      urls.set(fileName, `http://${server.volume}/${fid}`)
    }
    assert.equal(urls.size, count)
    for (const photo of photos) await checkPhoto(photo, urls.get(photo.name)!)
    if (withBrowser) await checkPage({ root, photos, urls, screenshot })
  } finally {
    await server.stop()
    await rm(root, { recursive: true, force: true })
  }
}

async function fetchBytes(url: string): Promise<Buffer> {
  const reply = await fetch(url)
  assert.equal(reply.status, 200, `${url}: ${reply.status}`)
  return Buffer.from(await reply.arrayBuffer())
}

async function checkPhoto(photo: Photo, url: string): Promise<void> {
  const stored = await fetchBytes(url)
  if (photo.isBroken) {
    assert.equal(stored.length, 300, photo.name)
    for (const size of SIZES) assert.deepEqual(await fetchBytes(`${url}?${size}`), stored, photo.name)
    return
  }
  const { width, height, orientation = 1 } = await sharp(stored).metadata()
  assert.deepEqual([width, height, orientation], [photo.width, photo.height, 1], photo.name)
  assert.ok(isUpright(await gridOf(sharp(stored)), photo.whole), photo.name)
  const longer = Math.max(photo.width, photo.height)
  const wanted = [
    [Math.round((photo.width * 64) / longer), Math.round((photo.height * 64) / longer)],
    [120, Math.round((photo.height * 120) / photo.width)],
    [100, 100],
  ]
  for (const [i, size] of SIZES.entries()) {
    const smaller = await fetchBytes(`${url}?${size}`)
    const made = await sharp(smaller).metadata()
    assert.deepEqual([made.width, made.height], wanted[i], `${photo.name} ${size}`)
    const shows = i < 2 ? photo.whole : photo.square
    assert.ok(isUpright(await gridOf(sharp(smaller)), shows), `${photo.name} ${size}`)
  }
}

interface PageCheck {
  root: string
  photos: Photo[]
  urls: Map<string, string>
  screenshot: string | undefined
}

async function checkPage({ root, photos, urls, screenshot }: PageCheck): Promise<void> {
  const images = photos.map(
    ({ name }) => `<img crossorigin alt="${name}" src="${urls.get(name)}?${SIZES[2]}">`,
  )
  const html = `<!doctype html><meta charset="utf-8"><title>Photos</title><style>img{width:100px;height:100px}</style>${images.join('\n')}`
  const pages = createServer((_request, reply) => void reply.setHeader('content-type', 'text/html').end(html))
  await new Promise<void>((resolve) => void pages.listen(0, '127.0.0.1', resolve))
  const context = await chromium.launchPersistentContext(join(root, 'profile'), {
    executablePath: BROWSER,
    args: FLAGS,
    headless: true,
  })
  try {
    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/`, { timeout: PAGE_MS_MAX })
    await page.waitForFunction('[...document.images].every((image) => image.complete)', undefined, {
      timeout: PAGE_MS_MAX,
    })
    const shown = (await page.evaluate(`(${pageGrids})(${GRID_SIDE})`)) as [
      string,
      number,
      number,
      number[],
    ][]
    for (const [i, { name, isBroken, square }] of photos.entries()) {
      if (isBroken) continue
      const [alt, width, height, grid] = shown[i]!
      assert.deepEqual([alt, width, height], [name, 100, 100])
      assert.ok(isUpright(Uint8Array.from(grid) as Grid, square), `${name} in the page`)
    }
    const shot = await page.screenshot({ fullPage: true })
    assert.ok((await sharp(shot).metadata()).height > 100)
    if (screenshot !== undefined) await writeFile(screenshot, shot)
  } finally {
    await context.close()
    pages.close()
    pages.closeAllConnections()
  }
}

/** Runs in the page: what each image there looks like, as name, size and grid. */
const pageGrids = `(side) => [...document.images].map((image) => {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = side
  const context = canvas.getContext('2d')
  context.imageSmoothingQuality = 'high'
  if (image.naturalWidth > 0) context.drawImage(image, 0, 0, side, side)
  const pixels = context.getImageData(0, 0, side, side).data
  return [image.alt, image.naturalWidth, image.naturalHeight, [...pixels].filter((_, i) => i % 4 < 3)]
})`
