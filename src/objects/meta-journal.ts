/**
 * Safety copies of the metadata as blobs: pieces in the volumes of one collection, which say by themselves what they are, so that
 * they are found when nothing is left but volumes. `docs/formats/metadata-journal.md` describes a piece.
 */
import { crc32c } from '../base/checksum.ts'
import { isErasure } from '../base/erasure-id.ts'
import { StoreError, toStoreError } from '../base/errors.ts'
import { META_PIECE_BYTES, META_PIECES_READ_AT_ONCE } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { Redundancy } from '../base/redundancy.ts'
import type { BlobId, BlobStore, ListedBlob } from '../blobs/blob-store.ts'
import type { JournalEntry, JournalSink, NewJournalEntry } from '../meta/journal-sink.ts'

const META_COLLECTION = '_meta'

const MAGIC = Buffer.from('CAIRNMJ1')
const HEADER_BYTES = 64
const KINDS = ['snapshot', 'changes'] as const
const LAST = 1
/** A volume that is compacted while it is listed is listed again. */
const LISTINGS_MAX = 5

interface Header extends NewJournalEntry {
  id: string
  part: number
  last: boolean
  lengthBytes: number
}

/** What is known of an entry: its pieces by their place. */
interface Known {
  header: NewJournalEntry
  pieces: (BlobId | undefined)[]
  /** Pieces of a whole one. */
  count: number | undefined
  bytes: number
  writing: boolean
}

export interface BlobJournalOptions {
  blobs: BlobStore
  random: Random
  /** Default META_COLLECTION. */
  collection?: string
  /** Default `none`. */
  redundancy?: Redundancy
}

export class BlobJournal implements JournalSink {
  readonly #blobs: BlobStore
  readonly #random: Random
  readonly #target: { collection: string; redundancy: Redundancy }
  #known = new Map<string, Known>()

  constructor(options: BlobJournalOptions) {
    this.#blobs = options.blobs
    this.#random = options.random
    const { collection = META_COLLECTION, redundancy = 'none' } = options
    this.#target = { collection, redundancy }
  }

  async append(entry: NewJournalEntry, pieces: AsyncIterable<Buffer>): Promise<number> {
    const id = this.#random.bytes(8).toString('hex')
    const known: Known = { header: entry, pieces: [], count: undefined, bytes: 0, writing: true }
    this.#known.set(id, known)
    try {
      let part = 0
      for await (const { payload, last } of evenPieces(pieces)) {
        const data = encodePiece({ ...entry, id, part, last, lengthBytes: payload.length }, payload)
        known.pieces[part] = await this.#blobs.write({ data, ...this.#target })
        known.bytes += payload.length
        part++
      }
      known.count = part
      return known.bytes
    } finally {
      known.writing = false
    }
  }

  async list(): Promise<JournalEntry[]> {
    const found = new Map<string, Known>()
    const seen = new Set<string>()
    for (const { volumeId, collection } of await this.#blobs.volumes()) {
      if (collection === this.#target.collection) await this.#listVolume(volumeId, { found, seen })
    }
    for (const [id, known] of this.#known) if (known.writing) found.set(id, known)
    this.#known = found
    return [...found].filter(([, known]) => isWhole(known)).map(([id, known]) => toEntry(id, known))
  }

  async *read(entry: JournalEntry): AsyncGenerator<Buffer> {
    const known = this.#known.get(entry.id)
    if (known === undefined || !isWhole(known))
      throw new StoreError('not_found', `journal: there is no ${entry.kind} ${entry.sequence}`)
    for (const [part, blob] of known.pieces.entries()) {
      const data = await this.#blobs.read(blob!)
      const header = decodeHeader(data)
      if (header === undefined || header.id !== entry.id || header.part !== part)
        throw new StoreError(
          'corrupt',
          `journal: part ${part} of ${entry.kind} ${entry.sequence} is another one`,
        )
      yield data.subarray(HEADER_BYTES)
    }
  }

  async removeBefore(databaseId: string, sequence: number): Promise<void> {
    for (const [id, known] of this.#known) {
      const { header, writing } = known
      if (writing || header.databaseId !== databaseId || header.sequence > sequence) continue
      // What was stored in part counts as nothing, whatever it is.
      if (header.kind === 'snapshot' && header.sequence === sequence && isWhole(known)) continue
      await this.#blobs.remove(known.pieces.filter((blob) => blob !== undefined))
      this.#known.delete(id)
    }
  }

  async #listVolume(volumeId: number, pieces: ListedPieces): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        for await (const batch of this.#blobs.list(volumeId, 0)) await this.#takeBatch(batch, pieces)
        return
      } catch (error) {
        if (toStoreError(error).code !== 'conflict' || attempt === LISTINGS_MAX) throw error
      }
    }
  }

  async #takeBatch(listed: readonly ListedBlob[], { found, seen }: ListedPieces): Promise<void> {
    const batch = listed.filter(({ id }) => isNew(id, seen))
    for (let at = 0; at < batch.length; at += META_PIECES_READ_AT_ONCE) {
      const group = batch.slice(at, at + META_PIECES_READ_AT_ONCE)
      const headers = await Promise.all(group.map((each) => this.#headerOf(each)))
      for (const piece of headers) if (piece !== undefined) addPiece(found, piece)
    }
  }

  /** Undefined for what is no piece, is damaged, or has been removed meanwhile. */
  async #headerOf({ id, sizeBytes }: ListedBlob) {
    if (id.cookie === undefined || sizeBytes < HEADER_BYTES) return undefined
    const blob: BlobId = { ...id, cookie: id.cookie }
    try {
      const head: Buffer[] = []
      for await (const piece of this.#blobs.readRange(blob, 0, HEADER_BYTES)) head.push(piece)
      const header = decodeHeader(Buffer.concat(head))
      return header === undefined || header.lengthBytes !== sizeBytes - HEADER_BYTES
        ? undefined
        : { header, blob }
    } catch (error) {
      const { code } = toStoreError(error)
      if (code === 'corrupt' || code === 'not_found' || code === 'cookie_mismatch') return undefined
      throw error
    }
  }
}

