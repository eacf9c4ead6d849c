/** Names that lead elsewhere in stores whose names are paths, as they would stand in a URL. */

const DOTS = [
  '..',
  '.',
  '%2e%2e',
  '%2E.',
  '.%2e',
  '...',
  '..;',
  '..%00',
  '%c0%ae%c0%ae',
  '%252e%252e',
  '%uff0e%uff0e',
]
const SLASHES = ['/', '//', '%2f', '%2F/', '\\', '%5c', '%252f', '%c0%af', '%e0%80%af', '/%00/', ';/']

const SPECIAL = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__'],
  ...['constructor/prototype', '__proto__/polluted', '%5f%5fproto%5f%5f', 'valueOf', '__proto__[x]'],
  ...['%00', 'a%00b', '%00/secret/key', 'key%00.txt', '%0d%0aX-Injected:%201', '%0a', '%7f', '%1b[31m'],
  ...['%ff', '%fe%ff', '%c0%80', '%ed%a0%80', '%f4%90%80%80', '%f8%88%80%80%80', '%', '%2', '%zz', '%%32e'],
  ...['/secret/key', '//secret/key', '%2fsecret%2fkey', 'secret/key', '\\secret\\key', '@secret/key'],
  ...[
    'C:%5cwindows',
    'C:/windows',
    '%5c%5cserver%5cshare',
    '//server/share',
    'file:///etc/passwd',
    '~',
    '~root',
  ],
  ...[
    'CON',
    'NUL',
    'aux.txt',
    'a%20',
    'a.',
    '.hidden',
    '-rf',
    '$(id)',
    '%60id%60',
    '%7Cid',
    '%3Bid',
    "'%20OR%20'1'='1",
  ],
  ...[
    "';DROP%20TABLE%20objects;--",
    '%25',
    '%5f',
    '*',
    '%3f',
    '%23',
    '&',
    '+',
    '%2b',
    '=',
    '.cairn',
    'meta.db',
  ],
  ...['%e2%80%ae', '%ef%bb%bf', '%e2%80%8b', 'a%cc%88', '%c3%a4', '%f0%9f%92%a9', '%ef%bf%bd', '%ef%bf%bf'],
  ...['a'.repeat(1_024), 'a'.repeat(1_025), '%61'.repeat(1_025), 'a/'.repeat(512), '../'.repeat(400)],
  ...['%c3%a4'.repeat(512), '%c3%a4'.repeat(513), 'a'.repeat(7_000), '/'.repeat(900), '%2f'.repeat(1_024)],
]

/** Over 300 of them, each of its own bytes. */
export function traversals(): string[] {
  const found = new Set(SPECIAL)
  for (const dots of DOTS) {
    for (const slash of SLASHES) {
      found.add(`${dots}${slash}secret${slash}key`)
      found.add(`a${slash}${dots}${slash}${dots}${slash}secret${slash}key`)
    }
  }
  return [...found]
}

/** The bytes that one of them stands for, wrong ones as they are. */
export function bytesOf(escaped: string): Buffer {
  const latin1 = escaped.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(latin1, 'latin1')
}
