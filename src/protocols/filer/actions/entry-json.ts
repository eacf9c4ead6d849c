/** A file or directory as JSON, with SeaweedFS's keys in its order. */
import type { ObjectAttributes, ObjectInfo } from '../../../objects/object-store.ts'
import { FILE_MODE_DEFAULT, SEARCHABLE } from './modes.ts'

/** Bit of Go's file modes. */
const DIRECTORY_BIT = 2 ** 31
/** What Go prints for no time. */
const NO_TIME = '0001-01-01T00:00:00Z'

export interface FilerEntry {
  /** `/a/b`. */
  fullPath: string
  isDirectory: boolean
  /** Undefined for a directory that is there only because of what lies in it. */
  info: ObjectInfo | undefined
}

export function entryJson({ fullPath, isDirectory, info }: FilerEntry): object {
  const attributes: ObjectAttributes = info?.attributes ?? {}
  const { posix = {} } = attributes
  const modified = timeOf(info?.modifiedMs)
  return {
    FullPath: fullPath,
    Mtime: modified,
    Crtime: timeOf(posix.createdMs ?? info?.modifiedMs),
    Ctime: modified,
    Atime: NO_TIME,
    Mode: modeOf(posix.mode, isDirectory),
    Uid: posix.uid ?? 0,
    Gid: posix.gid ?? 0,
    Mime: isDirectory ? '' : (attributes.contentType ?? ''),
    TtlSec: posix.ttlSeconds ?? 0,
    UserName: '',
    GroupNames: null,
    SymlinkTarget: '',
    Md5: isDirectory ? null : md5Of(info),
    FileSize: info?.sizeBytes ?? 0,
    Rdev: 0,
    Inode: 0,
    Extended: extendedOf(attributes),
    HardLinkId: null,
    HardLinkCounter: 0,
    Content: null,
    Remote: null,
    Quota: 0,
    WORMEnforcedAtTsNs: 0,
  }
}

function timeOf(ms: number | undefined): string {
  return ms === undefined ? NO_TIME : new Date(ms).toISOString().replace('.000Z', 'Z')
}

function modeOf(mode: number | undefined, isDirectory: boolean): number {
  if (!isDirectory) return mode ?? FILE_MODE_DEFAULT
  return DIRECTORY_BIT + (mode ?? FILE_MODE_DEFAULT | SEARCHABLE)
}

/** Base64; null where the ETag is not the MD5 of the bytes. */
function md5Of(info: ObjectInfo | undefined): string | null {
  const etag = info?.etag ?? ''
  return /^[0-9a-f]{32}$/.test(etag) ? Buffer.from(etag, 'hex').toString('base64') : null
}

/** All stored headers, values in base64. */
function extendedOf(attributes: ObjectAttributes): Record<string, string> | null {
  const pairs: [string, string][] = [...(attributes.extended ?? [])].map(([name, value]) => [name, value])
  const { cacheControl, contentDisposition, expires } = attributes
  if (cacheControl !== undefined) pairs.push(['Cache-Control', cacheControl])
  if (contentDisposition !== undefined) pairs.push(['Content-Disposition', contentDisposition])
  if (expires !== undefined) pairs.push(['Expires', expires])
  if (pairs.length === 0) return null
  pairs.sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(
    pairs.map(([name, value]) => [name, Buffer.from(value, 'latin1').toString('base64')]),
  )
}
