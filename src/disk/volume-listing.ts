/** What a volume holds, in the order in which it was appended: through its `.idx`, a few needles at a time. */
import { StoreError, toStoreError } from '../base/errors.ts'
import type { Fid } from '../base/fid.ts'
import { appendTimeToMs } from './append-time.ts'
import { readIfReadable } from './dead-sectors.ts'
import { decodeIdxEntry, IDX_ENTRY_BYTES, IDX_SIZE_DELETED, type IdxEntry } from './idx-entry.ts'
import * as codec from './needle.ts'
import { isFillerKey } from './publish.ts'
import type { Volume } from './volume.ts'
import type { Key } from './volume-keys.ts'
import { STATE, WORD } from './volume-table.ts'

export interface ListedNeedle {
  id: Fid
  /** Of the data. */
  sizeBytes: number
  /** Milliseconds since 1970. */
  appendedMs: number
  /** The first LISTED_HEAD_BYTES of the data, or all of it. */
  dataHead: Buffer
}

/** Where the listing of a volume is, and which state of its files it belongs to. */
export interface ListedPage {
  needles: ListedNeedle[]
  /** Keys whose records have a head or tail that cannot be read, or that is another record's. */
  damaged: Key[]
  /** Entry to go on at; undefined at the end. */
  next: number | undefined
  /** The volume's compaction revision. */
  revision: number
}

/** Of the data: what stands there may say what the needle is. */
const LISTED_HEAD_BYTES = 16
const BATCH_ENTRIES = 256
/** Checksum, then the append time. */
const TIME_OFFSET = 4

/**
 * The live needles of at most `count` entries of `.idx`. Not verified: what has a damaged head is named apart. Throws
 * `volume_not_found`, and `io_error` when `.idx` cannot be read.
 */
export function listPage(volume: Volume, fromEntry: number, count: number): ListedPage {
  const { slot } = volume
  const pin = slot.pin()
  try {
    if (slot.get(WORD.state) !== STATE.active)
      throw new StoreError('volume_not_found', `volume ${volume.id} is not here any more`)
    const entries = Math.min(count, slot.get(WORD.idxEntries) - fromEntry)
    const revision = slot.get(WORD.compactionRevision)
    if (entries <= 0) return { needles: [], damaged: [], next: undefined, revision }
    return { ...readBatch(volume, fromEntry, entries), next: fromEntry + entries, revision }
  } catch (error) {
    throw toStoreError(error)
  } finally {
    slot.unpin(pin)
  }
}

/**
 * As `listPage`, of all entries at `fromEntry` and later, and before `endEntry`, in batches; other work of the thread goes between. Throws
 * `conflict` when the volume was compacted meanwhile. `onDamaged` is told of records that are there and cannot be listed.
 */
export async function* listVolume(
  volume: Volume,
  fromEntry: number,
  endEntry = Number.POSITIVE_INFINITY,
  onDamaged: (key: Key) => void = () => {},
): AsyncGenerator<ListedNeedle[], void, undefined> {
  const revision = volume.slot.get(WORD.compactionRevision)
  for (let at: number | undefined = fromEntry; at !== undefined && at < endEntry; ) {
    const page = listPage(volume, at, Math.min(BATCH_ENTRIES, endEntry - at))
    if (page.revision !== revision)
      throw new StoreError('conflict', `volume ${volume.id} was compacted meanwhile`)
    for (const key of page.damaged) onDamaged(key)
    if (page.needles.length > 0) yield page.needles
    await volume.context.clock.sleep(0)
    at = page.next
  }
}

function readBatch(
  volume: Volume,
  fromEntry: number,
  count: number,
): Pick<ListedPage, 'needles' | 'damaged'> {
  const { slot, context, index } = volume
  const block = Buffer.allocUnsafe(count * IDX_ENTRY_BYTES)
  const handle = slot.get(WORD.idxHandle)
  const bytes = context.disk.readSync(handle, block, 0, block.length, fromEntry * IDX_ENTRY_BYTES)
  const [needles, damaged]: [ListedNeedle[], Key[]] = [[], []]
  for (let at = 0; at + IDX_ENTRY_BYTES <= bytes; at += IDX_ENTRY_BYTES) {
    const entry = decodeIdxEntry(block, at)
    if (entry.sizeBytes === IDX_SIZE_DELETED || isFillerKey(entry)) continue
    const isPresent = index.get(entry.keyHigh, entry.keyLow) && !index.deleted
    if (!isPresent || index.offsetUnits !== entry.offsetUnits) continue
    const needle = readListed(volume, entry)
    if (needle !== undefined) needles.push(needle)
    else damaged.push({ keyHigh: entry.keyHigh, keyLow: entry.keyLow })
  }
  return { needles, damaged }
}

/** Head and tail of one record; undefined where they are damaged. */
function readListed(volume: Volume, entry: IdxEntry): ListedNeedle | undefined {
  const { disk } = volume.context
  const handle = volume.slot.get(WORD.datHandle)
  const start = entry.offsetUnits * 8
  const head = Buffer.alloc(codec.DATA_OFFSET + LISTED_HEAD_BYTES)
  const tail = Buffer.alloc(codec.TAIL_BYTES)
  const tailAt = start + codec.HEADER_BYTES + entry.sizeBytes
  const headBytes = readIfReadable(disk, { handle, position: start }, head)
  const tailBytes = readIfReadable(disk, { handle, position: tailAt }, tail)
  if (headBytes < codec.DATA_OFFSET || tailBytes < tail.length) return undefined
  const { keyHigh, keyLow, cookie, sizeBytes } = codec.decodeHeader(head)
  if (keyHigh !== entry.keyHigh || keyLow !== entry.keyLow || sizeBytes !== entry.sizeBytes) return undefined
  const dataBytes = sizeBytes === 0 ? 0 : head.readUInt32BE(codec.HEADER_BYTES)
  const headEnd = Math.min(headBytes, codec.DATA_OFFSET + dataBytes)
  return {
    id: { volumeId: volume.id, keyHigh, keyLow, cookie },
    sizeBytes: dataBytes,
    dataHead: head.subarray(codec.DATA_OFFSET, headEnd),
    appendedMs: Math.floor(
      appendTimeToMs({
        high: tail.readUInt32BE(TIME_OFFSET),
        low: tail.readUInt32BE(TIME_OFFSET + 4),
      }),
    ),
  }
}
