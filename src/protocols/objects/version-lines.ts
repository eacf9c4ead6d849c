/** Versions as lines of JSON: name, version, size and hash. A version that says deleted has no bytes and no hash. */
import type { ObjectInfo } from '../../objects/object-store.ts'
import { numberOfVersionId } from '../../objects/version-numbers.ts'

/** One piece a page. */
export async function* versionLines(pages: AsyncIterable<ObjectInfo[]>): AsyncGenerator<Buffer> {
  for await (const page of pages) if (page.length > 0) yield Buffer.from(page.map(lineOf).join(''))
}

function lineOf(info: ObjectInfo): string {
  const { key: name, sizeBytes: size } = info
  return `${JSON.stringify({ name, version: numberOfVersionId(info.versionId), size, hash: hashOfInfo(info) })}\n`
}

/** Null: it was stored by another door, in pieces, and nobody has computed it. */
function hashOfInfo({ isDeleteMarker, attributes: { checksum } }: ObjectInfo): string | null {
  if (isDeleteMarker) return ''
  return checksum?.algorithm === 'SHA256' && checksum.type === 'FULL_OBJECT' ? checksum.value : null
}
