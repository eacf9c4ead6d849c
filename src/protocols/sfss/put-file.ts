/** The file that a POST or PUT brings: the body, or the field of a form. And on what condition. */
import { StoreError } from '../../base/errors.ts'
import { parseEtagList } from '../../net/conditional.ts'
import { fileOfForm, formBoundary } from '../../net/multipart.ts'
import { rawHeader } from '../../net/reply.ts'
import type { Conditions } from '../../objects/object-store.ts'

/** Of a form, where it has several. */
const FILE_FIELD = 'upload_file'
/** What a form may have beside its file. */
export const FORM_BYTES_MAX = 64 * 1024

/** Throws `bad_request` for a form without a file, `too_large`. */
export function uploadedFile(
  body: Buffer,
  rawHeaders: readonly string[],
  options: { bytesMax: number },
): Buffer {
  const boundary = formBoundary(rawHeader(rawHeaders, 'content-type') ?? '')
  const bytes = boundary === undefined ? body : fileOfForm(body, boundary, FILE_FIELD).data
  if (bytes.length > options.bytesMax) throw tooLarge(options.bytesMax)
  return bytes
}

export function tooLarge(bytesMax: number): StoreError {
  return new StoreError('too_large', `file over the limit of ${bytesMax} bytes`)
}

/** If-Match and If-None-Match of a write or removal. Throws `bad_request`. */
export function writeConditions(rawHeaders: readonly string[]): Conditions | undefined {
  const ifMatch = etagsOf(rawHeader(rawHeaders, 'if-match'), 'strong')
  const ifNoneMatch = etagsOf(rawHeader(rawHeaders, 'if-none-match'), 'weak')
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  return { ...(ifMatch && { ifMatch }), ...(ifNoneMatch && { ifNoneMatch }) }
}

function etagsOf(list: string | undefined, comparison: 'strong' | 'weak'): string[] | '*' | undefined {
  if (list === undefined) return undefined
  const tags = parseEtagList(list, comparison)
  if (tags === undefined) throw new StoreError('bad_request', 'malformed list of entity tags in a condition')
  return tags
}
