/** The bytes of a journal's changes: a word, then one changeset of SQLite, compressed with a checksum. */
import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { StoreError } from '../../base/errors.ts'
import { META_CHANGES_BYTES_MAX } from '../../base/limits.ts'

const MAGIC = Buffer.from('CAIRNMC1')
const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

export async function packChanges(changeset: Uint8Array): Promise<Buffer> {
  const params = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 }
  return Buffer.concat([MAGIC, await compress(changeset, { params })])
}

/** Throws `corrupt`, `unsupported`. */
export async function unpackChanges(bytes: Buffer): Promise<Buffer> {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new StoreError('unsupported', 'changes in a format that this version does not know')
  try {
    return await decompress(bytes.subarray(MAGIC.length), { maxOutputLength: META_CHANGES_BYTES_MAX })
  } catch (cause) {
    throw new StoreError('corrupt', `changes cannot be decompressed: ${(cause as Error).message}`, { cause })
  }
}
