/** The file of a large form, read while it comes: what stands before it first, then its bytes piece by piece. */
import { StoreError } from '../base/errors.ts'
import { FORM_PART_HEADER_BYTES_MAX } from '../base/limits.ts'
import { type FormPart, fileOfForm, parseForm } from './multipart.ts'

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
    if (done) throw cutOff()
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
    data: dataOf(pieces, start.subarray(headEnd + 4), { delimiter, endsForm: true }),
  }
}

export interface FieldsForm extends FormStream {
  /** All before the file, as they came. */
  fields: (readonly [name: string, value: string])[]
}

/**
 * A form of fields, and a file that is named `file`; what comes behind that is read and dropped. Throws `bad_request` for
 * a form that is malformed, `too_large` when there is too much before the file, `not_found` when there is no file.
 */
export async function openFieldsForm(
  body: AsyncIterable<Buffer>,
  boundary: string,
  limits: { fieldsBytesMax: number },
): Promise<FieldsForm> {
  const reader = new FieldsReader(body[Symbol.asyncIterator](), boundary, limits.fieldsBytesMax)
  const fields: FieldsForm['fields'] = []
  await reader.skipPreamble()
  for (;;) {
    const part = await reader.nextHead()
    const name = utf8(part.name ?? '')
    if (name.toLowerCase() === 'file') return { fields, part, data: reader.rest() }
    fields.push([name, (await reader.nextValue()).toString('utf8')])
  }
}

const utf8 = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8')
const cutOff = () => new StoreError('bad_request', 'malformed multipart form: it is cut off')

/** Parts of a form that are small enough to wait for. */
class FieldsReader {
  readonly #pieces: AsyncIterator<Buffer>
  readonly #delimiter: Buffer
  readonly #bytesMax: number
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(pieces: AsyncIterator<Buffer>, boundary: string, bytesMax: number) {
    this.#pieces = pieces
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
    this.#bytesMax = bytesMax
  }

  /** Up to the first delimiter, which has no line break before it where nothing stands before it. */
  async skipPreamble(): Promise<void> {
    const opening = this.#delimiter.subarray(2)
    while (this.#buffer.length < opening.length) await this.#more()
    const isFirst = this.#buffer.subarray(0, opening.length).equals(opening)
    this.#at = isFirst ? opening.length : (await this.#find(this.#delimiter, 0)) + this.#delimiter.length
  }

  /** The head of the part behind the delimiter that was read last. */
  async nextHead(): Promise<FormPart> {
    while (this.#buffer.length < this.#at + 2) await this.#more()
    if (this.#buffer.toString('latin1', this.#at, this.#at + 2) === '--')
      throw new StoreError('not_found', 'the form has no file')
    const end = await this.#find(HEAD_END, this.#at)
    const closing = Buffer.concat([this.#delimiter, Buffer.from('--\r\n')])
    // The head alone, as a whole form: so there is one parser of heads.
    const head = [this.#delimiter.subarray(2), this.#buffer.subarray(this.#at, end + 4), closing]
    this.#at = end + 4
    return parseForm(Buffer.concat(head), this.#delimiter.toString('latin1', 4))[0]!
  }

  /** The data of the part, up to the next delimiter. */
  async nextValue(): Promise<Buffer> {
    const start = this.#at
    let end = await this.#findDelimiter(start - 2)
    while (kindOf(this.#buffer, end + this.#delimiter.length) === 'data')
      end = await this.#findDelimiter(end + 1)
    this.#at = end + this.#delimiter.length
    return this.#buffer.subarray(start, Math.max(start, end))
  }

  /** With the two bytes behind it. */
  async #findDelimiter(from: number): Promise<number> {
    const found = await this.#find(this.#delimiter, from)
    while (this.#buffer.length < found + this.#delimiter.length + 2) await this.#more()
    return found
  }

  /** The data of the last part, however long. */
  rest(): AsyncIterable<Buffer> {
    const first = this.#buffer.subarray(this.#at)
    return dataOf(this.#pieces, first, { delimiter: this.#delimiter, endsForm: false })
  }

  async #find(what: Buffer, from: number): Promise<number> {
    for (;;) {
      const found = this.#buffer.indexOf(what, from)
      const known = found < 0 ? this.#buffer.length : found
      if (known > this.#bytesMax) throw new StoreError('too_large', 'the fields of a form are too large')
      if (found >= 0) return found
      await this.#more()
    }
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#pieces.next()
    if (done) throw cutOff()
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value])
  }
}

const HEAD_END = Buffer.from('\r\n\r\n')

/** What two bytes behind a boundary say of it: a boundary that only begins like ours is data. */
function kindOf(bytes: Buffer, at: number): 'closing' | 'next' | 'data' {
  const behind = bytes.toString('latin1', at, at + 2)
  if (behind === '--') return 'closing'
  return behind === '\r\n' || behind.startsWith(' ') || behind.startsWith('\t') ? 'next' : 'data'
}

async function* dataOf(
  pieces: AsyncIterator<Buffer>,
  first: Buffer,
  { delimiter, endsForm }: { delimiter: Buffer; endsForm: boolean },
): AsyncGenerator<Buffer> {
  let rest = first
  let from = 0
  for (;;) {
    const found = rest.indexOf(delimiter, from)
    const behind = found + delimiter.length
    if (found >= 0 && rest.length >= behind + 2) {
      const kind = kindOf(rest, behind)
      if (kind === 'data') {
        from = found + 1
        continue
      }
      if (kind === 'next' && endsForm)
        throw new StoreError('bad_request', 'a large form may have one part only')
      if (found > 0) yield rest.subarray(0, found)
      break
    }
    const sure = found >= 0 ? found : Math.max(0, rest.length - delimiter.length - 2)
    if (sure > 0) yield rest.subarray(0, sure)
    from = Math.max(0, from - sure)
    const { value, done } = await pieces.next()
    if (done) throw cutOff()
    rest = sure === rest.length ? (value as Buffer) : Buffer.concat([rest.subarray(sure), value as Buffer])
  }
  // What stands behind is read and dropped.
  while (!(await pieces.next()).done);
}
