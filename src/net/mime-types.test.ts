import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mimeTypeOfName } from './mime-types.ts'

test('types by the endings of names, whatever stands before them', () => {
  const types = {
    'photo.JPG': 'image/jpeg',
    'a.b/c.tar.gz': 'application/gzip',
    'film.3gp': 'video/3gpp',
    'titles.vtt': 'text/vtt; charset=utf-8',
    'stream.m3u8': 'application/vnd.apple.mpegurl',
    'tool.py': 'text/x-python; charset=utf-8',
    'voice.opus': 'audio/opus',
    'mail.eml': 'message/rfc822',
    'app.webmanifest': 'application/manifest+json',
    'no ending': 'application/octet-stream',
    '.gitignore': 'application/octet-stream',
    'a.constructor': 'application/octet-stream',
    'dot.': 'application/octet-stream',
  }
  for (const [name, type] of Object.entries(types)) assert.equal(mimeTypeOfName(name), type, name)
})
