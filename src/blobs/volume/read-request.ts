/** What a read of a file is made of: the request, and the volumes as its thread sees them. */
import type { Fid } from '../../base/fid.ts'
import type { Volume } from '../../disk/volume.ts'
import type { FileQuery } from './query.ts'

/** One thread's view of the volumes, as far as the HTTP face needs it. */
export interface VolumesView {
  /** Undefined: not here. Throws `io_error` when it is here but could not be opened. */
  get(volumeId: number): Volume | undefined
  /** Throws `io_error` unless a volume that `get` does not know is surely not here. */
  assertComplete(): void
}

export interface ReadRequest {
  fid: Fid
  isHead: boolean
  rawHeaders: readonly string[]
  /** Bits of MARK. */
  marks: number
  query: Readonly<FileQuery>
  /** A name that the URL gives the file. */
  filename: string | undefined
  /** Path and query as received; undefined when they are nothing but the id. */
  target?: string
}
