/** The list of chunks that stands for a long file. Each chunk is a file of its own, whose path has the hash of its bytes in it. */
import { StoreError } from '../../base/errors.ts'

export interface Manifest {
  format: 1
  size: number
  chunkSize: number
  /** Of this upload alone, so that no two files share a chunk: 32 hex digits. */
  upload: string
  /** SHA-256 of each, in order. */
  chunks: string[]
}

const FORMAT = 1

/** Where a chunk is, for servers and for the ring a path like any other. */
export function chunkPath({ upload, chunks }: Pick<Manifest, 'upload' | 'chunks'>, index: number): Buffer {
  return Buffer.from(`cairn-chunk/${upload}/${index}/${chunks[index]}`)
}

const CHUNK_PATH = /^cairn-chunk\/[0-9a-f]{32}\/\d+\/[0-9a-f]{64}$/

/** Whether a path is one of `chunkPath`. */
export const isChunkPath = (path: string) => CHUNK_PATH.test(path)

/** The upload that a chunk belongs to. */
export const uploadOfChunk = (path: string) => path.split('/')[1] ?? ''

export function chunkBytes({ size, chunkSize }: Manifest, index: number): number {
  return Math.min(chunkSize, size - index * chunkSize)
}

/** The mark that listings show of a manifest. */
export const markOf = ({ upload, size }: Pick<Manifest, 'upload' | 'size'>) => `${upload}.${size}`

const MARK = /^[0-9a-f]{32}\.(\d{1,16})$/

/** Whether a text is one of `markOf`. */
export const isMark = (text: string) => Number.isSafeInteger(Number(MARK.exec(text)?.[1]))

/** Length of the file that an entry stands for. */
export function fileSize({ size, manifest }: { size: number; manifest?: string }): number {
  return manifest === undefined ? size : Number(manifest.split('.')[1])
}

export const encodeManifest = (manifest: Manifest) => Buffer.from(JSON.stringify(manifest))

/** Throws `unsupported`, `corrupt`. */
export function decodeManifest(bytes: Buffer): Manifest {
  let manifest: Partial<Manifest> | null
  try {
    manifest = JSON.parse(bytes.toString())
  } catch (error) {
    throw new StoreError('corrupt', 'a damaged manifest', { cause: error })
  }
  if (typeof manifest !== 'object' || manifest === null) throw new StoreError('corrupt', 'a damaged manifest')
  if (manifest.format !== FORMAT) throw new StoreError('unsupported', 'a manifest of another version')
  if (!isWhole(manifest)) throw new StoreError('corrupt', 'a damaged manifest')
  return manifest
}

const HEX = /^[0-9a-f]+$/
const isHex = (value: unknown, digits: number) =>
  typeof value === 'string' && value.length === digits && HEX.test(value)
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0

function isWhole(manifest: Partial<Manifest>): manifest is Manifest {
  const { size, chunkSize, upload, chunks } = manifest
  if (!isCount(size) || !isCount(chunkSize) || !isHex(upload, 32) || !Array.isArray(chunks)) return false
  return chunks.length === Math.ceil(size / chunkSize) && chunks.every((each) => isHex(each, 64))
}
