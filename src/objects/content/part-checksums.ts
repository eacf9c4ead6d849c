/** Checksums and ETags of objects in parts, from those of the parts. */
import { createHash } from 'node:crypto'
import { assert } from '../../base/assert.ts'
import { StoreError } from '../../base/errors.ts'
import { type CrcName, combineCrcs, digestNameOf, digestsOf } from '../digests.ts'
import type { Checksum, ChecksumAlgorithm } from '../object-store.ts'

/** As a row of `part` has it. */
export const checksumText = (checksum: Checksum | undefined) =>
  checksum === undefined ? '' : `${checksum.algorithm}:${checksum.value}`

export function checksumOf(text: string): Checksum | undefined {
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const algorithm = text.slice(0, colon) as ChecksumAlgorithm
  return { algorithm, value: text.slice(colon + 1), type: 'FULL_OBJECT' }
}

export interface SummedPart {
  sizeBytes: number
  etag: string
  checksum: Checksum | undefined
}

/** MD5 of the parts' MD5s, and their count. */
export function etagOfParts(parts: readonly Pick<SummedPart, 'etag'>[]): string {
  const hash = createHash('md5')
  for (const { etag } of parts) hash.update(Buffer.from(etag, 'hex'))
  return `${hash.digest('hex')}-${parts.length}`
}

/** Undefined where a part has no such checksum. Throws `bad_request` for a kind that cannot be computed from parts. */
export function checksumOfParts(
  parts: readonly SummedPart[],
  wanted: { algorithm: ChecksumAlgorithm; type: Checksum['type'] },
): Checksum | undefined {
  const { algorithm, type } = wanted
  const sums: { crc: Buffer; sizeBytes: number }[] = []
  for (const { checksum, sizeBytes } of parts) {
    if (checksum?.algorithm !== algorithm) return undefined
    sums.push({ crc: Buffer.from(checksum.value, 'base64'), sizeBytes })
  }
  const name = digestNameOf(algorithm)
  if (type === 'FULL_OBJECT') {
    if (!isCrc(name))
      throw new StoreError('bad_request', `${algorithm} of a whole object is not known from its parts`)
    return { algorithm, type, value: combineCrcs(name, sums).toString('base64') }
  }
  const digest = digestsOf([name], Buffer.concat(sums.map(({ crc }) => crc)))[name]
  assert(digest !== undefined, 'a digest that was asked for is there')
  return { algorithm, type, value: `${digest.toString('base64')}-${parts.length}` }
}

/** Only these can be combined from those of parts. */
const CRC_NAMES: readonly string[] = ['crc32', 'crc32c', 'crc64nvme'] satisfies CrcName[]

function isCrc(name: string): name is CrcName {
  return CRC_NAMES.includes(name)
}
