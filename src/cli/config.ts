/**
 * Every setting of the program, once. From this table come the flags, the `CAIRN_*` variables, the keys of the TOML file,
 * the defaults, `--help` and `docs/configuration.md` (`node script/docs.ts` writes it again). To add one: an entry here, and
 * its key in `settings` of the commands that use it. Keys end in their unit where one exists; the flag leaves it out.
 */

import * as limits from '../base/limits.ts'
import { CLUSTER_SECRET_BYTES_MIN } from '../base/limits.ts'
import { LOG_FORMATS, LOG_LEVELS } from '../base/log.ts'
import { READ_MODES } from '../base/read-mode.ts'
import { CLUSTER_SETTINGS } from './config-cluster.ts'
import { COMMAND_SETTINGS } from './config-commands.ts'
import { ENCRYPTION_SETTINGS } from './config-encryption.ts'
import { HASHSTORE_PORTS, HASHSTORE_SETTINGS } from './config-hashstore.ts'
import { OBJECTS_PORTS, OBJECTS_SETTINGS } from './config-objects.ts'
import { REDUNDANCY_SETTINGS } from './config-redundancy.ts'
import { S3_DOOR_SETTINGS } from './config-s3.ts'
import { SFSS_SETTINGS } from './config-sfss.ts'
import {
  bytes,
  choice,
  decimal,
  duration,
  flag,
  HOST_PORT,
  integer,
  list,
  type Setting,
  text,
} from './setting.ts'
import { UsageError } from './usage-error.ts'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const TIB = 1024 * GIB

const PORT = { min: 0, max: 65_535, placeholder: 'PORT' }

