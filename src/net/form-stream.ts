/** The file of a large form, read while it comes: what stands before it first, then its bytes piece by piece. */
import { StoreError } from '../base/errors.ts'
import { FORM_FIELDS_BYTES_MAX, FORM_PARTS_MAX } from '../base/limits.ts'
import { type FormPart, kindOfBoundary, parseForm } from './multipart.ts'

export interface FormStream {
  /** Without its data. */
  part: FormPart
  /** The bytes of the file. Throws `bad_request` when the form is cut off, or has a second file. */
  data: AsyncIterable<Buffer>
}

/**
 * The one file of a form, as `fileOfForm` finds it: the part with a file name, or else the only part. Fields before and behind it are
 * dropped. Throws `bad_request` for a form that is malformed or has no file, `too_large` when there is too much before the file.
 */
export async function openFormStream(body: AsyncIterable<Buffer>, boundary: string): Promise<FormStream> {
  const reader = new FieldsReader(body[Symbol.asyncIterator](), boundary, FORM_FIELDS_BYTES_MAX)
  await reader.skipPreamble()
  if (await reader.isOver()) throw noFile()
  const first = await reader.nextHead()
  if (first.filename !== undefined) return { part: first, data: reader.file() }
  const value = await reader.shortValue()
  // Too long for a field, so it is a file that only lacks its name.
  if (value === undefined) return { part: first, data: reader.file() }
  if (await reader.isOver()) {
    await reader.drop()
    return { part: first, data: onePiece(value) }
  }
  for (let count = 1; ; count++) {
    if (count >= FORM_PARTS_MAX) throw new StoreError('bad_request', 'the form has too many parts')
    const part = await reader.nextHead()
    if (part.filename !== undefined) return { part, data: reader.file() }
    await reader.nextValue()
    if (await reader.isOver()) throw noFile()
  }
}

async function* onePiece(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
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
    if (name === '') throw new StoreError('bad_request', 'a field of the form has no name')
    if (name.toLowerCase() === 'file') return { fields, part, data: reader.rest() }
    fields.push([name, (await reader.nextValue()).toString('utf8')])
  }
}

const utf8 = (bytes: string) => Buffer.from(bytes, 'latin1').toString('utf8')
const noFile = () => new StoreError('bad_request', 'the form has no file')
const cutOff = () => new StoreError('bad_request', 'malformed multipart form: it is cut off')

/** Parts of a form that are small enough to wait for. */
class FieldsReader {
  readonly #pieces: AsyncIterator<Buffer>
  readonly #delimiter: Buffer
  readonly #bytesMax: number
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  /** The body has no more. */
  #isEnded = false

  constructor(pieces: AsyncIterator<Buffer>, boundary: string, bytesMax: number) {
    this.#pieces = pieces
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
    this.#bytesMax = bytesMax
  }

  /** Up to the first delimiter, which has no line break before it where nothing stands before it. */
  async skipPreamble(): Promise<void> {
    const opening = this.#delimiter.subarray(2)
    while (this.#buffer.length < opening.length) await this.#more()
    const isFirst =
      this.#buffer.subarray(0, opening.length).equals(opening) &&
      (await this.#kindAt(opening.length)) !== 'data'
    this.#at = isFirst ? opening.length : (await this.#findDelimiter(0)) + this.#delimiter.length
  }

  /** The head of the part behind the delimiter that was read last. */
  async nextHead(): Promise<FormPart> {
    if (await this.isOver()) throw new StoreError('not_found', 'the form has no file')
    const end = await this.#find(HEAD_END, this.#at)
    const closing = Buffer.concat([this.#delimiter, Buffer.from('--\r\n')])
    // The head alone, as a whole form: so there is one parser of heads.
    const head = [this.#delimiter.subarray(2), this.#buffer.subarray(this.#at, end + 4), closing]
    this.#at = end + 4
    return parseForm(Buffer.concat(head), this.#delimiter.toString('latin1', 4))[0]!
  }

  /** Whether the delimiter that was read last ends the form. */
  async isOver(): Promise<boolean> {
    return (await this.#kindAt(this.#at)) === 'closing'
  }

  /** As `nextValue`; undefined, with nothing read, where that is too large for a field. */
  async shortValue(): Promise<Buffer | undefined> {
    const start = this.#at
    try {
      return await this.nextValue()
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'too_large') throw error
      this.#at = start
      return undefined
    }
  }

  /** The data of the part, up to the next delimiter. */
  async nextValue(): Promise<Buffer> {
    const start = this.#at
    const end = await this.#findDelimiter(start - 2)
    this.#at = end + this.#delimiter.length
    return this.#buffer.subarray(start, Math.max(start, end))
  }

  async #findDelimiter(from: number): Promise<number> {
    let found = await this.#find(this.#delimiter, from)
    while ((await this.#kindAt(found + this.#delimiter.length)) === 'data')
      found = await this.#find(this.#delimiter, found + 1)
    return found
  }

  /** What the delimiter is that ends there. */
  async #kindAt(end: number): Promise<'closing' | 'next' | 'data'> {
    for (;;) {
      const kind = kindOfBoundary(this.#buffer, end, this.#isEnded)
      if (kind !== undefined) return kind
      await this.#grow()
    }
  }

  /** The data of the part, however long; what comes behind it is read and dropped. */
  async *rest(): AsyncGenerator<Buffer> {
    yield* this.#data()
    await this.drop()
  }

  /** The data of the part, however long. Throws `bad_request` when a second file comes behind it. */
  async *file(): AsyncGenerator<Buffer> {
    yield* this.#data()
    while (!(await this.isOver())) {
      // The limit is of what is held, not of what went by.
      this.#buffer = this.#buffer.subarray(this.#at)
      this.#at = 0
      const { filename } = await this.nextHead()
      if (filename !== undefined) throw new StoreError('bad_request', 'the form has more than one file')
      await this.nextValue()
    }
    await this.drop()
  }

  /** Reads what is left of the body. */
  async drop(): Promise<void> {
    while (!(await this.#pieces.next()).done);
  }

  /** Up to the next delimiter, a piece at a time. */
  async *#data(): AsyncGenerator<Buffer> {
    const delimiter = this.#delimiter
    let rest = this.#buffer.subarray(this.#at)
    let from = 0
    for (;;) {
      const found = rest.indexOf(delimiter, from)
      const behind = found + delimiter.length
      const kind = found < 0 ? undefined : kindOfBoundary(rest, behind, this.#isEnded)
      if (kind === 'data') {
        from = found + 1
        continue
      }
      if (kind !== undefined) {
        if (found > 0) yield rest.subarray(0, found)
        this.#buffer = rest
        this.#at = behind
        return
      }
      if (this.#isEnded) throw cutOff()
      const sure = found >= 0 ? found : Math.max(0, rest.length - delimiter.length - 2)
      if (sure > 0) yield rest.subarray(0, sure)
      from = Math.max(0, from - sure)
      const piece = await this.#piece()
      rest = sure === rest.length ? piece : Buffer.concat([rest.subarray(sure), piece])
    }
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
    await this.#grow()
    if (this.#isEnded) throw cutOff()
  }

  async #grow(): Promise<void> {
    const piece = await this.#piece()
    this.#buffer = this.#buffer.length === 0 ? piece : Buffer.concat([this.#buffer, piece])
  }

  /** The next one of the body; empty behind its end. */
  async #piece(): Promise<Buffer> {
    const { value, done } = await this.#pieces.next()
    if (done !== true) return value
    this.#isEnded = true
    return Buffer.alloc(0)
  }
}

const HEAD_END = Buffer.from('\r\n\r\n')
