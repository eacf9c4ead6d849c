/** The one file of a large form, read while it comes: its head first, then its bytes piece by piece. */
import { StoreError } from '../base/errors.ts'
import { FORM_PART_HEADER_BYTES_MAX } from '../base/limits.ts'
import { type FormPart, fileOfForm } from './multipart.ts'

export interface FormStream {
  /** Without its data. */
  part: FormPart
  /** The bytes of the file. Throws `bad_request` when the form is cut off, or has another part. */
  data: AsyncIterable<Buffer>
}

/** Throws `bad_request` for a form that does not begin with its file. */
export async function openFormStream(body: AsyncIterable<Buffer>, boundary: string): Promise<FormStream> {
  const pieces = body[Symbol.asyncIterator]()
  let start: Buffer = Buffer.alloc(0)
  let headEnd = -1
  while (headEnd < 0) {
    const { value, done } = await pieces.next()
    if (done) throw new StoreError('bad_request', 'malformed multipart form: it is cut off')
    start = Buffer.concat([start, value as Buffer])
    headEnd = start.indexOf('\r\n\r\n', 0, 'latin1')
    if (headEnd < 0 && start.length > FORM_PART_HEADER_BYTES_MAX)
      throw new StoreError('too_large', 'the headers of a form part are too large')
  }
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  // The head alone, as a whole form: so there is one parser of heads.
  const head = Buffer.concat([start.subarray(0, headEnd + 4), delimiter, Buffer.from('--\r\n')])
  return {
    part: fileOfForm(head, boundary),
    data: dataOf(pieces, start.subarray(headEnd + 4), delimiter),
  }
}

async function* dataOf(
  pieces: AsyncIterator<Buffer>,
  first: Buffer,
  delimiter: Buffer,
): AsyncGenerator<Buffer> {
  let rest = first
  for (;;) {
    const found = rest.indexOf(delimiter)
    // The two bytes behind the delimiter say whether it ends the form.
    if (found >= 0 && rest.length >= found + delimiter.length + 2) {
      const end = rest.toString('latin1', found + delimiter.length, found + delimiter.length + 2)
      if (end !== '--') throw new StoreError('bad_request', 'a large form may have one part only')
      if (found > 0) yield rest.subarray(0, found)
      break
    }
    const sure = found >= 0 ? found : Math.max(0, rest.length - delimiter.length - 2)
    if (sure > 0) yield rest.subarray(0, sure)
    const { value, done } = await pieces.next()
    if (done) throw new StoreError('bad_request', 'malformed multipart form: it is cut off')
    rest = sure === rest.length ? (value as Buffer) : Buffer.concat([rest.subarray(sure), value as Buffer])
  }
  // What stands behind the form is read and dropped.
  while (!(await pieces.next()).done);
}
