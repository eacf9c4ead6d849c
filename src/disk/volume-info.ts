/**
 * `<volume>.cairn`: what only Cairn knows of a volume, as one line of JSON and a line with its CRC32C. Should it be lost,
 * the salt can be had back from any undamaged record, as a CRC is linear in its start value.
 */
import { crc32c } from '../base/checksum.ts'

const FORMAT_VERSION = 1

export interface VolumeInfoFile {
  /** Starts the checksums of the volume's trailers. */
  salt: number
  /** How the volume's bytes are protected; `copies-1` until there is more. */
  redundancy: string
  /** The volume's TTL as in its super block, which has no checksum. */
  ttl: number
  /** Of the `.dat` that the next field speaks of. */
  compactionRevision: number
  /** Records before this place, in units of 8 bytes, may be SeaweedFS's and have no trailer. */
  foreignUnits: number
  /** A sync failed, or opening was in doubt: the files are not trusted for writes until a compaction has written them anew. */
  suspect: boolean
  /** While it is suspect: what stands behind the last record may be of use, and is not cut off. */
  keepsRest?: boolean | undefined
  /** An administrator closed the volume for writes. */
  readOnly?: boolean
  /** The volume is being moved to or from another server: no writes until that is done or given up. */
  moving?: boolean
  /** It was made in the place of a lost member of an erasure group, and has not got all of its shards yet. */
  filling?: boolean
}

/** Whether a volume with this file is opened read only. */
export function isClosedForWrites(info: VolumeInfoFile): boolean {
  return info.suspect || info.readOnly === true || info.moving === true
}

export function encodeVolumeInfo(info: VolumeInfoFile): Buffer {
  const line = JSON.stringify({ format: FORMAT_VERSION, ...info, salt: hex(info.salt) })
  return Buffer.from(`${line}\n${hex(crc32c(Buffer.from(line)))}\n`)
}

/** Undefined when the bytes are damaged. Throws nothing. */
export function decodeVolumeInfo(bytes: Buffer): VolumeInfoFile | undefined {
  const [line, checksum] = bytes.toString('utf8').split('\n')
  if (line === undefined || checksum !== hex(crc32c(Buffer.from(line)))) return undefined
  const { format, salt, ...rest } = JSON.parse(line) as VolumeInfoFile & { format: number; salt: unknown }
  if (format !== FORMAT_VERSION) return undefined
  return { ...rest, salt: Number.parseInt(String(salt), 16) }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