/** Entries so far, and the blobs that were looked at: one in shards is listed by each volume that has one. */
interface ListedPieces {
  found: Map<string, Known>
  seen: Set<string>
}

function isNew({ volumeId, keyHigh, keyLow }: ListedBlob['id'], seen: Set<string>): boolean {
  if (!isErasure(volumeId)) return true
  const name = `${volumeId} ${keyHigh} ${keyLow}`
  if (seen.has(name)) return false
  seen.add(name)
  return true
}

const isWhole = ({ count, pieces, writing }: Known) =>
  !writing && count !== undefined && pieces.length === count && !pieces.includes(undefined)

const toEntry = (id: string, { header, bytes }: Known): JournalEntry => ({ ...header, id, bytes })

function addPiece(found: Map<string, Known>, { header, blob }: { header: Header; blob: BlobId }): void {
  const { id, part, last, lengthBytes, ...entry } = header
  let known = found.get(id)
  if (known === undefined) {
    known = { header: entry, pieces: [], count: undefined, bytes: 0, writing: false }
    found.set(id, known)
  }
  if (known.pieces[part] === undefined) known.bytes += lengthBytes
  // Filled up to here, because holes of an array would not be seen as missing.
  while (known.pieces.length < part) known.pieces.push(undefined)
  known.pieces[part] = blob
  if (last) known.count = part + 1
}

/** Of the length of a piece, but the last; at least one, which may be empty. */
async function* evenPieces(
  pieces: AsyncIterable<Buffer>,
): AsyncGenerator<{ payload: Buffer; last: boolean }> {
  const most = META_PIECE_BYTES - HEADER_BYTES
  let held: Buffer[] = []
  let bytes = 0
  for await (const piece of pieces) {
    held.push(piece)
    bytes += piece.length
    while (bytes > most) {
      const all = Buffer.concat(held)
      yield { payload: all.subarray(0, most), last: false }
      held = [all.subarray(most)]
      bytes -= most
    }
  }
  yield { payload: Buffer.concat(held), last: true }
}

function encodePiece(header: Header, payload: Buffer): Buffer {
  const data = Buffer.alloc(HEADER_BYTES + payload.length)
  MAGIC.copy(data)
  data[8] = KINDS.indexOf(header.kind)
  data[9] = header.last ? LAST : 0
  data.writeUInt32BE(header.part, 12)
  data.write(header.databaseId, 16, 'hex')
  data.writeDoubleBE(header.sequence, 32)
  data.writeDoubleBE(header.madeMs, 40)
  data.write(header.id, 48, 'hex')
  data.writeUInt32BE(payload.length, 56)
  data.writeUInt32BE(crc32c(data.subarray(0, 60)), 60)
  payload.copy(data, HEADER_BYTES)
  return data
}

function decodeHeader(data: Buffer): Header | undefined {
  if (data.length < HEADER_BYTES || !data.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  if (crc32c(data.subarray(0, 60)) !== data.readUInt32BE(60)) return undefined
  const kind = KINDS[data[8]!]
  if (kind === undefined) return undefined
  return {
    kind,
    last: data[9] === LAST,
    part: data.readUInt32BE(12),
    databaseId: data.toString('hex', 16, 32),
    sequence: data.readDoubleBE(32),
    madeMs: data.readDoubleBE(40),
    id: data.toString('hex', 48, 56),
    lengthBytes: data.readUInt32BE(56),
  }
}