export const SETTINGS = {
  // Where things are kept.
  data: list({
    doc: 'Directories for the volumes, one for each disk. The first also keeps the names of objects, and what the master must remember.',
    fallback: ['./data'],
    placeholder: 'DIR,…',
  }),
  dir: list({
    doc: 'Directories for the volumes, one for each disk. A name server keeps its names in the first.',
    fallback: ['./data'],
    placeholder: 'DIR,…',
  }),

  // Who listens where.
  ip: text({
    doc: 'Address to listen on, for every door that `--listen` does not name. 0.0.0.0 is every IPv4 address of the machine.',
    fallback: '127.0.0.1',
    placeholder: 'ADDRESS',
  }),
  port: integer({
    ...PORT,
    doc: 'Port to listen on, or of the server that is asked. To listen, 0 lets the system choose one.',
    fallback: 9333,
    fallbackOf: {
      ...{ volume: 8080, filer: 8888, s3: 9000, sfss: 8255, 'sfss-client': 8255, memcached: 7900 },
      ...HASHSTORE_PORTS,
      ...OBJECTS_PORTS,
    },
  }),
  masterPort: integer({ ...PORT, doc: 'Port of the master.', fallback: 9333, fallbackOf: { sfss: 0 } }),
  volumePort: integer({
    ...PORT,
    doc: 'Port of the volume server.',
    fallback: 8080,
    fallbackOf: { sfss: 0 },
  }),
  filerPort: integer({
    ...PORT,
    doc: 'Port of the filer. It asks nobody for a password, so it listens on 127.0.0.1 unless `--listen` names it.',
    fallback: 8888,
  }),
  s3Port: integer({ ...PORT, doc: 'Port of S3.', fallback: 9000 }),
  sfssPort: integer({
    ...PORT,
    doc: 'Port of sfss. It asks nobody for a password, so it listens on 127.0.0.1 unless `--listen` names it.',
    fallback: 8255,
  }),
  memcachedPort: integer({
    ...PORT,
    doc: "Port of memcached's protocol. It asks nobody for a password, so it listens on 127.0.0.1 unless `--listen` names it.",
    fallback: 7900,
  }),
  host: text({
    doc: 'Address to listen on, or of the server that is asked.',
    fallback: '127.0.0.1',
    placeholder: 'ADDRESS',
  }),
  listen: list({
    doc: 'Addresses of single doors: `master`, `volume`, `filer`, `s3`, `sfss`, `memcached`, `hashstore`, `objects`; for example `s3=0.0.0.0:9000`. The others listen on `--ip`.',
    fallback: [],
    placeholder: 'DOOR=HOST:PORT,…',
    pattern: /^[a-z0-9]+=(\[[0-9a-fA-F:.]+\]|[^\s:,/[\]]+):\d{1,5}$/,
    expected: 'DOOR=HOST:PORT',
  }),
  publicUrl: text({
    ...HOST_PORT,
    doc: 'HOST:PORT under which clients reach this server, where that is not the address it listens on.',
    fallback: '',
    placeholder: 'HOST:PORT',
  }),
  master: list({
    ...HOST_PORT,
    doc: 'Masters: those that a volume server reports to, or that a client asks.',
    fallback: ['127.0.0.1:9333'],
    placeholder: 'HOST:PORT,…',
  }),
  workers: integer({
    doc: 'Threads that serve, each of them every door.',
    fallback: (machine) => Math.min(64, Math.max(2, machine.cpus)),
    fallbackDoc: 'the number of CPUs, at least 2',
    min: 1,
    max: 64,
  }),
  tlsCert: text({
    doc: 'File with the certificate chain (PEM). With `--tls-key`, every door speaks HTTPS.',
    fallback: '',
    placeholder: 'FILE',
  }),
  tlsKey: text({
    doc: 'File with the private key of `--tls-cert` (PEM).',
    fallback: '',
    placeholder: 'FILE',
  }),
  headerTimeoutMs: duration({
    doc: 'A client must have sent the whole head of a request within this time.',
    fallback: limits.HEADER_TIMEOUT_MS,
    min: 100,
    max: 600_000,
  }),
  idleTimeoutMs: duration({
    doc: 'A connection on which nothing moves for this long is closed.',
    fallback: limits.IDLE_TIMEOUT_MS,
    min: 100,
    max: 3_600_000,
  }),

  // How files are stored.
  sync: choice(['none', 'batch', 'always'], {
    doc:
      'When a write is acknowledged. `batch`: once it is on disk, with one fdatasync for all writers that wait. ' +
      '`always`: the same with a sync of its own. `none`: before it is on disk; a power loss can lose it.',
    fallback: 'batch',
  }),
  gzip: flag({
    doc: 'Store text and its like gzipped, where that saves more than a tenth. `--no-gzip` stores everything as it comes.',
    fallback: true,
  }),
  fixJpegOrientation: flag({
    doc: 'Turn JPEGs upright when they are stored, as their EXIF orientation says. They are compressed anew.',
    fallback: false,
  }),
  readMode: choice(READ_MODES, {
    doc:
      'Reads of files that another volume server has: `proxy` fetches them from there, `redirect` sends the client there, ' +
      '`local` says that they are missing.',
    fallback: 'proxy',
  }),
  volumeSizeLimitBytes: bytes({
    doc: 'A volume takes no new files above this size.',
    fallback: limits.VOLUME_SIZE_LIMIT_BYTES_DEFAULT,
    min: MIB,
    max: limits.VOLUME_SIZE_BYTES_MAX,
  }),
  maxVolumes: integer({
    doc: 'Volumes that each directory may hold.',
    fallback: 256,
    min: 1,
    max: limits.VOLUMES_PER_SERVER_MAX,
  }),
  fileSizeLimitBytes: bytes({
    doc: 'Largest file of one request, and the most that the gzip of a file may inflate to.',
    fallback: limits.FILE_SIZE_BYTES_MAX_DEFAULT,
    min: KIB,
    max: GIB,
  }),
  bodyInFlightBytes: bytes({
    doc: 'Bytes of request bodies that the process holds at a time. Requests above it get 429.',
    fallback: limits.BODY_BYTES_IN_FLIGHT_MAX_DEFAULT,
    min: MIB,
    max: TIB,
  }),
  garbageThreshold: decimal({
    doc: 'Volumes of which more than this share is deleted files are compacted.',
    fallback: limits.GARBAGE_THRESHOLD_DEFAULT,
    min: 0.01,
    max: 1,
  }),
  scrubRateBytes: bytes({
    doc: 'Bytes that the scrub, which looks for damage in the background, reads in a second. 0 turns it off.',
    fallback: 8 * MIB,
    min: 0,
    max: TIB,
  }),
  scrubPeriodMs: duration({
    doc: 'The scrub begins to read everything anew at the earliest so long after it began the time before.',
    fallback: 7 * 86_400_000,
    min: 0,
    max: 366 * 86_400_000,
  }),
  ballastBytes: bytes({
    doc: 'Room set aside in each directory, so that a full disk can still be compacted. 0 sets none aside.',
    fallback: 256 * MIB,
    min: 0,
    max: TIB,
  }),
  indexMemoryBytes: bytes({
    doc: 'Most memory for the index of all files. It is taken as files come, about 10 bytes for each.',
    fallback: (machine) => Math.max(64 * MIB, Math.floor(machine.memoryBytes / 4 / MIB) * MIB),
    fallbackDoc: "a quarter of the machine's memory",
    min: 16 * MIB,
    max: TIB,
  }),
  defaultReplication: text({
    doc: 'Copies of a file whose request names no replication: in other data centers, other racks, other servers.',
    fallback: '000',
    placeholder: 'XYZ',
    pattern: /^[0-2]{1,3}$/,
    expected: 'up to three digits from 0 to 2',
  }),

  // Objects: bytes by name.
  metadata: text({
    doc:
      'Where the names of objects are kept: `postgres://USER:PASSWORD@HOST/DATABASE`, or a directory for SQLite. ' +
      'Several processes can share them only on PostgreSQL.',
    fallback: '',
    fallbackDoc: '`meta` in the first data directory; for a name server that directory itself',
    placeholder: 'URL',
    // A scheme with a slip in it would be made as a directory.
    pattern: /^(postgres(ql)?:\/\/|(?![A-Za-z][\w+.-]*:\/))/,
    expected: 'a directory, or postgres://USER:PASSWORD@HOST/DATABASE',
    secret: true,
  }),
  journal: flag({
    doc:
      'With SQLite: keep a copy of all names in the volumes too, at most a second behind, so that they can be brought back ' +
      'when their file is lost. `--no-journal` keeps none.',
    fallback: true,
  }),
  lifecycleDayMs: duration({
    doc: 'How long a day of lifecycle rules is. Shorter ones are for trials.',
    fallback: 86_400_000,
    min: 1_000,
    max: 86_400_000,
  }),
  garbageDelayMs: duration({
    doc: 'The bytes of what was deleted or replaced are kept so long, for those who still read them.',
    fallback: limits.GARBAGE_DELAY_MS,
    min: 0,
    max: 7 * 86_400_000,
  }),
  s3Region: text({
    doc: 'Region that S3 requests are signed for, and that buckets say they are in.',
    fallback: 'us-east-1',
    placeholder: 'NAME',
    pattern: /^[a-z0-9-]{1,64}$/,
    expected: 'lower case letters, digits and hyphens',
  }),
  s3Domain: list({
    doc: 'Domains of S3: a request to BUCKET.DOMAIN is for that bucket, as one to DOMAIN/BUCKET is.',
    fallback: [],
    placeholder: 'DOMAIN,…',
    pattern: /^[a-z0-9.-]{1,253}$/,
    expected: 'domain names in lower case',
  }),
  s3WebsiteDomain: list({
    doc: 'Domains of websites: BUCKET.DOMAIN shows that bucket as a website, at the port of S3 and at `--website`. None of `--s3-domain`.',
    fallback: [],
    placeholder: 'DOMAIN,…',
    pattern: /^[a-z0-9.-]{1,253}$/,
    expected: 'domain names in lower case',
  }),
  sigv2: flag({
    doc: 'Take requests that are signed the old way, with AWS signature version 2. `--no-sigv2` refuses them.',
    fallback: true,
  }),
  rootAccessKey: text({
    doc: 'Access key of the account that may do everything. Set it together with `--root-secret-key`.',
    fallback: '',
    fallbackDoc: 'made at the first start, and kept in `root.credentials` in the first data directory',
    placeholder: 'KEY',
    pattern: /^[A-Za-z0-9_.-]{3,128}$/,
    expected: '3 to 128 letters, digits, `_`, `.` or `-`',
  }),
  rootSecretKey: text({
    doc: 'Secret of `--root-access-key`, at least 8 characters. Better as a variable than as a flag, which others can see.',
    fallback: '',
    fallbackDoc: 'made with the access key',
    secret: true,
    pattern: /^[\x21-\x7e]{8,128}$/,
    expected: '8 to 128 characters without spaces',
  }),
  identities: text({
    doc: 'File of more accounts, with their access keys and policies (JSON).',
    fallback: '',
    placeholder: 'FILE',
  }),
  filerBuckets: flag({
    doc: 'The filer shows all buckets, below `/buckets`. It asks nobody who they are: only for a network that is trusted.',
    fallback: false,
  }),

  sfssFileLimitBytes: bytes({
    doc: 'Largest file of sfss. Files over it get 413.',
    fallback: limits.SFSS_FILE_BYTES_MAX_DEFAULT,
    min: KIB,
    max: 256 * MIB,
  }),

  maxValueBytes: bytes({
    doc: "Largest value of memcached's protocol.",
    fallback: limits.MEMCACHED_VALUE_BYTES_MAX_DEFAULT,
    min: KIB,
    max: 32 * MIB,
  }),
  flushAll: flag({
    doc: 'Take the command `flush_all` of memcached. `--no-flush-all` refuses it.',
    fallback: true,
  }),

  ...HASHSTORE_SETTINGS,
  ...OBJECTS_SETTINGS,
  ...REDUNDANCY_SETTINGS,

  ...CLUSTER_SETTINGS,
  ...ENCRYPTION_SETTINGS,
  ...SFSS_SETTINGS,
  ...S3_DOOR_SETTINGS,

  // Who may do what.
  jwtSigningKey: text({
    doc: 'Key of the tokens that writes and deletes must carry (HS256). Empty: none is asked for.',
    fallback: '',
    secret: true,
  }),
  jwtReadKey: text({
    doc: 'Key of the tokens that reads must carry (HS256). Empty: none is asked for.',
    fallback: '',
    secret: true,
  }),
  basicAuthFile: text({
    doc: 'File of `user:password` lines. With it, every request must carry one of them.',
    fallback: '',
    placeholder: 'FILE',
  }),

  // What it says.
  logLevel: choice(LOG_LEVELS, { doc: 'The least important lines that are logged.', fallback: 'info' }),
  logFormat: choice(LOG_FORMATS, {
    doc: 'Log lines as JSON, or short for people.',
    fallback: (machine) => (machine.logsToTerminal ? 'pretty' : 'json'),
    fallbackDoc: '`pretty` on a terminal, else `json`',
  }),

  ...COMMAND_SETTINGS,
} as const

