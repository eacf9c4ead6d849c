/** Forms that are read while they come, cut into pieces anywhere, and damaged anywhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../base/errors.ts'
import { type Random, seededRandom } from '../base/random.ts'
import { openFieldsForm, openFormStream } from './form-stream.ts'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const CASES = 300
const BOUNDARY = 'xBx'
/** What ends data; a longer boundary does not. */
const REAL = /--xBx(?=--|\r\n|$)/g

function formOf(fields: readonly (readonly [string, string])[], file: Buffer, tail = '--\r\n'): Buffer {
  const heads = fields.map(
    ([name, value]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  const last = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="ü.txt"\r\n\r\n`
  return Buffer.concat([Buffer.from(heads.join('') + last), file, Buffer.from(`\r\n--${BOUNDARY}${tail}`)])
}

async function* cut(bytes: Buffer, random: Random, pieceMax: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.below(pieceMax))
    yield bytes.subarray(at, end)
    at = end
  }
}

async function read(body: AsyncIterable<Buffer>, fieldsBytesMax = 4096) {
  const { fields, part, data } = await openFieldsForm(body, BOUNDARY, { fieldsBytesMax })
  const file = Buffer.concat(await Array.fromAsync(data))
  return { fields, filename: part.filename, file }
}

test(`pieces of any length give the same form (seed ${SEED})`, async () => {
  const random = seededRandom(SEED)
  const words = ['\r\n', '--', BOUNDARY, `\r\n--${BOUNDARY.slice(0, 2)}`, 'x', '\r', '\n', 'data', '']
  for (let i = 0; i < CASES; i++) {
    const pick = () => words[random.below(words.length)]!
    const text = Array.from({ length: random.below(40) }, pick).join('')
    const file = Buffer.from(text.replaceAll(REAL, ''))
    const fields: [string, string][] = [
      ['key', 'a/b'],
      ['ü', text.slice(0, 20).replaceAll('--', '')],
      ['empty', ''],
    ]
    const tail =
      i % 2 === 0
        ? '--\r\n'
        : `\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload\r\n--${BOUNDARY}--`
    const got = await read(cut(formOf(fields, file, tail), random, 1 + (i % 50)))
    assert.deepEqual(got.fields, fields)
    assert.ok(got.file.equals(file), JSON.stringify(text))
    assert.equal(Buffer.from(got.filename!, 'latin1').toString(), 'ü.txt')
  }
})

test('forms without a file, cut off, or with too much before the file', async () => {
  const random = seededRandom(SEED)
  const codeOf = async (bytes: Buffer) => {
    try {
      await read(cut(bytes, random, 7))
    } catch (error) {
      if (error instanceof StoreError) return error.code
      throw error
    }
    return 'none'
  }
  const whole = formOf([['key', 'a']], Buffer.from('bytes'))
  for (let length = 0; length < whole.length - 6; length++)
    assert.equal(await codeOf(whole.subarray(0, length)), 'bad_request', String(length))
  assert.equal(await codeOf(formOf([['key', 'a'.repeat(5000)]], Buffer.from(''))), 'too_large')
  const part = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="key"\r\n\r\na\r\n`
  assert.equal(await codeOf(Buffer.from(`${part}--${BOUNDARY}--\r\n`)), 'not_found')
})

test(`damage is an error or another form, and never more (seed ${SEED})`, async () => {
  const random = seededRandom(SEED)
  const whole = formOf(
    [
      ['key', 'a'],
      ['acl', 'private'],
    ],
    Buffer.from('0123456789'),
  )
  for (let i = 0; i < CASES; i++) {
    const damaged = Buffer.from(whole)
    for (let n = 0; n < 3; n++) damaged[random.below(damaged.length)] = random.below(256)
    try {
      await read(cut(damaged, random, 20))
    } catch (error) {
      assert.ok(error instanceof StoreError, String(error))
    }
  }
})

const FIELD_LENGTHS = [0, 10, 70_000]

test('the file of a form is found between fields, and alone', async () => {
  const random = seededRandom(SEED)
  const field = (name: string, length: number) =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${'v'.repeat(length)}\r\n`
  const ended = (text: string) => Buffer.from(`${text}--${BOUNDARY}--\r\n`)
  const named = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nbytes\r\n`
  const readFile = async (bytes: Buffer, pieceMax: number) => {
    const { part, data } = await openFormStream(cut(bytes, random, pieceMax), BOUNDARY)
    return `${part.name} ${Buffer.concat(await Array.fromAsync(data))}`
  }
  for (const pieceMax of [3, 50, 100_000]) {
    const fields = field('x', 10) + field('y', 0)
    for (const form of [named, fields + named, named + fields, fields + named + fields])
      assert.equal(await readFile(ended(form), pieceMax), 'f bytes')
    for (const length of pieceMax === 3 ? FIELD_LENGTHS.slice(0, 2) : FIELD_LENGTHS)
      assert.equal(await readFile(ended(field('only', length)), pieceMax), `only ${'v'.repeat(length)}`)
    const bad = { code: 'bad_request' }
    for (const form of [named + named, named + fields + named, fields, ''])
      await assert.rejects(readFile(ended(form), pieceMax), bad, form)
    const whole = ended(fields + named + fields)
    for (const length of [5, 60, 100, whole.length - 30])
      await assert.rejects(readFile(whole.subarray(0, length), pieceMax), bad, String(length))
  }
})

test('lines that only begin like the last boundary are data, in fields and in files', async () => {
  const random = seededRandom(SEED)
  const padding = ' '.repeat(129)
  for (const behind of ['--x', '-- x', '--\r', '--\n', '-', ' x', `--${padding}`, padding]) {
    const data = `one\r\n--${BOUNDARY}${behind}\r\ntwo`
    for (const tail of ['--', '--\r\n', '-- \t', '--\t \r\n', '--\r\nan epilogue']) {
      const form = formOf([['key', data]], Buffer.from(data), tail)
      const got = await read(cut(form, random, 7))
      assert.deepEqual([got.fields, got.file.toString()], [[['key', data]], data])
      const { data: file } = await openFormStream(cut(form, random, 7), BOUNDARY)
      assert.equal(Buffer.concat(await Array.fromAsync(file)).toString(), data)
    }
    for (const tail of ['', '-', '--epilogue'])
      await assert.rejects(read(cut(formOf([], Buffer.from(data), tail), random, 7)), { code: 'bad_request' })
  }
})
