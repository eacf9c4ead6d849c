/** What the threads of this door count. */
import { SharedCounters } from '../../base/shared-counters.ts'

/** `cut`: transfers that the other side did not finish, or a failure ended. */
const NAMES = [
  'reads',
  'writes',
  'deletes',
  'others',
  'refused',
  'cut',
  'bytesReceived',
  'bytesSent',
] as const

export type HashstoreCounter = (typeof NAMES)[number]

export class HashstoreCounters extends SharedCounters<HashstoreCounter> {
  /** Memory for `threads` threads, to be posted to each of them. */
  static share(threads: number): SharedArrayBuffer {
    return SharedCounters.memory(NAMES, threads)
  }

  /** `thread`: the place of the calling thread, from 0. */
  constructor(shared: SharedArrayBuffer, thread: number) {
    super(NAMES, shared, thread)
  }
}
