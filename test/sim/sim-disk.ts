/**
 * A disk in memory that fails on demand: it loses, tears and reorders what was not synced, fails the Nth call,
 * runs full, and lets a test decide when and in which order asynchronous calls end. Same seed, same run.
 */
import { dirname } from 'node:path'
import { type Random, seededRandom } from '../../src/base/random.ts'
import type { Disk, DiskSpace, FileStat, OpenMode } from '../../src/disk/disk.ts'
import { type LossPlan, type LossStyle, SimFile } from './sim-file.ts'
import { cleanPath, errno, SimNames } from './sim-names.ts'

export type CallKind =
  | 'open'
  | 'close'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'size'
  | 'stat'
  | 'list'
  | 'mkdir'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'space'

/** Calls that change something or make it durable: the points at which a crash or a failure is of interest. */
export const CHANGING_CALLS: readonly CallKind[] = [
  'open',
  'write',
  'sync',
  'truncate',
  'mkdir',
  'rename',
  'remove',
  'syncDirectory',
]

export interface Call {
  /** Counts all calls of this disk, from 1. */
  number: number
  kind: CallKind
  path: string
  position: number
  length: number
  failed?: string
}

export interface Fault {
  code: 'EIO' | 'ENOSPC' | 'EROFS' | 'EMFILE'
  /** A failing write leaves a part, of random length, written. */
  short?: boolean
  /** After a failed sync: pages dropped, in 1000. Default 1000. */
  dropPerMille?: number
  /** After a failed sync: readers see the old bytes at once. Default: half the time. */
  evict?: boolean
}

export interface FaultRule {
  /** The Nth matching call from now on, from 1. */
  nth: number
  fault: Fault
  kinds?: readonly CallKind[]
  /** Only paths that this matches. */
  path?: RegExp
  /** Only reads and writes that this byte is of. */
  byte?: number
  /** Fails all later matching calls too. */
  forever?: boolean
}

export interface HeldCall {
  kind: CallKind
  path: string
  position: number
  length: number
}

const LOSS_STYLES: readonly LossStyle[] = [
  'none',
  'all',
  'prefix',
  'prefix',
  'subset',
  'subset',
  'pages',
  'sectors',
]
const FIRST_HANDLE = 1000
const LOG_CALLS_MAX = 20_000

export class SimDisk implements Disk {
  /** Newest last; bounded. */
  readonly log: Call[] = []
  /** Called before each call; a test may take a crash image here. */
  beforeCall: ((call: Call) => void) | undefined
  /** Handles closed while an asynchronous call on them was under way: on a real disk that call may meet another file. */
  readonly misuses: string[] = []
  capacityBytes = Number.POSITIVE_INFINITY
  nowMs = 1_790_000_000_000
  readonly #random: Random
  #names = new SimNames()
  readonly #open = new Map<number, { file: SimFile; path: string; mode: OpenMode }>()
  readonly #rules: { rule: FaultRule; seen: number }[] = []
  readonly #held: { call: HeldCall; run: () => void }[] = []
  #nextHandle = FIRST_HANDLE
  #sequence = 0
  #calls = 0
  #holding = false

  /** `seed` decides the length of short writes and what a failed sync drops. */
  constructor(seed = 1) {
    this.#random = seededRandom(seed)
  }

  get callCount(): number {
    return this.#calls
  }

