import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreError } from '../base/errors.ts'
import { seededRandom } from '../base/random.ts'
import { fileOfForm, formBoundary, parseForm } from './multipart.ts'

const FILE_HEAD =
  'Content-Disposition: form-data; name="file"; filename="f.bin"\r\nContent-Type: image/png\r\n\r\n'

function body(...parts: (string | Buffer)[]): Buffer {
  const pieces = parts.flatMap((part, i) => [
    Buffer.from(`${i === 0 ? '' : '\r\n'}--B\r\n`),
    Buffer.from(part),
  ])
  return Buffer.concat([...pieces, Buffer.from('\r\n--B--\r\n')])
}

function fails(run: () => unknown, reason: RegExp): void {
  assert.throws(run, (error) => error instanceof StoreError && reason.test(error.message))
}

test('one file is a window on the body', () => {
  const whole = body(`${FILE_HEAD}data`)
  const part = fileOfForm(whole, 'B')
  assert.equal(part.filename, 'f.bin')
  assert.equal(part.contentType, 'image/png')
  assert.equal(part.data.toString(), 'data')
  assert.equal(part.data.buffer, whole.buffer)
})

test('bytes of every kind come through', () => {
  const random = seededRandom(7)
  for (const length of [0, 1, 2, 3, 1000, 70_000]) {
    const data = random.bytes(length)
    assert.deepEqual(fileOfForm(body(Buffer.concat([Buffer.from(FILE_HEAD), data])), 'B').data, data)
  }
  for (const tricky of ['\r\n', '\r\n--', '\r\n--BX', '\r\n--B-', '\r\n\r\n', '\r\r\n--A\r\n']) {
    assert.equal(fileOfForm(body(FILE_HEAD + tricky), 'B').data.toString(), tricky)
  }
})

test('fields beside the file, a preamble, an epilogue, spaces behind the boundary', () => {
  const field = 'Content-Disposition: form-data; name="x"\r\n\r\n1'
  assert.equal(parseForm(body(field, `${FILE_HEAD}data`, field), 'B').length, 3)
  assert.equal(fileOfForm(body(field, `${FILE_HEAD}data`, field), 'B').data.toString(), 'data')
  const padded = Buffer.from(`hello\r\n--B \t\r\n${FILE_HEAD}data\r\n--B--\r\nbye`)
  assert.equal(fileOfForm(padded, 'B').data.toString(), 'data')
  assert.equal(fileOfForm(body(field), 'B').data.toString(), '1')
  assert.equal(fileOfForm(Buffer.from('--B\r\n\r\nplain\r\n--B--'), 'B').data.toString(), 'plain')
})

test('lines that only begin like the last boundary are data', () => {
  const padding = ' '.repeat(129)
  for (const behind of ['--x', '-- x', '--\r', '--\n', '--B--', '-', ' x', `--${padding}`, padding]) {
    const data = `one\r\n--B${behind}\r\ntwo`
    for (const name of ['name="file"; filename="f.bin"', 'filename=f.bin; name=file']) {
      const head = `Content-Disposition: form-data; ${name}\r\n\r\n`
      for (const tail of ['', '\r\n', ' \t', '\t \r\n', '\r\nan epilogue']) {
        const form = Buffer.from(`--B\r\n${head}${data}\r\n--B--${tail}`)
        assert.equal(fileOfForm(form, 'B').data.toString(), data)
      }
      fails(() => fileOfForm(Buffer.from(`--B\r\n${head}${data}`), 'B'), /cut off/)
      fails(() => fileOfForm(Buffer.from(`--B\r\n${head}${data}\r\n--B--epilogue`), 'B'), /cut off/)
    }
  }
})

test('what is not a whole form of one file is refused', () => {
  const field = 'Content-Disposition: form-data; name="x"\r\n\r\n1'
  fails(() => fileOfForm(body(`${FILE_HEAD}a`, `${FILE_HEAD}b`), 'B'), /more than one file/)
  fails(() => fileOfForm(body(field, field), 'B'), /no file/)
  fails(() => fileOfForm(Buffer.from('--B--\r\n'), 'B'), /no parts/)
  fails(() => fileOfForm(Buffer.from(''), 'B'), /boundary does not appear/)
  fails(() => fileOfForm(Buffer.from('nothing here'), 'B'), /boundary does not appear/)
  fails(() => fileOfForm(Buffer.from('--B\r\nNoColon\r\n\r\nx\r\n--B--'), 'B'), /header line/)
  fails(
    () => fileOfForm(Buffer.from('--B\r\nContent-Disposition: form-data; name="x\r\n\r\nx\r\n--B--'), 'B'),
    /Disposition/,
  )
})

test('a body cut at any place is refused', () => {
  const whole = body(`${FILE_HEAD}some data`)
  const closing = whole.length - '\r\n'.length
  for (let length = 0; length < closing; length++) {
    fails(() => fileOfForm(whole.subarray(0, length), 'B'), /malformed/)
  }
  assert.equal(fileOfForm(whole.subarray(0, closing), 'B').data.toString(), 'some data')
})

test('bombs of parts and headers', () => {
  const field = 'Content-Disposition: form-data; name="x"\r\n\r\n1'
  fails(() => parseForm(body(...Array.from({ length: 65 }, () => field)), 'B'), /more than 64 parts/)
  fails(() => parseForm(body(`X: ${'y'.repeat(9000)}\r\n\r\n1`), 'B'), /too large/)
})

test('the boundary of a content type', () => {
  assert.equal(formBoundary('multipart/form-data; boundary=abc'), 'abc')
  assert.equal(formBoundary('Multipart/Form-Data;boundary="a b;c"'), 'a b;c')
  assert.equal(formBoundary('application/x-www-form-urlencoded'), undefined)
  assert.equal(formBoundary(''), undefined)
  assert.equal(formBoundary('multipart/form-database; boundary=x'), undefined)
  const bad = ['', ';', '; boundary=', `; boundary=${'x'.repeat(71)}`, '; boundary="x ', '; boundary=é']
  for (const rest of bad) fails(() => formBoundary(`multipart/form-data${rest}`), /no usable boundary/)
})

test('what the short way takes, it reads as the long one does', () => {
  const wholes = [
    body(`${FILE_HEAD}data`),
    body(FILE_HEAD),
    body(`${FILE_HEAD}\r\n`),
    body(`${FILE_HEAD}\r\n--Bdata\r\n--B-`),
    body('Content-Disposition: form-data; name=""; filename=""\r\n\r\ndata'),
    body('Content-Disposition: form-data; name="é"; filename="a b"\r\nContent-Type: a; b=c \r\n\r\ndata'),
    body(`content-disposition: form-data; name="a"; filename="b"\r\nContent-MD5: x\r\n\r\ndata`),
    Buffer.concat([body(`${FILE_HEAD}data`), Buffer.from('epilogue\r\n--B--')]),
  ]
  for (const whole of wholes) {
    const [part, ...others] = parseForm(whole, 'B')
    assert.deepEqual(others, [])
    assert.deepEqual(fileOfForm(whole, 'B'), part)
  }
})
