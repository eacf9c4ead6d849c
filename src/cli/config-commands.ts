/** Settings of commands: of those for people, of those that look after a running store, and of the benchmarks. */
import * as limits from '../base/limits.ts'
import { bytes, decimal, duration, flag, HOST_PORT, integer, list, text } from './setting.ts'

const KIB = 1024
const GIB = 1024 * 1024 * KIB

export const COMMAND_SETTINGS = {
  // Commands for people.
  json: flag({ doc: 'Print the result as JSON.', fallback: false }),
  collection: text({
    doc: 'Collection of new files. For the actions of `cairn volume`: only volumes of this one.',
    fallback: '',
    placeholder: 'NAME',
  }),
  volumeId: list({
    doc: 'Only the volumes with these numbers.',
    fallback: [],
    placeholder: 'N,…',
    pattern: /^[0-9]{1,10}$/,
    expected: 'volume numbers',
  }),
  replication: text({
    doc: "Copies of new files: in other data centers, other racks, other servers. Empty: the master's default.",
    fallback: '',
    placeholder: 'XYZ',
    pattern: /^[0-9]{1,3}$/,
    expected: 'up to three digits',
  }),
  ttl: text({
    doc: 'New files are gone after this time: `3m`, `4h`, `5d`, `6w`, `7M` (months) or `8y`. Empty: never.',
    fallback: '',
    placeholder: 'TIME',
    pattern: /^[0-9]{1,3}[mhdwMy]?$/,
    expected: 'a number and one of m, h, d, w, M, y',
  }),
  https: flag({ doc: 'Speak HTTPS with the servers.', fallback: false }),
  tlsCa: text({
    doc: 'File with the authorities to trust (PEM), beside those of the system.',
    fallback: '',
    placeholder: 'FILE',
  }),
  basicAuth: text({
    doc: 'USER:PASSWORD to send with every request. Better as a variable than as a flag, which others can see.',
    fallback: '',
    placeholder: 'USER:PASSWORD',
    secret: true,
  }),
  timeoutMs: duration({
    doc: 'A request on which nothing moves for this long has failed.',
    fallback: limits.CLIENT_TIMEOUT_MS_DEFAULT,
    min: 100,
    max: 3_600_000,
  }),
  parallel: integer({ doc: 'Files that are moved at a time.', fallback: 16, min: 1, max: 64 }),
  maxMb: integer({
    doc: 'Files of more MiB than this are stored in chunks of so many, which can be resumed.',
    fallback: limits.UPLOAD_CHUNK_MIB_DEFAULT,
    min: 1,
    max: 1024,
    placeholder: 'MIB',
  }),
  filer: text({
    ...HOST_PORT,
    doc: 'HOST:PORT of the filer.',
    fallback: '127.0.0.1:8888',
    placeholder: 'HOST:PORT',
  }),
  recurse: flag({
    doc: 'Directories too, with all in them.',
    fallback: false,
    short: 'r',
  }),
  recursive: list({
    doc: 'Directories of which every file is stored, those below included.',
    fallback: [],
    placeholder: 'DIR,…',
    short: 'r',
  }),
  output: text({
    doc: 'File to write to: the one download, or the tar of an export. `-` is standard output.',
    fallback: '',
    placeholder: 'FILE',
    short: 'o',
  }),
  outputDir: text({
    doc: 'Directory to write downloads to, each under the name it was stored with, or its id.',
    fallback: '.',
    placeholder: 'DIR',
  }),
  nameFormat: text({
    doc: 'Names in the tar, from {{.Id}}, {{.Name}}, {{.Ext}}, {{.Mime}} and {{.Key}} (the file id).',
    fallback: '{{.Mime}}/{{.Id}}:{{.Name}}',
  }),
  newer: text({
    doc: 'Only files modified at this time or later: 2006-01-02T15:04:05, in local time. Files without a time are taken.',
    fallback: '',
    placeholder: 'TIME',
  }),
  limit: integer({ doc: 'Only so many files. 0: all.', fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER }),
  overwrite: flag({ doc: 'Replace files of the same name in the output directory.', fallback: false }),

  // Looking after a running store.
  to: text({
    ...HOST_PORT,
    doc: 'HOST:PORT of the volume server that a volume is moved to.',
    fallback: '',
    placeholder: 'HOST:PORT',
  }),
  node: text({
    ...HOST_PORT,
    doc: 'HOST:PORT of a volume server: which one is meant, where a volume is on two.',
    fallback: '',
    placeholder: 'HOST:PORT',
  }),
  repair: flag({
    doc: 'Remove what nothing names, and correct counts.',
    fallback: false,
  }),
  verifyBytes: flag({
    doc: 'Read every byte that is named, and check it.',
    fallback: false,
  }),
  rebuild: flag({
    doc: 'Bring the names back that were lost with their file, from the copies in the volumes.',
    fallback: false,
  }),
  force: flag({ doc: 'Delete volumes that hold files.', fallback: false }),

  path: text({
    doc: 'Path under which the file is kept. For a folder: the path above its files.',
    fallback: '',
    placeholder: 'PATH',
  }),
  filepath: text({
    doc: 'Local file or folder to send.',
    fallback: '',
    placeholder: 'FILE',
  }),
  benchmark: flag({
    doc: 'Measure: store and read files of `--size` below `--path`, or copies of `--filepath`.',
    fallback: false,
  }),

  // `cairn benchmark`.
  server: list({
    ...HOST_PORT,
    doc: 'Masters of the store.',
    fallback: ['127.0.0.1:9333'],
    placeholder: 'HOST:PORT,…',
  }),
  s3Server: text({ ...HOST_PORT, doc: 'S3 server to measure.', fallback: '127.0.0.1:9000' }),
  accessKey: text({ doc: 'Access key that S3 requests are signed with.', fallback: '', placeholder: 'KEY' }),
  secretKey: text({ doc: 'Secret of `--access-key`: better as a variable.', fallback: '', secret: true }),
  bucket: text({ doc: 'Bucket of the benchmark, made if need be.', fallback: 'cairn-benchmark' }),
  requests: integer({
    doc: 'Files to write, and reads of random ones.',
    fallback: 1_048_576,
    fallbackOf: { 'sfss-client': 10_000 },
    min: 1,
    max: 1_000_000_000,
    short: 'n',
  }),
  sizeBytes: bytes({ doc: 'Size of each file.', fallback: KIB, min: 1, max: GIB }),
  concurrency: integer({
    doc: 'Connections, each with one request at a time.',
    fallback: 16,
    min: 1,
    max: 10_000,
    short: 'c',
  }),
  threads: integer({ doc: 'Threads that share the connections.', fallback: 1, min: 1, max: 64 }),
  write: flag({ doc: 'Write files; `--no-write` reads those of `--list`.', fallback: true }),
  read: flag({ doc: 'Read files; `--no-read` only writes.', fallback: true }),
  list: text({
    doc: 'File of file ids, one a line: those written are added to it; with `--no-write` it says what to read.',
    fallback: '',
    placeholder: 'FILE',
  }),
  deletePercent: decimal({
    doc: 'Share of the written files that are deleted at once.',
    fallback: 0,
    min: 0,
    max: 100,
  }),
  assignBatch: integer({
    doc: 'File ids to ask the master for at a time.',
    fallback: 1,
    min: 1,
    max: limits.ASSIGN_COUNT_MAX,
  }),
  verify: flag({
    doc: 'Compare what is read with what was written. `--no-verify` for files of others.',
    fallback: true,
  }),
}
