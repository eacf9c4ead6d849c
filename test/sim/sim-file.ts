/**
 * One file of the simulated disk: what readers see, what would survive a power loss for certain,
 * and the operations in between, of which a power loss keeps any part that a real disk could keep.
 */
import type { Random } from '../../src/base/random.ts'
import { PAGE_BYTES, PagedBytes } from './paged-bytes.ts'

export const SECTOR_BYTES = 512

interface Write {
  kind: 'write'
  sequence: number
  position: number
  bytes: Buffer
  /** Begun but not returned: parts may be on the disk, and no sync covers it. */
  inFlight: boolean
  /** A failed sync marked its pages clean: lost, unless the same page is written again. Never spans two pages. */
  dropped: boolean
}

interface Truncate {
  kind: 'truncate'
  sequence: number
  sizeBytes: number
}

type Operation = Write | Truncate

/** What a power loss does to what was not synced. */
export type LossStyle = 'none' | 'all' | 'prefix' | 'subset' | 'pages' | 'sectors'

/** Decides for each operation and sector whether it reached the disk before the power went. */
export interface LossPlan {
  style: LossStyle
  /** Operations up to this sequence number are kept; the next is torn (`prefix`). */
  lastSequence: number
  /** In 1000; for `subset`, `pages` and `sectors`. */
  keepPerMille: number
  /** A torn operation may end at any byte, harsher than real disks with whole sectors. */
  tearBytes: boolean
  random: Random
}

export class SimFile {
  current: PagedBytes
  modifiedMs: number
  #durable: PagedBytes
  #pending: Operation[] = []

  constructor(modifiedMs: number, content = new PagedBytes()) {
    this.modifiedMs = modifiedMs
    this.#durable = content
    this.current = content.clone()
  }

  get unsyncedCount(): number {
    return this.#pending.length
  }

  /** A write that returned at once. */
  write(sequence: number, bytes: Buffer, position: number): void {
    this.finishWrite(this.beginWrite(sequence, bytes, position), sequence)
  }

  /** A write that takes time: nothing is visible yet, all of it may already be on the disk. */
  beginWrite(sequence: number, bytes: Buffer, position: number): Write {
    const write: Write = { kind: 'write', sequence, position, bytes, inFlight: true, dropped: false }
    this.#pending.push(write)
    return write
  }

  /** Ends it; only syncs that begin after this cover it. `keptBytes` cuts it short. */
  finishWrite(write: Write, sequence: number, keptBytes = write.bytes.length): void {
    this.#pending.splice(this.#pending.indexOf(write), 1)
    if (keptBytes === 0) return
    write.bytes = write.bytes.subarray(0, keptBytes)
    write.sequence = sequence
    write.inFlight = false
    this.#pending.push(write)
    this.current.write(write.bytes, 0, write.bytes.length, write.position)
  }

  truncate(sequence: number, sizeBytes: number): void {
    this.#pending.push({ kind: 'truncate', sequence, sizeBytes })
    this.current.truncate(sizeBytes)
  }

