/** Reads a dump: its header, then its rows, with everything checked before the end is reached. */
import { createHash } from 'node:crypto'
import { pipeline, Readable } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { StoreError } from '../../base/errors.ts'
import { META_DUMP_BLOCK_BYTES_MAX } from '../../base/limits.ts'
import type { SqlValue, TableShape } from '../meta-store.ts'
import { BLOCK, type DumpHeader, MAGIC } from './format.ts'
import { readValues } from './values.ts'

const HASH_BYTES = 32

export interface DumpRows {
  table: TableShape
  /** Values of all rows, one row after the other. */
  values: SqlValue[]
}

export interface OpenDump {
  header: DumpHeader
  /** Ends only when the checksum was right; throws `corrupt` otherwise. */
  rows: AsyncIterable<DumpRows>
}

/** Throws `corrupt`, `unsupported` (another format), and what `pieces` throws. */
export async function readDump(pieces: AsyncIterable<Buffer>): Promise<OpenDump> {
  const bytes = new ByteReader(pieces)
  if (!(await bytes.take(MAGIC.length)).equals(MAGIC))
    throw new StoreError('unsupported', 'this is no dump of metadata that this version knows')
  const plain = new ByteReader(decompressed(bytes.rest()))
  const hash = createHash('sha256')
  const first = await nextBlock(plain, hash)
  if (first.kind !== BLOCK.header) throw new StoreError('corrupt', 'the dump does not begin with its header')
  const header = JSON.parse(first.payload.toString()) as DumpHeader
  return { header, rows: rowsOf({ plain, hash, header }) }
}

async function* rowsOf(parts: {
  plain: ByteReader
  hash: ReturnType<typeof createHash>
  header: DumpHeader
}): AsyncGenerator<DumpRows> {
  const { plain, hash, header } = parts
  let count = 0
  for (;;) {
    const { kind, payload } = await nextBlock(plain, hash)
    if (kind === BLOCK.end) {
      if (payload.readDoubleBE() !== count) throw new StoreError('corrupt', 'the dump misses rows')
      break
    }
    if (kind !== BLOCK.rows) throw new StoreError('corrupt', `the dump has a block of kind ${kind}`)
    const [at, ...values] = readValues(payload)
    const table = header.tables[Number(at)]
    if (table === undefined || values.length % table.columns.length !== 0)
      throw new StoreError('corrupt', 'the dump has rows of no table')
    count += values.length / table.columns.length
    yield { table, values }
  }
  if (!(await plain.take(HASH_BYTES)).equals(hash.digest()))
    throw new StoreError('corrupt', 'the dump has another checksum than was written')
}

async function nextBlock(plain: ByteReader, hash: ReturnType<typeof createHash>) {
  const head = await plain.take(5)
  const length = head.readUInt32BE(1)
  if (length > META_DUMP_BLOCK_BYTES_MAX) throw new StoreError('corrupt', 'the dump has a block of no size')
  const payload = await plain.take(length)
  hash.update(head).update(payload)
  return { kind: head[0]!, payload }
}

async function* decompressed(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const decompress = createZstdDecompress()
  pipeline(Readable.from(pieces, { objectMode: false }), decompress, () => {})
  try {
    for await (const piece of decompress) yield piece as Buffer
  } catch (error) {
    if (error instanceof StoreError) throw error
    throw new StoreError('corrupt', `the dump cannot be decompressed: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Exact lengths out of pieces of any. */
class ByteReader {
  readonly #pieces: AsyncIterator<Buffer>
  #held: Buffer = Buffer.alloc(0)

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  async take(length: number): Promise<Buffer> {
    if (this.#held.length < length) {
      const parts = [this.#held]
      let bytes = this.#held.length
      while (bytes < length) {
        const next = await this.#pieces.next()
        if (next.done) throw new StoreError('corrupt', 'the dump ends in the middle')
        parts.push(next.value)
        bytes += next.value.length
      }
      this.#held = Buffer.concat(parts)
    }
    const taken = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return taken
  }

  async *rest(): AsyncGenerator<Buffer> {
    if (this.#held.length > 0) yield this.#held
    for (;;) {
      const next = await this.#pieces.next()
      if (next.done) return
      yield next.value
    }
  }
}
