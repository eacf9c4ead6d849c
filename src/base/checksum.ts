/** CRC32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in RFC 3720), which SeaweedFS's needles and ours use. */
import { crc32c as nativeCrc32c } from '@node-rs/crc32'

/**
 * CRC32C of `bytes`, as an unsigned 32-bit number.
 * `previous` continues an earlier result: `crc32c(b, crc32c(a))` equals `crc32c(a + b)`. The start is 0.
 */
export function crc32c(bytes: Buffer, previous = 0): number {
  return nativeCrc32c(bytes, previous)
}