  /** Makes durable what had returned by `sequence`. Dropped pages follow only where their page was written again. */
  sync(sequence: number): void {
    const covered = (operation: Operation) =>
      operation.sequence <= sequence &&
      !(operation.kind === 'write' && (operation.inFlight || operation.dropped))
    const rewritten = new Set<number>()
    for (const operation of this.#pending) {
      if (operation.kind === 'write' && covered(operation))
        for (const page of pagesOf(operation)) rewritten.add(page)
    }
    const rest: Operation[] = []
    for (const operation of this.#pending) {
      const again = operation.kind === 'write' && operation.dropped && rewritten.has(pagesOf(operation)[0]!)
      if (covered(operation) || again) replay(this.#durable, operation)
      else rest.push(operation)
    }
    this.#pending = rest
  }

  /**
   * A sync that failed: Linux marks the pages clean though they never reached the disk. Each page of what the sync
   * covered is dropped with the given chance. With `evict` readers see the old bytes at once, else only after a crash.
   */
  failSync(sequence: number, random: Random, options: { dropPerMille: number; evict: boolean }): void {
    const next: Operation[] = []
    for (const operation of this.#pending) {
      if (operation.kind === 'truncate' || operation.inFlight || operation.sequence > sequence)
        next.push(operation)
      else for (const piece of splitByPage(operation)) next.push(piece)
    }
    const lost = new Map<number, boolean>()
    for (const operation of next) {
      if (operation.kind === 'truncate' || operation.inFlight || operation.sequence > sequence) continue
      const page = pagesOf(operation)[0]!
      if (!lost.has(page)) lost.set(page, random.below(1000) < options.dropPerMille)
      if (lost.get(page)) operation.dropped = true
    }
    this.#pending = next
    if (options.evict) this.#evict()
  }

  /** The file after a power loss, as a new one on which everything is durable. */
  crash(plan: LossPlan): SimFile {
    const content = this.#durable.clone()
    const live = this.#pending.filter((operation) => operation.kind === 'truncate' || !operation.dropped)
    if (plan.style === 'all') for (const operation of live) replay(content, operation)
    else if (plan.style !== 'none') losePart(content, live, plan)
    return new SimFile(this.modifiedMs, content)
  }

  /** The file as a new process finds it after a kill: all that returned is visible, and still not durable. */
  kill(): SimFile {
    const copy = new SimFile(this.modifiedMs, this.#durable.clone())
    copy.#pending = this.#pending.filter((operation) => operation.kind === 'truncate' || !operation.inFlight)
    copy.current = this.current.clone()
    return copy
  }

  /** Changes bytes behind the engine's back, on the disk and in the cache. */
  corrupt(change: (bytes: Buffer) => Buffer | undefined): void {
    const bytes = this.current.toBuffer()
    const changed = change(bytes) ?? bytes
    this.#pending = []
    this.#durable = PagedBytes.from(changed)
    this.current = this.#durable.clone()
  }

  /** Flips bits of one byte, on the disk and in the cache. */
  flip(position: number, mask: number): void {
    const byte = Buffer.alloc(1)
    for (const content of [this.current, this.#durable]) {
      if (content.read(byte, 0, 1, position) === 0) continue
      byte[0]! ^= mask
      content.write(byte, 0, 1, position)
    }
  }

  /** The page cache gave the dropped pages back: readers see what the disk has. */
  #evict(): void {
    const size = this.current.sizeBytes
    this.current = this.#durable.clone()
    for (const operation of this.#pending) {
      if (operation.kind === 'truncate') this.current.truncate(operation.sizeBytes)
      else if (!operation.inFlight && !operation.dropped) replay(this.current, operation)
    }
    this.current.truncate(size)
  }
}

function replay(content: PagedBytes, operation: Operation): void {
  if (operation.kind === 'truncate') content.truncate(operation.sizeBytes)
  else content.write(operation.bytes, 0, operation.bytes.length, operation.position)
}

function pagesOf(write: Write): number[] {
  const [first, last] = range(write, PAGE_BYTES)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

function range(write: Write, unitBytes: number): [first: number, last: number] {
  return [
    Math.floor(write.position / unitBytes),
    Math.floor((write.position + write.bytes.length - 1) / unitBytes),
  ]
}

function splitByPage(write: Write): Write[] {
  return pagesOf(write).map((page) => {
    const [start, end] = overlap(write, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
    return {
      ...write,
      position: start,
      bytes: write.bytes.subarray(start - write.position, end - write.position),
    }
  })
}

function overlap(write: Write, from: number, to: number): [start: number, end: number] {
  return [Math.max(from, write.position), Math.min(to, write.position + write.bytes.length)]
}

/**
 * Keeps a part of the operations, sector by sector. The cache writes a whole sector: where a later write of a sector
 * was kept, so was every earlier write and truncation of that sector.
 */
function losePart(content: PagedBytes, operations: Operation[], plan: LossPlan): void {
  const keepers = operations.map((operation) => keeperOf(operation, plan))
  const forced = new Set<number>()
  const kept: number[][] = []
  for (let i = operations.length - 1; i >= 0; i--) {
    const operation = operations[i]!
    if (operation.kind === 'truncate') {
      const sectors = [...forced].filter((sector) => (sector + 1) * SECTOR_BYTES > operation.sizeBytes)
      kept[i] = keepers[i]!(0) ? [] : sectors
      continue
    }
    const [first, last] = range(operation, SECTOR_BYTES)
    const sectors: number[] = []
    for (let sector = first; sector <= last; sector++)
      if (forced.has(sector) || keepers[i]!(sector)) sectors.push(sector)
    for (const sector of sectors) forced.add(sector)
    kept[i] = sectors
  }
  for (const [i, operation] of operations.entries()) applyKept(content, operation, kept[i]!, keepers[i]!(0))
  if (plan.random.below(8) === 0) growOnly(content, operations, plan)
  if (plan.style === 'prefix' && plan.tearBytes) tearNext(content, operations, plan)
}

function applyKept(content: PagedBytes, operation: Operation, sectors: number[], whole: boolean): void {
  if (operation.kind === 'truncate') {
    if (whole) content.truncate(operation.sizeBytes)
    for (const sector of whole ? [] : sectors) {
      content.zero(Math.max(operation.sizeBytes, sector * SECTOR_BYTES), (sector + 1) * SECTOR_BYTES)
    }
    return
  }
  for (let i = 0; i < sectors.length; ) {
    let j = i + 1
    while (j < sectors.length && sectors[j] === sectors[j - 1]! + 1) j++
    const [start, end] = overlap(operation, sectors[i]! * SECTOR_BYTES, (sectors[j - 1]! + 1) * SECTOR_BYTES)
    content.write(operation.bytes, start - operation.position, end - start, start)
    i = j
  }
}

/** The new length reached the disk, the bytes did not: the end of the file reads as zeros. */
function growOnly(content: PagedBytes, operations: Operation[], plan: LossPlan): void {
  const grown = operations.slice(operations.findLastIndex((operation) => operation.kind === 'truncate') + 1)
  const write = grown[plan.random.below(Math.max(1, grown.length))]
  if (write?.kind !== 'write') return
  content.truncate(Math.max(content.sizeBytes, write.position + write.bytes.length))
}

/** The first operation that was not kept whole reached the disk up to some byte. */
function tearNext(content: PagedBytes, operations: Operation[], plan: LossPlan): void {
  const next = operations.find((operation) => operation.sequence > plan.lastSequence)
  if (next?.kind !== 'write') return
  content.write(next.bytes, 0, plan.random.below(next.bytes.length + 1), next.position)
}

/** For one operation: whether a sector of it is kept. A truncation is asked with any sector. */
function keeperOf(operation: Operation, plan: LossPlan): (sector: number) => boolean {
  const { random, keepPerMille } = plan
  const chance = () => random.below(1000) < keepPerMille
  if (plan.style === 'prefix') return prefixKeeper(operation, plan)
  const whole = chance()
  if (operation.kind === 'truncate') return () => whole
  if (plan.style === 'sectors') return () => chance()
  if (plan.style === 'pages') {
    const pages = new Map<number, boolean>()
    return (sector) => {
      const page = Math.floor((sector * SECTOR_BYTES) / PAGE_BYTES)
      if (!pages.has(page)) pages.set(page, chance())
      return pages.get(page)!
    }
  }
  if (!whole) return () => false
  if (random.below(3) > 0) return () => true
  const [first, last] = range(operation, SECTOR_BYTES)
  const cut = first + random.below(last - first + 1)
  return random.below(2) === 0 ? (sector) => sector < cut : (sector) => sector >= cut
}

function prefixKeeper(operation: Operation, plan: LossPlan): (sector: number) => boolean {
  if (operation.sequence <= plan.lastSequence) return () => true
  const next = operation.sequence === plan.lastSequence + 1
  if (!next || operation.kind === 'truncate') return () => false
  const [first, last] = range(operation, SECTOR_BYTES)
  const cut = first + plan.random.below(last - first + 1)
  return (sector) => sector < cut
}
