/** The small picture that cameras keep in a JPEG's EXIF data: it lies as the large one lay. */

const [APP1, START_OF_SCAN] = [0xe1, 0xda]
const ENTRY_BYTES = 12

/** Leaves the small picture out of the EXIF data's directories, in place; its bytes stay. What is malformed stays as it is. */
export function dropExifThumbnail(jpeg: Buffer): void {
  const tiff = exifOf(jpeg)
  if (tiff === undefined || tiff.length < 8) return
  const isBigEndian = tiff.toString('latin1', 0, 2) === 'MM'
  const number = (at: number, bytes: 2 | 4) =>
    at + bytes > tiff.length ? 0 : isBigEndian ? tiff.readUIntBE(at, bytes) : tiff.readUIntLE(at, bytes)
  // The first directory is the large picture's; behind its entries stands where the next one is.
  const first = number(4, 4)
  const next = first + 2 + number(first, 2) * ENTRY_BYTES
  if (next + 4 <= tiff.length) tiff.writeUInt32BE(0, next)
}

/** The TIFF data within: directories, and places counted from its start. */
function exifOf(jpeg: Buffer): Buffer | undefined {
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at] === 0xff && jpeg[at + 1] !== START_OF_SCAN; ) {
    const end = at + 2 + jpeg.readUInt16BE(at + 2)
    const isExif = jpeg[at + 1] === APP1 && jpeg.toString('latin1', at + 4, at + 10) === 'Exif\0\0'
    if (isExif) return jpeg.subarray(at + 10, end)
    at = end
  }
  return undefined
}
