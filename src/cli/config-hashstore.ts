/** Settings of the hash store: its servers and its commands. */
import * as limits from '../base/limits.ts'
import { PLACEMENTS } from '../protocols/hashstore/placement.ts'
import { bytes, choice, flag, HOST_PORT, integer, list, text } from './setting.ts'

const GIB = 1024 ** 3

/** Where its servers listen, by their commands. */
export const HASHSTORE_PORTS = { 'hashstore serve': 10_001, 'hashstore nameserver': 10_000 }

export const HASHSTORE_SETTINGS = {
  hashstorePort: integer({
    doc: 'Port of the hash store. It asks nobody for a password, so it listens on 127.0.0.1 unless `--listen` names it.',
    fallback: 10_001,
    min: 0,
    max: 65_535,
    placeholder: 'PORT',
  }),
  machines: text({
    doc: 'File that names the servers of a hash store: `ip,port` a line.',
    fallback: 'machineconf.txt',
    placeholder: 'FILE',
  }),
  leaving: list({
    doc: 'Servers of a hash store that are no longer in `--machines`, but may still have files: `rebalance` empties them.',
    fallback: [],
    placeholder: 'HOST:PORT,…',
    ...HOST_PORT,
  }),
  placement: choice(PLACEMENTS, {
    doc:
      'How a path finds its server: `modulo`, as the first clients do it, or `ring`, where one more server takes only its share ' +
      'of the files. All clients must use the same.',
    fallback: 'modulo',
  }),
  chunkSizeBytes: bytes({
    doc: 'Longer files are stored in chunks of this size on many servers. Clients of the old protocol cannot fetch those. 0: never.',
    fallback: limits.HASHSTORE_CHUNK_BYTES_DEFAULT,
    min: 0,
    max: GIB,
  }),
  removeChunks: flag({
    doc:
      'Also removes chunks that were stored a week ago or more and that no file names. Only where `--machines` and `--leaving` name all ' +
      'servers that have files: those on another one would lose their chunks.',
    fallback: false,
  }),
  nameserver: text({
    doc: 'HOST:PORT of the name server, which is told of files, and asked for listings. Empty: there is none.',
    fallback: '',
    placeholder: 'HOST:PORT',
    ...HOST_PORT,
  }),
} as const
