/** Images made smaller, cut and turned by query, and JPEGs turned upright at upload. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import sharp from 'sharp'
import { crc32c } from '../../src/base/checksum.ts'
import { IMAGE_PIXELS_MAX } from '../../src/base/limits.ts'
import { leadsToThumbnail, withCameraExif } from '../support/exif.ts'
import { ask, type Kit, post, type Reply, startKit } from './volume-server-kit.ts'

let kit: Kit
before(async () => {
  kit = await startKit()
})
after(() => kit.close())

/** Red on the left, blue on the right. */
function picture(width: number, height: number) {
  const half = { create: { width: width >> 1, height, channels: 3, background: 'blue' } } as const
  return sharp({ create: { width, height, channels: 3, background: 'red' } }).composite([
    { input: half, left: width - (width >> 1), top: 0 },
  ])
}

async function store(content: Buffer, filename: string, mime?: string): Promise<string> {
  const path = `/${kit.newFid()}`
  const file = { content, filename, ...(mime === undefined ? {} : { mime }) }
  const reply = await post(kit.port, '', file, { path })
  assert.equal(reply.status, 201, reply.text)
  return path
}

const get = (path: string, headers: Record<string, string> = {}): Promise<Reply> =>
  ask(kit.port, { path, headers })

async function sizeOf(reply: Reply): Promise<string> {
  assert.equal(reply.status, 200, reply.text)
  const { width, height } = await sharp(reply.body).metadata()
  return `${width}x${height}`
}

test('resize: by width, height, both, fit, fill, square; never larger', async () => {
  const path = await store(await picture(300, 200).jpeg().toBuffer(), 'p.jpg', 'image/jpeg')
  const sizes: [query: string, size: string][] = [
    ['width=150', '150x100'],
    ['height=50', '75x50'],
    ['width=120&height=30', '120x30'],
    ['width=120&height=30&mode=fit', '45x30'],
    ['width=120&height=30&mode=fill', '120x30'],
    ['width=60&height=60', '60x60'],
    ['width=60&height=1000&mode=fit', '60x40'],
    ['width=60&height=40&mode=fit', '60x40'],
    ['width=60&mode=fit', '60x40'],
    ['height=40&mode=fit', '60x40'],
    ['width=900', '300x200'],
    ['width=900&height=900&mode=fill', '300x200'],
    ['width=0', '300x200'],
  ]
  for (const [query, size] of sizes) assert.equal(await sizeOf(await get(`${path}?${query}`)), size, query)
  for (const bad of ['width=-1', 'width=x', 'mode=other&width=1', 'crop_x1=5&crop_x2=5&crop_y2=9']) {
    assert.equal((await get(`${path}?${bad}`)).status, 400, bad)
  }
})

test('a square is cut from the middle, a box is filled, and a stretched one holds all', async () => {
  const path = await store(await picture(300, 100).png().toBuffer(), 'p.png')
  const ends = async (query: string) => {
    const { data, info } = await sharp((await get(`${path}?${query}`)).body)
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true })
    return [data[0]! > 128 ? 'red' : 'blue', data[(info.width - 1) * 3]! > 128 ? 'red' : 'blue']
  }
  assert.deepEqual(await ends('width=50&height=50'), ['red', 'blue'])
  assert.deepEqual(await ends('crop_x1=200&crop_y1=0&crop_x2=300&crop_y2=100&width=50&height=50'), [
    'blue',
    'blue',
  ])
})

test('crop comes first, and ends where the image does', async () => {
  const path = await store(await picture(300, 200).webp().toBuffer(), 'p.webp')
  assert.equal(await sizeOf(await get(`${path}?crop_x1=10&crop_y1=20&crop_x2=110&crop_y2=70`)), '100x50')
  assert.equal(
    await sizeOf(await get(`${path}?crop_x1=10&crop_y1=20&crop_x2=110&crop_y2=70&width=50`)),
    '50x25',
  )
  assert.equal(await sizeOf(await get(`${path}?crop_x1=250&crop_y1=150&crop_x2=900&crop_y2=900`)), '50x50')
  assert.equal(await sizeOf(await get(`${path}?crop_x1=500&crop_y1=500&crop_x2=900&crop_y2=900`)), '300x200')
})

