/**
 * Writes a tar: POSIX ustar headers, with a pax header before each file whose name or size does not fit. Names are made
 * harmless first: nothing that is unpacked can leave the directory that it is unpacked in.
 */
import type { Writable } from 'node:stream'
import { assert } from '../base/assert.ts'

const BLOCK_BYTES = 512
const NAME_BYTES_MAX = 100
const SIZE_MAX = 8 ** 11 - 1
const BUFFER_BYTES = 1024 * 1024
/** What file systems take as one part of a path. */
const PART_BYTES_MAX = 255

export interface TarFile {
  name: string
  sizeBytes: number
  /** Seconds since 1970. */
  modifiedS: number
}

export class TarWriter {
  readonly #output: Writable
  /** Small files come by the million: their bytes go out together. */
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  #used = 0

  constructor(output: Writable) {
    this.#output = output
  }

  /** One file; `data` gives exactly `sizeBytes`. Resolves when the output took it. */
  async file(file: TarFile, data: AsyncIterable<Buffer>): Promise<void> {
    await this.#header(file)
    let count = 0
    for await (const piece of data) {
      count += piece.length
      await this.#write(piece)
    }
    assert(count === file.sizeBytes, 'a file has the length that its header says')
    await this.#pad(count)
  }

  /** The end of the archive; the output stays open. */
  async end(): Promise<void> {
    await this.#write(Buffer.alloc(2 * BLOCK_BYTES))
    await this.#flush()
  }

  async #header({ name, sizeBytes, modifiedS }: TarFile): Promise<void> {
    const bytes = Buffer.from(name)
    const pax: string[] = []
    if (bytes.length > NAME_BYTES_MAX || /[^\x20-\x7e]/.test(name)) pax.push(paxLine('path', name))
    if (sizeBytes > SIZE_MAX) pax.push(paxLine('size', String(sizeBytes)))
    if (pax.length > 0) {
      const content = Buffer.from(pax.join(''))
      await this.#write(headerBlock({ name: 'pax', sizeBytes: content.length, modifiedS }, 'x'))
      await this.#write(content)
      await this.#pad(content.length)
    }
    const shortName = bytes
      .subarray(0, NAME_BYTES_MAX)
      .toString('latin1')
      .replace(/[^\x20-\x7e]/g, '_')
    await this.#write(headerBlock({ name: shortName, sizeBytes, modifiedS }, '0'))
  }

  async #pad(count: number): Promise<void> {
    if (count % BLOCK_BYTES !== 0) await this.#write(Buffer.alloc(BLOCK_BYTES - (count % BLOCK_BYTES)))
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === BUFFER_BYTES) await this.#flush()
      const count = bytes.copy(this.#buffer, this.#used, at)
      this.#used += count
      at += count
    }
  }

  #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#used)
    this.#used = 0
    return new Promise((resolve, reject) => {
      this.#output.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }
}

/** `<length> key=value\n`, where the length counts its own digits. */
function paxLine(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + 1
  while (String(length).length + rest !== length) length = String(length).length + rest
  return `${length} ${key}=${value}\n`
}

function headerBlock({ name, sizeBytes, modifiedS }: TarFile, type: '0' | 'x'): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1')
  block.write(name, 0, NAME_BYTES_MAX, 'latin1')
  octal(0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(Math.min(sizeBytes, SIZE_MAX), 124, 12)
  octal(Math.min(Math.max(0, modifiedS), SIZE_MAX), 136, 12)
  block.fill(' ', 148, 156)
  block.write(type, 156, 'latin1')
  block.write('ustar\0' + '00', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** A path below the directory that it is unpacked in, whatever the text was. Never empty. */
export function harmlessPath(text: string): string {
  const parts = text
    .replace(/\p{Cc}|\\/gu, '_')
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .map((part) => shortened(part === '..' ? '__' : part))
  return parts.length === 0 ? '_' : parts.join('/')
}

function shortened(part: string): string {
  let short = part
  while (Buffer.byteLength(short) > PART_BYTES_MAX) short = [...short].slice(0, -1).join('')
  return short
}
