/** For processes that keep names only: there are no blobs, and none can be stored. */
import { StoreError } from '../base/errors.ts'
import type { BlobStore } from './blob-store.ts'

const none = () => new StoreError('unsupported', 'this process keeps names only')

export const NO_BLOBS: BlobStore = {
  async write() {
    throw none()
  },
  read() {
    throw none()
  },
  // biome-ignore lint/correctness/useYield: there is nothing to give
  async *readRange() {
    throw none()
  },
  async remove() {
    throw none()
  },
  async verify() {
    throw none()
  },
  async volumes() {
    return []
  },
  async *list() {},
  close() {},
}
