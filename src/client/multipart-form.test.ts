import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileNameOf } from './download.ts'
import { FormBody } from './multipart-form.ts'

test('a form is one part with its headers, and its length is known before', () => {
  const content = Buffer.from('content')
  const form = new FormBody(content, {
    name: 'a "b" \\c.txt',
    mime: 'text/x',
    sizeBytes: undefined,
    gzipped: true,
  })
  const boundary = /boundary=(.+)$/.exec(form.contentType)![1]!
  const body = form.open() as Buffer
  assert.equal(body.length, form.sizeBytes)
  assert.equal(
    body.toString(),
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\" \\\\c.txt"\r\n` +
      `Content-Type: text/x\r\nContent-Encoding: gzip\r\n\r\ncontent\r\n--${boundary}--\r\n`,
  )
})

test('file names of Content-Disposition: quoted, bare, extended, none', () => {
  assert.equal(fileNameOf(undefined), undefined)
  assert.equal(fileNameOf('inline'), undefined)
  assert.equal(fileNameOf('inline; filename=h.txt'), 'h.txt')
  assert.equal(fileNameOf('attachment; filename="a \\"b\\".txt"'), 'a "b".txt')
  assert.equal(fileNameOf("inline; filename=x; filename*=UTF-8''%C3%A4.txt"), 'ä.txt')
  assert.equal(fileNameOf("inline; filename=x; filename*=utf-8''%zz"), 'x')
  assert.equal(fileNameOf(Buffer.from('inline; filename="ö"').toString('latin1')), 'ö')
  assert.equal(fileNameOf('inline; filename="ö"'), 'ö')
})
