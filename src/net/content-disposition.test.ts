import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatContentDisposition, isToken, parseContentDisposition } from './content-disposition.ts'

const latin1 = (text: string) => Buffer.from(text).toString('latin1')

test('names are written bare, quoted or percent-encoded', () => {
  const cases: [name: string, wanted: string][] = [
    ['h.txt', 'inline; filename=h.txt'],
    ["it's_fine-~!.txt", "inline; filename=it's_fine-~!.txt"],
    ['two words.txt', 'inline; filename="two words.txt"'],
    ['a"b\\c.txt', 'inline; filename="a\\"b\\\\c.txt"'],
    ['a;b=c,(d).txt', 'inline; filename="a;b=c,(d).txt"'],
    ['名前-ünï.bin', "inline; filename*=utf-8''%E5%90%8D%E5%89%8D-%C3%BCn%C3%AF.bin"],
    ["é 'x*%.bin", "inline; filename*=utf-8''%C3%A9%20%27x%2A%25.bin"],
    ['line\r\nbreak', "inline; filename*=utf-8''line%0D%0Abreak"],
    ['', 'inline'],
  ]
  for (const [name, wanted] of cases) assert.equal(formatContentDisposition('inline', latin1(name)), wanted)
  assert.equal(formatContentDisposition('attachment', 'x'), 'attachment; filename=x')
})

test('what is written is read back', () => {
  for (const name of ['h.txt', 'a"b\\c.txt', '名前 x.bin', 'semi;colon', "quote'd*%"]) {
    const parsed = parseContentDisposition(formatContentDisposition('attachment', latin1(name)))
    assert.equal(parsed?.parameters.get('filename'), latin1(name))
  }
})

test('reading', () => {
  const get = (header: string) => {
    const parsed = parseContentDisposition(header)
    return parsed && { type: parsed.type, ...Object.fromEntries(parsed.parameters) }
  }
  assert.deepEqual(get('form-data; name="file"; filename="a b.txt"'), {
    type: 'form-data',
    name: 'file',
    filename: 'a b.txt',
  })
  assert.deepEqual(get('Form-Data ; NAME = x ;'), { type: 'form-data', name: 'x' })
  assert.deepEqual(get('attachment; filename="x"; filename*=UTF-8\'\'%e2%82%ac'), {
    type: 'attachment',
    filename: latin1('€'),
  })
  assert.deepEqual(get('form-data; filename="C:\\dir\\f.txt"'), {
    type: 'form-data',
    filename: 'C:\\dir\\f.txt',
  })
  for (const [extended, name] of [
    ["ISO-8859-1'de'gr%fc%dfe", 'grüße'],
    ["windows-1252''%80.txt", '€.txt'],
    ["Shift_JIS''%93%fa%96%7b", '日本'],
    ["klingon''x", 'plain'],
    ["Shift_JIS''%93", 'plain'],
  ] as const) {
    const parsed = get(`form-data; filename=plain; filename*=${extended}`)
    assert.deepEqual(parsed, { type: 'form-data', filename: latin1(name) }, extended)
  }
  assert.deepEqual(get("form-data; name=x; filename*=klingon''x"), { type: 'form-data', name: 'x' })
  for (const bad of [
    '',
    'a b; name=x',
    'form-data; name',
    'form-data; name="x',
    'form-data; name="x" y',
    'form-data; name=x"y',
    'form-data; name=a; name=b',
    "form-data; filename*=utf-8''%zz",
    "form-data; filename*=klingon'x",
    'form-data; =x',
  ]) {
    assert.equal(get(bad), undefined, bad)
  }
})

test('tokens', () => {
  assert.ok(isToken('X-Amz-Id!'))
  for (const text of ['', 'a b', 'a:b', 'é', '日', 'a\n']) assert.ok(!isToken(text), text)
})
