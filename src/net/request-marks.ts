/**
 * Which headers of a request matter, as bits, found in one pass over the raw list. Most requests have none of them, and
 * then nothing else is parsed.
 */
export const MARK = {
  range: 1,
  /** If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since. */
  conditional: 2,
  origin: 4,
  acceptEncoding: 8,
} as const

/** The bits of `MARK`. */
export function marksOf(rawHeaders: readonly string[]): number {
  let marks = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    switch (name.length) {
      case 5:
        if (name.toLowerCase() === 'range') marks |= MARK.range
        break
      case 6:
        if (name.toLowerCase() === 'origin') marks |= MARK.origin
        break
      case 8:
        if (name.toLowerCase() === 'if-match') marks |= MARK.conditional
        break
      case 13:
        if (name.toLowerCase() === 'if-none-match') marks |= MARK.conditional
        break
      case 15:
        if (name.toLowerCase() === 'accept-encoding') marks |= MARK.acceptEncoding
        break
      case 17:
        if (name.toLowerCase() === 'if-modified-since') marks |= MARK.conditional
        break
      case 19:
        if (name.toLowerCase() === 'if-unmodified-since') marks |= MARK.conditional
        break
    }
  }
  return marks
}
