/**
 * A disk that changes nothing: what is written stays in memory, over the files of another disk. So a volume can be opened,
 * healed and read exactly as a server would, while its files stay as they are.
 */
import type { Disk, DiskSpace, FileStat, OpenMode } from './disk.ts'

const BLOCK_BYTES = 64 * 1024

class OverlayFile {
  /** The file below; -1 where there is none. */
  readonly base: number
  /** Bytes of the file below that still show. */
  baseBytes: number
  sizeBytes: number
  readonly modifiedMs: number
  readonly blocks = new Map<number, Buffer>()

  constructor(base: number, stat: FileStat | undefined) {
    this.base = base
    this.baseBytes = stat?.sizeBytes ?? 0
    this.sizeBytes = this.baseBytes
    this.modifiedMs = stat?.modifiedMs ?? 0
  }
}

export class OverlayDisk implements Disk {
  readonly #below: Disk
  /** Files that were opened, and `undefined` for those that were removed. */
  readonly #files = new Map<string, OverlayFile | undefined>()
  readonly #handles = new Map<number, OverlayFile>()
  readonly #bases: number[] = []
  #nextHandle = 1

  constructor(below: Disk) {
    this.#below = below
  }

  /** Closes the files below and forgets everything. */
  release(): void {
    for (const base of this.#bases.splice(0)) this.#below.close(base)
    this.#files.clear()
    this.#handles.clear()
  }

  open(path: string, mode: OpenMode): number {
    let file = this.#find(path)
    if (mode === 'wx+' && file !== undefined) throw failure('EEXIST', path)
    if (mode === 'w+' || mode === 'wx+') {
      file = new OverlayFile(-1, undefined)
      this.#files.set(path, file)
    }
    if (file === undefined) throw failure('ENOENT', path)
    const handle = this.#nextHandle++
    this.#handles.set(handle, file)
    return handle
  }

  #find(path: string): OverlayFile | undefined {
    if (this.#files.has(path)) return this.#files.get(path)
    const stat = this.#below.stat(path)
    if (stat === undefined || stat.isDirectory) return undefined
    const base = this.#below.open(path, 'r')
    this.#bases.push(base)
    const file = new OverlayFile(base, stat)
    this.#files.set(path, file)
    return file
  }

  #file(handle: number): OverlayFile {
    const file = this.#handles.get(handle)
    if (file === undefined) throw failure('EBADF', String(handle))
    return file
  }

  closeSoon(handle: number): void {
    this.close(handle)
  }

  close(handle: number): void {
    this.#handles.delete(handle)
  }

  readSync(handle: number, into: Buffer, intoOffset: number, length: number, position: number): number {
    const file = this.#file(handle)
    const wanted = Math.max(0, Math.min(length, file.sizeBytes - position))
    if (file.blocks.size === 0 && position + wanted <= file.baseBytes)
      return this.#below.readSync(file.base, into, intoOffset, wanted, position)
    for (let done = 0; done < wanted; ) {
      const at = position + done
      const count = Math.min(wanted - done, BLOCK_BYTES - (at % BLOCK_BYTES))
      const target = into.subarray(intoOffset + done, intoOffset + done + count)
      const block = file.blocks.get(Math.floor(at / BLOCK_BYTES))
      if (block === undefined) this.#readBase(file, target, at)
      else block.copy(target, 0, at % BLOCK_BYTES)
      done += count
    }
    return wanted
  }

  #readBase(file: OverlayFile, target: Buffer, position: number): void {
    const wanted = Math.max(0, Math.min(target.length, file.baseBytes - position))
    const count = wanted === 0 ? 0 : this.#below.readSync(file.base, target, 0, wanted, position)
    target.fill(0, count)
  }

  async read(
    handle: number,
    into: Buffer,
    intoOffset: number,
    length: number,
    position: number,
  ): Promise<number> {
    return this.readSync(handle, into, intoOffset, length, position)
  }

  writeSync(handle: number, from: Buffer, fromOffset: number, length: number, position: number): void {
    const file = this.#file(handle)
    for (let done = 0; done < length; ) {
      const at = position + done
      const count = Math.min(length - done, BLOCK_BYTES - (at % BLOCK_BYTES))
      const block = this.#blockToChange(file, Math.floor(at / BLOCK_BYTES))
      from.copy(block, at % BLOCK_BYTES, fromOffset + done, fromOffset + done + count)
      done += count
    }
    file.sizeBytes = Math.max(file.sizeBytes, position + length)
  }

  #blockToChange(file: OverlayFile, number: number): Buffer {
    let block = file.blocks.get(number)
    if (block === undefined) {
      block = Buffer.alloc(BLOCK_BYTES)
      this.#readBase(file, block, number * BLOCK_BYTES)
      file.blocks.set(number, block)
    }
    return block
  }

  async write(
    handle: number,
    from: Buffer,
    fromOffset: number,
    length: number,
    position: number,
  ): Promise<void> {
    this.writeSync(handle, from, fromOffset, length, position)
  }

  truncateSync(handle: number, sizeBytes: number): void {
    const file = this.#file(handle)
    const last = Math.floor(sizeBytes / BLOCK_BYTES)
    for (const number of file.blocks.keys()) if (number > last) file.blocks.delete(number)
    file.blocks.get(last)?.fill(0, sizeBytes % BLOCK_BYTES)
    file.baseBytes = Math.min(file.baseBytes, sizeBytes)
    file.sizeBytes = sizeBytes
  }

  sizeSync(handle: number): number {
    return this.#file(handle).sizeBytes
  }

  stat(path: string): FileStat | undefined {
    if (!this.#files.has(path)) return this.#below.stat(path)
    const file = this.#files.get(path)
    return file && { sizeBytes: file.sizeBytes, modifiedMs: file.modifiedMs, isDirectory: false }
  }

  list(path: string): string[] {
    const names = new Set(this.#below.list(path))
    for (const [each, file] of this.#files) {
      if (!each.startsWith(`${path}/`)) continue
      const name = each.slice(path.length + 1)
      if (file === undefined) names.delete(name)
      else names.add(name)
    }
    return [...names]
  }

  renameSync(from: string, to: string): void {
    const file = this.#find(from)
    if (file === undefined) throw failure('ENOENT', from)
    this.#files.set(to, file)
    this.#files.set(from, undefined)
  }

  removeSync(path: string): void {
    this.#files.set(path, undefined)
  }

  space(path: string): DiskSpace {
    return this.#below.space(path)
  }

  // Nothing is to be made durable.
  async fdatasync(): Promise<void> {}
  fdatasyncSync(): void {}
  syncDirectorySync(): void {}
  mkdirSync(): void {}
}

function failure(code: string, what: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}