test('each kind stays what it is, by name or by type, animations too', async () => {
  for (const format of ['jpeg', 'png', 'webp', 'gif'] as const) {
    const content = await picture(80, 40).toFormat(format).toBuffer()
    for (const path of [await store(content, `p.${format}`), await store(content, 'p', `image/${format}`)]) {
      const reply = await get(`${path}?width=20`)
      assert.equal(reply.headers['content-type'], `image/${format}`)
      const made = await sharp(reply.body).metadata()
      assert.deepEqual([made.format, made.width, made.height], [format, 20, 10])
    }
  }
  const frames = [await picture(80, 40).png().toBuffer(), await picture(80, 40).negate().png().toBuffer()]
  const moving = await store(
    await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer(),
    'p.gif',
  )
  const smaller = await get(`${moving}?width=20`)
  const { pages, pageHeight } = await sharp(smaller.body, { animated: true }).metadata()
  assert.deepEqual([pages, pageHeight], [2, 10])
})

test('a smaller image is upright, whatever its EXIF orientation', async () => {
  for (let orientation = 1; orientation <= 8; orientation++) {
    const content = await picture(300, 200).withMetadata({ orientation }).jpeg().toBuffer()
    const path = await store(content, 'p.jpg')
    const reply = await get(`${path}?height=100`)
    assert.equal(await sizeOf(reply), orientation < 5 ? '150x100' : '67x100')
    assert.equal((await sharp(reply.body).metadata()).orientation ?? 1, 1)
  }
})

test('ETag, conditions, ranges and HEAD are those of the derived image', async () => {
  const content = await picture(300, 200).png().toBuffer()
  const path = await store(content, 'p.png')
  const whole = await get(`${path}?width=100`)
  const again = await get(`${path}?width=100`)
  assert.deepEqual(again.body, whole.body)
  const { etag } = whole.headers
  assert.notEqual(etag, (await get(path)).headers.etag)
  assert.notEqual(etag, (await get(`${path}?width=101`)).headers.etag)
  assert.equal((await get(`${path}?width=100`, { 'If-None-Match': etag! })).status, 304)
  assert.equal((await get(`${path}?width=101`, { 'If-None-Match': etag! })).status, 200)
  const range = await get(`${path}?width=100`, { Range: 'bytes=10-19', 'If-Range': etag! })
  assert.deepEqual([range.status, range.body], [206, whole.body.subarray(10, 20)])
  assert.equal(range.headers['content-range'], `bytes 10-19/${whole.body.length}`)
  const head = await ask(kit.port, { path: `${path}?width=100`, method: 'HEAD' })
  assert.equal(head.headers['content-length'], String(whole.body.length))
})

test('what is no image, or a damaged one, is served as it is stored', async () => {
  const content = await picture(300, 200).png().toBuffer()
  const cut = content.subarray(0, 60)
  const texts: [Buffer, string][] = [
    [cut, 'p.png'],
    [Buffer.from('no image at all, but long enough'), 'p.jpg'],
    [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 'p.svg'],
    [Buffer.from('hello'), 'h.txt'],
    [content, 'data.bin'],
  ]
  for (const [stored, name] of texts) {
    const reply = await get(`${await store(stored, name)}?width=10`)
    assert.deepEqual([reply.status, reply.body], [200, stored], name)
  }
})

