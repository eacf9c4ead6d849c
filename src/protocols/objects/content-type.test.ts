import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contentTypeOf } from './content-type.ts'

const TEXT = 'text/plain; charset=utf-8'

test('types by the beginning of the bytes, as Go tells them', () => {
  const types: [bytes: string | Buffer, type: string][] = [
    ['this is a test object', TEXT],
    ['"10.29.1.2:12345"', TEXT],
    ['{"a":1}', TEXT],
    ['grüße', TEXT],
    ['\x1b[31mred', TEXT],
    ['a\0b', 'application/octet-stream'],
    [Buffer.from([0xef, 0xbb, 0xbf, 0x61]), TEXT],
    [' \n<!doctype html>', 'text/html; charset=utf-8'],
    ['<p>x', 'text/html; charset=utf-8'],
    ['<pre>', TEXT],
    ['<?xml version="1.0"?>', 'text/xml; charset=utf-8'],
    ['%PDF-1.7', 'application/pdf'],
    ['GIF89a...', 'image/gif'],
    [Buffer.from('89504e470d0a1a0a', 'hex'), 'image/png'],
    [Buffer.from('ffd8ffe0', 'hex'), 'image/jpeg'],
    ['RIFF1234WEBPVP8 ', 'image/webp'],
    ['RIFF1234WAVEfmt ', 'audio/wave'],
    [Buffer.from('\0\0\0\x18ftypmp42\0\0\0\0mp42isom', 'latin1'), 'video/mp4'],
    [Buffer.from('1f8b0800', 'hex'), 'application/x-gzip'],
    ['PK\x03\x04', 'application/zip'],
    [Buffer.concat([Buffer.alloc(512, 'a'), Buffer.alloc(4)]), TEXT],
  ]
  for (const [bytes, type] of types) assert.equal(contentTypeOf(Buffer.from(bytes)), type, String(bytes))
})