export type SettingKey = keyof typeof SETTINGS

type ValueOf<S> = S extends Setting<infer T> ? T : never

/** All values, by key. A command gets those that it lists. */
export type Settings = { readonly [K in SettingKey]: ValueOf<(typeof SETTINGS)[K]> }

/** Settings of every command: how it logs. */
export const COMMON_SETTINGS = ['logLevel', 'logFormat'] as const satisfies readonly SettingKey[]

/** What a command that lists the keys `K` is given. Frozen. */
export type Config<K extends SettingKey> = Pick<Settings, K | (typeof COMMON_SETTINGS)[number]>

/** Conditions over several settings, checked once all are read. Throws `UsageError`. */
export function checkTogether(values: Partial<Settings>): void {
  const { tlsCert, tlsKey, clusterSecret, rootAccessKey, rootSecretKey } = values
  if (tlsCert !== undefined && (tlsCert === '') !== (tlsKey === '')) {
    throw new UsageError('--tls-cert and --tls-key go together')
  }
  checkPortsDiffer(values)
  if (rootAccessKey !== undefined && (rootAccessKey === '') !== (rootSecretKey === ''))
    throw new UsageError('--root-access-key and --root-secret-key go together')
  if (clusterSecret && Buffer.byteLength(clusterSecret) < CLUSTER_SECRET_BYTES_MIN) {
    throw new UsageError(`the cluster secret must have at least ${CLUSTER_SECRET_BYTES_MIN} bytes`)
  }
}

const DOOR_PORTS = ['masterPort', 'volumePort', 'filerPort', 's3Port', 'sfssPort', 'memcachedPort'] as const

function checkPortsDiffer(values: Partial<Settings>): void {
  const seen = new Map<number, SettingKey>()
  for (const key of [...DOOR_PORTS, 'hashstorePort', 'objectsPort'] as const) {
    const port = values[key]
    if (port === undefined || port === 0) continue
    const other = seen.get(port)
    if (other !== undefined) throw new UsageError(`--${nameOf(other)} and --${nameOf(key)} must differ`)
    seen.set(port, key)
  }
}

/** The name of a setting in flags (`--volume-size-limit`) and in the file (`volume-size-limit`). */
export function nameOf(key: SettingKey): string {
  const { unit } = SETTINGS[key]
  const words = unit !== '' && key.endsWith(unit) ? key.slice(0, -unit.length) : key
  return words.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The name of a setting's environment variable: `CAIRN_VOLUME_SIZE_LIMIT`. */
export function variableOf(key: SettingKey): string {
  return `CAIRN_${nameOf(key).replaceAll('-', '_').toUpperCase()}`
}
