/** Content types by the ending of a file's name, for files that were stored without one. */

const TYPES: Readonly<Record<string, string>> = {
  avif: 'image/avif',
  bmp: 'image/bmp',
  css: 'text/css; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  flac: 'audio/flac',
  gif: 'image/gif',
  gz: 'application/gzip',
  htm: 'text/html; charset=utf-8',
  html: 'text/html; charset=utf-8',
  ico: 'image/vnd.microsoft.icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  md: 'text/markdown; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  ogg: 'audio/ogg',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  txt: 'text/plain; charset=utf-8',
  wasm: 'application/wasm',
  wav: 'audio/wav',
  webm: 'video/webm',
  webp: 'image/webp',
  woff: 'font/woff',
  woff2: 'font/woff2',
  xml: 'text/xml; charset=utf-8',
  zip: 'application/zip',
}
const BY_EXTENSION = new Map(Object.entries(TYPES))

export const OCTET_STREAM = 'application/octet-stream'

/** The type that a file's name tells, or `application/octet-stream`. Content is never looked at: that is how scripts get in. */
export function mimeTypeOfName(name: string): string {
  const dot = name.lastIndexOf('.')
  if (dot < 0) return OCTET_STREAM
  const extension = name.slice(dot + 1)
  return BY_EXTENSION.get(extension) ?? BY_EXTENSION.get(extension.toLowerCase()) ?? OCTET_STREAM
}
