/** The EXIF block of a JPEG as cameras write it: maker, orientation, and a small picture that lies as the large one does. */

/** TIFF types: text, and a number of two or four bytes. */
const [TEXT, SHORT, LONG] = [2, 3, 4]
const ENTRY_BYTES = 12

interface Entry {
  tag: number
  type: number
  value: number | Buffer
}

/** Puts it behind the first two bytes of a JPEG. `bigEndian`: some makers write their numbers so, others not. */
export function withCameraExif(
  jpeg: Buffer,
  exif: { orientation: number; bigEndian: boolean; thumbnail: Buffer },
): Buffer {
  const tiff = tiffOf(exif)
  const head = Buffer.from([0xff, 0xe1, 0, 0, ...Buffer.from('Exif\0\0')])
  head.writeUInt16BE(2 + 6 + tiff.length, 2)
  return Buffer.concat([jpeg.subarray(0, 2), head, tiff, jpeg.subarray(2)])
}

function tiffOf(exif: { orientation: number; bigEndian: boolean; thumbnail: Buffer }): Buffer {
  const { orientation, bigEndian, thumbnail } = exif
  const order = { bigEndian }
  const head = Buffer.from(bigEndian ? 'MM\0\x2a\0\0\0\x08' : 'II\x2a\0\x08\0\0\0', 'latin1')
  const camera: Entry[] = [
    { tag: 0x10f, type: TEXT, value: Buffer.from('Cairn Optics\0') },
    { tag: 0x110, type: TEXT, value: Buffer.from('Pebble 12\0') },
    { tag: 0x112, type: SHORT, value: orientation },
  ]
  const first = directory(camera, { ...order, at: head.length, hasNext: true })
  const at = head.length + first.length
  const entries = (offset: number): Entry[] => [
    { tag: 0x103, type: SHORT, value: 6 },
    { tag: 0x201, type: LONG, value: offset },
    { tag: 0x202, type: LONG, value: thumbnail.length },
  ]
  const second = directory(entries(at + directory(entries(0), { ...order, at, hasNext: false }).length), {
    ...order,
    at,
    hasNext: false,
  })
  return Buffer.concat([head, first, second, thumbnail])
}

/** Whether the EXIF data (from `Exif` on) of a JPEG leads to a second picture. */
export function leadsToThumbnail(exif: Buffer): boolean {
  const tiff = exif.subarray(6)
  const bigEndian = tiff[0] === 0x4d
  const count = bigEndian ? tiff.readUInt16BE(8) : tiff.readUInt16LE(8)
  return tiff.readUInt32BE(10 + count * ENTRY_BYTES) !== 0
}

/** A directory of entries, with what does not fit into them behind it; `hasNext`: the next one follows at once. */
function directory(
  entries: readonly Entry[],
  { bigEndian, at, hasNext }: { bigEndian: boolean; at: number; hasNext: boolean },
): Buffer {
  const table = Buffer.alloc(2 + entries.length * ENTRY_BYTES + 4)
  const put = (value: number, position: number, bytes: 2 | 4) =>
    bigEndian ? table.writeUIntBE(value, position, bytes) : table.writeUIntLE(value, position, bytes)
  const behind: Buffer[] = []
  let end = at + table.length
  put(entries.length, 0, 2)
  for (const [i, { tag, type, value }] of entries.entries()) {
    const position = 2 + i * ENTRY_BYTES
    put(tag, position, 2)
    put(type, position + 2, 2)
    put(typeof value === 'number' ? 1 : value.length, position + 4, 4)
    if (typeof value === 'number') {
      put(value, position + 8, type === SHORT ? 2 : 4)
    } else {
      put(end, position + 8, 4)
      behind.push(value)
      end += value.length
    }
  }
  put(hasNext ? end : 0, table.length - 4, 4)
  return Buffer.concat([table, ...behind])
}