  get openHandles(): string[] {
    return [...this.#open.values()].map((entry) => entry.path)
  }

  /** Bytes that files take, those removed but still open included. */
  get usedBytes(): number {
    const files = new Set<SimFile>([...this.#open.values()].map((entry) => entry.file))
    for (const node of this.#names.current.values()) if (node !== 'directory') files.add(node)
    let used = 0
    for (const file of files) used += file.current.allocatedBytes
    return used
  }

  // What tests steer

  /** Makes the Nth call fail. `short` is a short write that ends in ENOSPC. */
  failCall(
    nth: number,
    fault: Fault | Fault['code'] | 'short',
    options: Omit<FaultRule, 'nth' | 'fault'> = {},
  ): void {
    const full: Fault =
      typeof fault === 'object'
        ? fault
        : fault === 'short'
          ? { code: 'ENOSPC', short: true }
          : { code: fault }
    this.#rules.push({ rule: { nth, fault: full, kinds: CHANGING_CALLS, ...options }, seen: 0 })
  }

  /** No call fails any more. */
  heal(): void {
    this.#rules.length = 0
  }

  /** From now on asynchronous calls wait for `release`. */
  hold(): void {
    this.#holding = true
  }

  /** Ends all held calls in their order, and holds none from now on. */
  unhold(): void {
    this.#holding = false
    while (this.#held.length > 0) this.release(0)
  }

  get held(): readonly HeldCall[] {
    return this.#held.map((entry) => entry.call)
  }

  /** Ends one of the held calls; its promise settles in the microtasks that follow. */
  release(index: number): void {
    const [entry] = this.#held.splice(index, 1)
    if (entry === undefined) throw new Error(`no held call ${index}`)
    entry.run()
  }

  /** The power goes: a new disk with what survived. This one goes on as if nothing had happened. */
  crash(random: Random, options: { style?: LossStyle; tearBytes?: boolean } = {}): SimDisk {
    const after = new SimDisk(random.u32())
    after.capacityBytes = this.capacityBytes
    after.nowMs = this.nowMs
    const plan: LossPlan = {
      style: options.style ?? LOSS_STYLES[random.below(LOSS_STYLES.length)]!,
      lastSequence: this.#lossPoint(random),
      keepPerMille: [100, 500, 900][random.below(3)]!,
      tearBytes: options.tearBytes ?? random.below(2) === 0,
      random,
    }
    const names = this.#names.crash(random)
    for (const [path, node] of names) if (node !== 'directory') names.set(path, node.crash(plan))
    after.#names.adopt(names)
    return after
  }

  /** The process is killed, the machine goes on: a new disk on which all that returned is visible, and not yet durable. */
  kill(): SimDisk {
    const after = new SimDisk(this.#random.u32())
    after.capacityBytes = this.capacityBytes
    after.nowMs = this.nowMs
    after.#sequence = this.#sequence
    after.#names = this.#names.copy((file) => file.kill())
    return after
  }

  /** The same files on a new disk, all durable, as after a clean stop. */
  copy(): SimDisk {
    const after = new SimDisk(this.#random.u32())
    after.capacityBytes = this.capacityBytes
    after.nowMs = this.nowMs
    const names = new Map(this.#names.current)
    for (const [path, node] of names) {
      if (node !== 'directory') names.set(path, new SimFile(node.modifiedMs, node.current.clone()))
    }
    after.#names.adopt(names)
    return after
  }

  contents(path: string): Buffer {
    return this.#names.file(cleanPath(path), 'contents').current.toBuffer()
  }

  /** Makes or replaces a file, durable at once, behind the engine's back. */
  putFile(path: string, bytes: Buffer): void {
    const [clean, names] = [cleanPath(path), this.#names]
    if (!names.current.has(clean)) names.add(clean, new SimFile(this.nowMs), 'putFile')
    names.sync(dirname(clean))
    names.file(clean, 'putFile').corrupt(() => bytes)
  }

  /** Makes a directory and its parents, durable at once. */
  putDirectory(path: string): void {
    const clean = cleanPath(path)
    this.#names.makeDirectories(clean)
    for (let at = clean; at !== '/'; at = dirname(at)) this.#names.sync(dirname(at))
  }

  /** Changes a file in place, durable at once. A returned buffer replaces it. */
  corrupt(path: string, change: (bytes: Buffer) => Buffer | undefined): void {
    this.#names.file(cleanPath(path), 'corrupt').corrupt(change)
  }

  /** Flips bits of one byte, on the disk and in the cache; again undoes it. */
  flip(path: string, position: number, mask: number): void {
    this.#names.file(cleanPath(path), 'flip').flip(position, mask)
  }

  /** Removes a file, durable at once, behind the engine's back. */
  dropFile(path: string): void {
    this.#names.remove(cleanPath(path))
    this.#names.sync(dirname(cleanPath(path)))
  }

  /** Operations that a power loss could undo, by path; directories count their names together under '/'. */
  unsynced(): Map<string, number> {
    const counts = new Map<string, number>()
    if (this.#names.unsyncedCount > 0) counts.set('/', this.#names.unsyncedCount)
    for (const [path, node] of this.#names.current) {
      if (node !== 'directory' && node.unsyncedCount > 0) counts.set(path, node.unsyncedCount)
    }
    return counts
  }

  // The Disk interface

  open(path: string, mode: OpenMode): number {
    const clean = cleanPath(path)
    this.#call('open', clean)
    const file = this.#openFile(clean, mode)
    const handle = this.#nextHandle++
    this.#open.set(handle, { file, path: clean, mode })
    return handle
  }

  closeSoon(handle: number): void {
    this.close(handle)
  }

  close(handle: number): void {
    this.#call('close', this.#entry(handle, 'close').path)
    this.#open.delete(handle)
  }

  readSync(handle: number, into: Buffer, intoOffset: number, length: number, position: number): number {
    const { file, path } = this.#entry(handle, 'read')
    this.#call('read', path, position, length)
    return file.current.read(into, intoOffset, length, position)
  }

  read(handle: number, into: Buffer, intoOffset: number, length: number, position: number): Promise<number> {
    const { file, path } = this.#entry(handle, 'read')
    return this.#later(handle, { kind: 'read', path, position, length }, () => {
      this.#call('read', path, position, length)
      return file.current.read(into, intoOffset, length, position)
    })
  }

  writeSync(handle: number, from: Buffer, fromOffset: number, length: number, position: number): void {
    const { file, path } = this.#writable(handle)
    const bytes = copyOf(from, fromOffset, length)
    const fault = this.#ask('write', path, position, length)
    const kept = this.#keptBytes(file, bytes, position, fault)
    if (kept > 0) file.write(++this.#sequence, bytes.subarray(0, kept), position)
    file.modifiedMs = this.nowMs
    if (kept < length || fault !== undefined) throw errno(fault?.code ?? 'ENOSPC', 'write', path)
  }

  write(handle: number, from: Buffer, fromOffset: number, length: number, position: number): Promise<void> {
    const { file, path } = this.#writable(handle)
    const bytes = copyOf(from, fromOffset, length)
    const write = file.beginWrite(++this.#sequence, bytes, position)
    return this.#later(handle, { kind: 'write', path, position, length }, () => {
      if (!bytes.equals(from.subarray(fromOffset, fromOffset + length))) {
        throw new Error(`the buffer of a write to ${path} was changed while it was being written`)
      }
      const fault = this.#ask('write', path, position, length)
      const kept = this.#keptBytes(file, bytes, position, fault)
      file.finishWrite(write, ++this.#sequence, kept)
      file.modifiedMs = this.nowMs
      if (kept < length || fault !== undefined) throw errno(fault?.code ?? 'ENOSPC', 'write', path)
    })
  }

  fdatasync(handle: number): Promise<void> {
    const { file, path } = this.#entry(handle, 'fdatasync')
    const covered = this.#sequence
    return this.#later(handle, { kind: 'sync', path, position: 0, length: 0 }, () =>
      this.#sync(file, path, covered),
    )
  }

  fdatasyncSync(handle: number): void {
    const { file, path } = this.#entry(handle, 'fdatasync')
    this.#sync(file, path, this.#sequence)
  }

  truncateSync(handle: number, sizeBytes: number): void {
    const { file, path } = this.#writable(handle)
    this.#call('truncate', path, sizeBytes)
    file.truncate(++this.#sequence, sizeBytes)
    file.modifiedMs = this.nowMs
  }

  sizeSync(handle: number): number {
    const { file, path } = this.#entry(handle, 'fstat')
    this.#call('size', path)
    return file.current.sizeBytes
  }

  stat(path: string): FileStat | undefined {
    const clean = cleanPath(path)
    this.#call('stat', clean)
    const node = this.#names.current.get(clean)
    if (node === undefined) return undefined
    if (node === 'directory') return { sizeBytes: 0, modifiedMs: this.nowMs, isDirectory: true }
    return { sizeBytes: node.current.sizeBytes, modifiedMs: node.modifiedMs, isDirectory: false }
  }

  syncDirectorySync(path: string): void {
    this.#call('syncDirectory', cleanPath(path))
    this.#names.sync(cleanPath(path))
  }

  mkdirSync(path: string): void {
    this.#call('mkdir', cleanPath(path))
    this.#names.makeDirectories(cleanPath(path))
  }

  list(path: string): string[] {
    this.#call('list', cleanPath(path))
    return this.#names.list(cleanPath(path))
  }

  renameSync(from: string, to: string): void {
    this.#call('rename', cleanPath(to))
    this.#names.rename(cleanPath(from), cleanPath(to))
  }

  removeSync(path: string): void {
    this.#call('remove', cleanPath(path))
    this.#names.remove(cleanPath(path))
  }

  space(path: string): DiskSpace {
    this.#call('space', cleanPath(path))
    const totalBytes = Math.min(this.capacityBytes, 2 ** 50)
    return { totalBytes, freeBytes: Math.max(0, totalBytes - this.usedBytes) }
  }

  // Inside

  #lossPoint(random: Random): number {
    // Recent operations are the ones in doubt; a point far back equals losing everything.
    return Math.max(0, this.#sequence - random.below(12))
  }

  #entry(handle: number, call: string) {
    const entry = this.#open.get(handle)
    if (entry === undefined) throw errno('EBADF', call, String(handle))
    return entry
  }

  #writable(handle: number) {
    const entry = this.#entry(handle, 'write')
    if (entry.mode === 'r') throw errno('EBADF', 'write', entry.path)
    return entry
  }

  #openFile(path: string, mode: OpenMode): SimFile {
    const exists = this.#names.current.has(path)
    if (mode === 'wx+' && exists) throw errno('EEXIST', 'open', path)
    if ((mode === 'wx+' || mode === 'w+') && !exists) {
      const file = new SimFile(this.nowMs)
      this.#names.add(path, file, 'open')
      return file
    }
    const file = this.#names.file(path, 'open')
    if (mode === 'w+') file.truncate(++this.#sequence, 0)
    return file
  }

  #sync(file: SimFile, path: string, covered: number): void {
    const fault = this.#ask('sync', path)
    if (fault === undefined) {
      file.sync(covered)
      return
    }
    const evict = fault.evict ?? this.#random.below(2) === 0
    file.failSync(covered, this.#random, { dropPerMille: fault.dropPerMille ?? 1000, evict })
    throw errno(fault.code, 'fdatasync', path)
  }

  /** How much of a write lands: all, a random part, nothing, or what the disk has room for. */
  #keptBytes(file: SimFile, bytes: Buffer, position: number, fault: Fault | undefined): number {
    if (fault !== undefined) return fault.short ? this.#random.below(bytes.length + 1) : 0
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return bytes.length
    const free = Math.max(0, this.capacityBytes - this.usedBytes)
    let kept = bytes.length
    while (kept > 0 && file.current.newBytes(position, kept) > free) kept = Math.max(0, kept - 4096)
    return kept
  }

  #later<T>(handle: number, call: HeldCall, run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        if (!this.#open.has(handle)) this.misuses.push(`${call.path} was closed during a ${call.kind}`)
        try {
          resolve(run())
        } catch (error) {
          reject(error)
        }
      }
      if (this.#holding) this.#held.push({ call, run: settle })
      else queueMicrotask(settle)
    })
  }

  #call(kind: CallKind, path: string, position = 0, length = 0): void {
    const fault = this.#ask(kind, path, position, length)
    if (fault !== undefined) throw errno(fault.code, kind, path)
  }

  /** Counts and logs a call; returns the fault that it meets. */
  #ask(kind: CallKind, path: string, position = 0, length = 0): Fault | undefined {
    const call: Call = { number: ++this.#calls, kind, path, position, length }
    this.beforeCall?.(call)
    if (this.log.length >= LOG_CALLS_MAX) this.log.splice(0, LOG_CALLS_MAX / 2)
    this.log.push(call)
    let met: Fault | undefined
    for (const entry of this.#rules) {
      const { rule } = entry
      if (rule.kinds !== undefined && !rule.kinds.includes(kind)) continue
      if (rule.path !== undefined && !rule.path.test(path)) continue
      if (rule.byte !== undefined && !(position <= rule.byte && rule.byte < position + length)) continue
      entry.seen++
      if (entry.seen === rule.nth || (rule.forever === true && entry.seen > rule.nth)) met ??= rule.fault
    }
    if (met !== undefined) call.failed = met.code
    return met
  }
}

function copyOf(from: Buffer, offset: number, length: number): Buffer {
  if (offset + length > from.length) throw new RangeError('a write beyond its buffer')
  return Buffer.from(from.subarray(offset, offset + length))
}