test('an image in chunks, and one that is stored gzipped, are made smaller too', async () => {
  const content = await picture(300, 200).png().toBuffer()
  const half = content.length >> 1
  const chunks: { fid: string; offset: number; size: number }[] = []
  for (const [offset, end] of [
    [0, half],
    [half, content.length],
  ] as const) {
    const path = await store(content.subarray(offset, end), 'part')
    chunks.push({ fid: path.slice(1), offset, size: end - offset })
  }
  const manifest = Buffer.from(JSON.stringify({ name: 'p.png', mime: '', size: content.length, chunks }))
  const path = `/${kit.newFid()}`
  const put = await post(kit.port, '', { content: manifest }, { path: `${path}?cm=true` })
  assert.equal(put.status, 201, put.text)
  const whole = await get(path)
  assert.deepEqual([whole.body, whole.headers['x-file-store']], [content, 'chunked'])
  assert.equal(await sizeOf(await get(`${path}?width=30`)), '30x20')
  const packed = `/${kit.newFid()}`
  const file = { content: gzipSync(content), filename: 'p.png', lines: ['Content-Encoding: gzip'] }
  assert.equal((await post(kit.port, '', file, { path: packed })).status, 201)
  const smaller = await get(`${packed}?width=30`, { 'Accept-Encoding': 'gzip' })
  assert.deepEqual([await sizeOf(smaller), smaller.headers['content-encoding']], ['30x20', undefined])
})

test('an image of too many pixels is refused', async () => {
  const side = Math.ceil(Math.sqrt(IMAGE_PIXELS_MAX)) + 1
  const bomb = await sharp({
    create: { width: side, height: side, channels: 3, background: 'red' },
    limitInputPixels: false,
  })
    .png({ palette: true, compressionLevel: 9 })
    .toBuffer()
  assert.ok(bomb.length < 4_000_000)
  const reply = await get(`${await store(bomb, 'bomb.png')}?width=10`)
  assert.equal(reply.status, 400)
  assert.match(reply.text, /pixels/)
})

test('many at a time are all answered', async () => {
  const path = await store(await picture(300, 200).jpeg().toBuffer(), 'p.jpg')
  const replies = await Promise.all(Array.from({ length: 40 }, (_, i) => get(`${path}?width=${i + 10}`)))
  for (const [i, reply] of replies.entries())
    assert.equal((await sizeOf(reply)).split('x')[0], String(i + 10))
})

test('with the orientation fix, a JPEG is stored upright; a broken one, and others, as they come', async () => {
  const fixing = await startKit({ fixJpegOrientation: true })
  try {
    const put = async (content: Buffer, filename: string, query = '') => {
      const path = `/${fixing.newFid()}`
      const reply = await post(fixing.port, '', { content, filename }, { path: path + query })
      assert.equal(reply.status, 201, reply.text)
      const stored = (await ask(fixing.port, { path })).body
      assert.equal(reply.json().eTag, crc32c(stored).toString(16).padStart(8, '0'))
      assert.equal(reply.json().size, stored.length)
      return stored
    }
    const lying = await picture(300, 200)
      .jpeg()
      .withExif({ IFD0: { Copyright: 'somebody' } })
      .withMetadata({ orientation: 6 })
      .toBuffer()
    const upright = await put(lying, 'p.jpg')
    const { width, height, orientation, exif } = await sharp(upright).metadata()
    assert.deepEqual([width, height, orientation ?? 1], [200, 300, 1])
    assert.ok(exif?.includes('somebody'))
    const camera = await picture(300, 200).jpeg().toBuffer()
    const thumbnail = await picture(30, 20).jpeg().toBuffer()
    for (const bigEndian of [true, false]) {
      const taken = withCameraExif(camera, { orientation: 6, bigEndian, thumbnail })
      assert.equal(leadsToThumbnail((await sharp(taken).metadata()).exif!), true)
      const stored = await sharp(await put(taken, 'p.jpg')).metadata()
      assert.deepEqual([stored.width, stored.orientation, leadsToThumbnail(stored.exif!)], [200, 1, false])
      assert.ok(stored.exif!.includes('Pebble 12'))
    }
    const broken = lying.subarray(0, 700)
    const straight = await picture(300, 200).jpeg().toBuffer()
    const png = await picture(30, 20).withMetadata({ orientation: 6 }).png().toBuffer()
    assert.deepEqual(await put(broken, 'p.jpg'), broken)
    assert.deepEqual(await put(straight, 'p.jpg'), straight)
    assert.deepEqual(await put(png, 'p.png'), png)
    assert.deepEqual(await put(lying, 'p.jpg', '?type=replicate'), lying)
  } finally {
    await fixing.close()
  }
})
