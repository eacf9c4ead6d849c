/**
 * Which chunks of a large file are stored already: a small file in the user's cache folder, one line of JSON a chunk,
 * so that an upload that was interrupted goes on where it was. It holds for one file as it was then, for one store and
 * one way to store it, and for one process at a time.
 */
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { UploadedChunk } from '../client/chunked-upload.ts'

/** What must be the same for chunks to be taken over. */
export interface UploadIdentity {
  /** Absolute path. */
  path: string
  /** Masters, collection, replication, chunk length: another store, or another way to store. */
  target: string
}

interface Head {
  version: 1
  pid: number
  file: string
}

export class UploadState {
  readonly #path: string
  /** Stored by an earlier try, of the file as it is now. */
  readonly known: readonly UploadedChunk[]
  /** Stored by an earlier try of a file that has changed since: to be removed. */
  readonly stale: readonly UploadedChunk[]

  private constructor(path: string, known: readonly UploadedChunk[], stale: readonly UploadedChunk[]) {
    this.#path = path
    this.known = known
    this.stale = stale
  }

  /** Undefined while another process uploads the same file, and where nothing can be written: then there is no resume. */
  static open(directory: string, identity: UploadIdentity, info: Stats): UploadState | undefined {
    const key = createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 32)
    const path = join(directory, `${key}.jsonl`)
    const file = fileIdentity(info)
    const found = readState(path)
    if (found !== undefined && found.head.pid !== process.pid && isAlive(found.head.pid)) return undefined
    const isSame = found?.head.file === file
    const chunks = found?.chunks ?? []
    const head: Head = { version: 1, pid: process.pid, file }
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const lines = [head, ...(isSame ? chunks : [])].map((line) => `${JSON.stringify(line)}\n`)
      writeFileSync(`${path}.new`, lines.join(''), { mode: 0o600 })
      renameSync(`${path}.new`, path)
    } catch {
      return undefined
    }
    return new UploadState(path, isSame ? chunks : [], isSame ? [] : chunks)
  }

  add(chunk: UploadedChunk): void {
    appendFileSync(this.#path, `${JSON.stringify(chunk)}\n`)
  }

  /** The file is stored, or its chunks are gone: nothing is left to be resumed. */
  close(): void {
    rmSync(this.#path, { force: true })
  }
}

/** Changes when the file's content does. */
export function fileIdentity(info: Stats): string {
  return `${info.dev}:${info.ino}:${info.size}:${info.mtimeMs}:${info.ctimeMs}`
}

function readState(path: string): { head: Head; chunks: UploadedChunk[] } | undefined {
  try {
    const [first = '', ...lines] = readFileSync(path, 'utf8').split('\n')
    const head = JSON.parse(first) as Head
    if (head.version !== 1) return undefined
    return { head, chunks: lines.flatMap(parseChunk) }
  } catch {
    return undefined
  }
}

/** A line that was cut off in the middle is a chunk that is not known. */
function parseChunk(line: string): UploadedChunk[] {
  try {
    const { fid, offset, size } = JSON.parse(line) as Partial<UploadedChunk>
    const isWhole = typeof fid === 'string' && Number.isSafeInteger(offset) && Number.isSafeInteger(size)
    return isWhole ? [{ fid, offset: offset!, size: size! }] : []
  } catch {
    return []
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
