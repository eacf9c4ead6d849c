/**
 * Digests of objects' bytes, while they stream or all at once. Long bodies may be hashed by other threads (`HashPool`),
 * which the program gives; without them it is done where the bytes arrive.
 */
import { createHash, type Hash, hash } from 'node:crypto'
import { crc32 } from '@node-rs/crc32'
import { crc32c } from '../base/checksum.ts'
import { Crc64 } from './content/crc64.ts'
import { XxHash } from './content/xxhash.ts'
import type { ChecksumAlgorithm, DigestName, Digests } from './object-store.ts'

export { type CrcName, combineCrcs } from './content/crc-combine.ts'

/** One running computation. */
export interface Hashing {
  /** Adds bytes, in order. They may be changed when it returned, or its promise resolved; calls need not wait for each other. */
  update(bytes: Buffer): void | Promise<void>
  /** The digests of all bytes. */
  finish(): Digests | Promise<Digests>
  /** No more bytes come and nobody asks. After `finish` it does nothing. */
  abandon(): void
}

export interface HashPool {
  /** Whether bytes in shared memory reach it without a copy, so that callers gather them there. */
  readonly isShared: boolean
  start(names: readonly DigestName[]): Hashing
}

/** The digest that a checksum is made of. */
export function digestNameOf(algorithm: ChecksumAlgorithm): DigestName {
  return algorithm.toLowerCase() as DigestName
}

/** Length of each digest. */
export const DIGEST_BYTES: Record<DigestName, number> = {
  md5: 16,
  sha1: 20,
  sha256: 32,
  sha512: 64,
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  xxhash64: 8,
  xxhash3: 8,
  xxhash128: 16,
}

/** Digests of bytes that are all here. */
export function digestsOf(names: readonly DigestName[], bytes: Buffer): Digests {
  const digests: Digests = {}
  for (const name of names) digests[name] = digestOf(name, bytes)
  return digests
}

function digestOf(name: DigestName, bytes: Buffer): Buffer {
  switch (name) {
    case 'crc32':
      return bytesOf(crc32(bytes))
    case 'crc32c':
      return bytesOf(crc32c(bytes))
    case 'crc64nvme': {
      const crc = new Crc64()
      crc.update(bytes)
      return crc.digest()
    }
    case 'xxhash64':
    case 'xxhash3':
    case 'xxhash128': {
      const hashing = new XxHash(name)
      hashing.update(bytes)
      return hashing.digest()
    }
    default:
      return hash(name, bytes, 'buffer')
  }
}

function bytesOf(crc: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(crc)
  return bytes
}

/** Hashes where it is called. */
export const inlineHashPool: HashPool = {
  isShared: false,
  start: (names) => new InlineHashing(names),
}

interface Running {
  name: DigestName
  update(bytes: Buffer): unknown
  digest(): Buffer
}

/** A computation on the calling thread: nothing of it is asynchronous. */
export class InlineHashing implements Hashing {
  readonly #running: Running[]

  constructor(names: readonly DigestName[]) {
    this.#running = [...new Set(names)].map(startDigest)
  }

  update(bytes: Buffer): void {
    for (const running of this.#running) running.update(bytes)
  }

  finish(): Digests {
    const digests: Digests = {}
    for (const running of this.#running) digests[running.name] = running.digest()
    return digests
  }

  abandon(): void {}
}

function startDigest(name: DigestName): Running {
  switch (name) {
    case 'crc32':
      return runningCrc(name, crc32)
    case 'crc32c':
      return runningCrc(name, crc32c)
    case 'crc64nvme': {
      const crc = new Crc64()
      return { name, update: (bytes) => crc.update(bytes), digest: () => crc.digest() }
    }
    case 'xxhash64':
    case 'xxhash3':
    case 'xxhash128': {
      const hashing = new XxHash(name)
      return { name, update: (bytes) => hashing.update(bytes), digest: () => hashing.digest() }
    }
    default: {
      const running: Hash = createHash(name)
      return { name, update: (bytes) => running.update(bytes), digest: () => running.digest() }
    }
  }
}

function runningCrc(name: DigestName, add: (bytes: Buffer, previous: number) => number): Running {
  let crc = 0
  return {
    name,
    update(bytes) {
      crc = add(bytes, crc)
    },
    digest: () => bytesOf(crc),
  }
}
