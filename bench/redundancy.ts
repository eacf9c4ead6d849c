/**
 * What shards cost: `rs-4-2` over six directories against the same objects in one piece, in one run; what reads cost while two
 * directories are lost; what the door of versions takes on top; and the room on disk that small objects take.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { shardIndexOf } from '../src/base/erasure-id.ts'
import { BENCH_KEY, type CairnServer, startCairn } from './cairn-process.ts'
import { type Contender, formatRows, type Row, takeTurns, wrkContender } from './contenders.ts'
import { busyShare, cleanUpAtExit, freePort, temporaryDirectory } from './processes.ts'
import { putAll } from './put-files.ts'
import { signedGetScript, signedPutScript } from './signed-scripts.ts'
import { writeGetScript, writeScript } from './wrk.ts'

const KIB = 1024
const KEY = { accessKey: BENCH_KEY.accessKeyId, secretKey: BENCH_KEY.secretAccessKey }
const DIRECTORIES = 6
/** Both of the data: what costs reads most. */
const LOST_SHARDS = [0, 1]
const PUTS_PER_SECOND = 6_000
const MEASURE = { against: '', passMark: 0, goal: 0 }
const BUSY_SHARE_MAX = 0.1
const DISK_SHARE_MAX = 1.75
const DISK_BYTES = 4 * KIB
const UNIQUE_BYTES = 16
const TRY_MS = 50
const TRIES_MAX = 200

interface Size {
  name: string
  bytes: number
  files: number
  connections: number
  get: number
  put: number
  /** A round of large uploads is kept short: what it overwrites stays on the disk for a while. */
  putSecondsMax?: number
}

const SIZES: readonly Size[] = [
  { name: '1 KiB', bytes: KIB, files: 2_000, connections: 16, get: 0.5, put: 0.25 },
  { name: '64 MiB', bytes: 64 * KIB * KIB, files: 3, connections: 2, get: 0.7, put: 0.6, putSecondsMax: 3 },
]

interface Store {
  name: string
  directories: string[]
  flags: string[]
  server: CairnServer
  /** Of `/objects`. */
  objectsUrl: string
}

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
    },
  })
  const busy = await busyShare()
  const options = {
    rounds: values.quick ? 2 : Number(values.rounds),
    seconds: values.quick ? 2 : Number(values.seconds),
    log: (line: string) => console.error(line),
  }
  const root = temporaryDirectory()
  const plain = await start(join(root, 'plain'), 'in one piece', 1, [])
  const coded = await start(join(root, 'coded'), 'rs-4-2', DIRECTORIES, ['--redundancy', 'rs-4-2'])
  const broken = await start(join(root, 'broken'), 'rs-4-2, two lost', DIRECTORIES, [
    '--redundancy',
    'rs-4-2',
  ])
  try {
    for (const store of [plain, coded, broken]) await fill(store)
    for (const size of SIZES) {
      const paths = pathsOf(size).map((path) => `/objects${path}`)
      await putAll(coded.objectsUrl, paths, () => randomBytes(size.bytes))
    }
    await lose(broken)
    const contenders = SIZES.flatMap((size) => ofSize(root, size, { plain, coded, broken }))
    const rows = await takeTurns(contenders, options)
    console.log(formatRows(rows))
    const share = await diskShare(coded, values.quick ? 5_000 : 100_000)
    console.log(
      `\nroom on disk of objects of 4 KiB: ${share.toFixed(3)} × their bytes (at most ${DISK_SHARE_MAX})`,
    )
    if (busy > BUSY_SHARE_MAX)
      console.log(
        `\nThe machine was ${Math.round(busy * 100)} % busy with other work: do not trust the ratios.`,
      )
    return isGood(rows) && share <= DISK_SHARE_MAX ? 0 : 1
  } finally {
    for (const { server } of [plain, coded, broken]) await server.stop()
    rmSync(root, { recursive: true, force: true })
  }
}

const isGood = (rows: readonly Row[]) => rows.every((row) => row.ratio >= row.passMark)

async function start(directory: string, name: string, count: number, flags: string[]): Promise<Store> {
  const directories = Array.from({ length: count }, (_, at) => join(directory, `d${at + 1}`))
  for (const each of directories) mkdirSync(each, { recursive: true })
  const port = String(await freePort())
  const all = ['--ballast', '0', '--objects-port', port, '--digest', 'optional', ...flags]
  const server = await startCairn({ directory: directories.join(','), flags: all })
  await untilItAnswers(server.filerUrl)
  return { name, directories, flags: all, server, objectsUrl: `http://127.0.0.1:${port}` }
}

/** The doors of names open a moment after the volumes. Throws what keeps them from answering. */
async function untilItAnswers(url: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await (await fetch(url)).arrayBuffer()
      return
    } catch (error) {
      if (tries === TRIES_MAX) throw error
      await sleep(TRY_MS)
    }
  }
}

const pathsOf = ({ bytes, files }: Size) => Array.from({ length: files }, (_, at) => `/${bytes}/${at}`)

async function fill({ server }: Store): Promise<void> {
  for (const size of SIZES) await putAll(server.filerUrl, pathsOf(size), randomBytes(size.bytes))
}

/** The volumes of two shards go, as with their disks, and the server starts again without them. */
async function lose(store: Store): Promise<void> {
  await store.server.stop()
  for (const directory of store.directories) {
    for (const name of readdirSync(directory)) {
      const volumeId = /^_objects_([0-9]+)/.exec(name)?.[1]
      if (volumeId !== undefined && LOST_SHARDS.includes(shardIndexOf(Number(volumeId))))
        rmSync(join(directory, name))
    }
  }
  store.server = await startCairn({ directory: store.directories.join(','), flags: store.flags })
  await untilItAnswers(store.server.filerUrl)
}

function ofSize(
  root: string,
  size: Size,
  { plain, coded, broken }: { plain: Store; coded: Store; broken: Store },
): Contender[] {
  const name = (method: string, store: Store) => `${size.name} S3 ${method}, ${store.name}`
  const seconds = size.putSecondsMax === undefined ? {} : { secondsMax: size.putSecondsMax }
  const against = (method: string, store: Store, passMark: number) => ({
    against: name(method, store),
    ...{ passMark, goal: passMark },
  })
  const get = (store: Store) => getContender(root, size, store, name('GET', store))
  const put = (store: Store) => putContender(root, size, store, name('PUT', store))
  return [
    { ...get(plain), ...MEASURE },
    { ...get(coded), ...against('GET', plain, size.get) },
    { ...get(broken), ...against('GET', coded, 0.5) },
    { ...put(plain), ...MEASURE, ...seconds },
    { ...put(coded), ...against('PUT', plain, size.put), ...seconds },
    { ...objectsGet(root, size, coded), ...against('GET', coded, 0) },
    { ...objectsPut(root, size, coded), ...against('PUT', coded, 0), ...seconds },
  ]
}

function objectsGet(root: string, size: Size, { objectsUrl, server }: Store) {
  const name = `${size.name} GET, /objects`
  const paths = pathsOf(size).map((path) => `/objects${path}`)
  const script = writeGetScript(root, fileOf(name), paths)
  const { connections } = size
  return wrkContender({
    name,
    server: { url: objectsUrl, pid: server.pid },
    connections,
    script: () => script,
  })
}

/** No two objects have the same bytes, for those would be kept once. */
function objectsPut(root: string, size: Size, { objectsUrl, server }: Store) {
  const name = `${size.name} PUT, /objects`
  const { connections, bytes, putSecondsMax } = size
  const body = join(root, `${fileOf(name)}.body`)
  writeFileSync(body, randomBytes(bytes - UNIQUE_BYTES))
  const names = putSecondsMax === undefined ? 2 ** 31 : size.files
  let round = 0
  const script = () =>
    writeScript(
      root,
      fileOf(name),
      `local file = io.open(${JSON.stringify(body)}, "rb")
local body = file:read("*a")
file:close()
local format, sent = string.format, 0
local head = " HTTP/1.1\\r\\nHost: bench\\r\\nContent-Length: ${bytes}\\r\\n\\r\\n"
request = function()
  sent = sent + 1
  return "PUT /objects/new/${putSecondsMax === undefined ? round : 0}/" .. sent % ${names} .. head .. format("%08d%08d", ${round++}, sent) .. body
end
`,
    )
  return wrkContender({ name, server: { url: objectsUrl, pid: server.pid }, connections, script })
}

const placeOf = ({ server }: Store) => ({ host: new URL(server.s3Url).host, key: KEY })
const fileOf = (name: string) => name.replaceAll(/[^A-Za-z0-9]+/g, '-')

function getContender(root: string, size: Size, store: Store, name: string) {
  const paths = pathsOf(size).map((path) => `/files${path}`)
  const { connections } = size
  const server = { url: store.server.s3Url, pid: store.server.pid }
  const script = () => signedGetScript(root, fileOf(name), { ...placeOf(store), paths })
  return wrkContender({ name, server, connections, script })
}

function putContender(root: string, size: Size, store: Store, name: string) {
  const { connections, bytes, putSecondsMax } = size
  const server = { url: store.server.s3Url, pid: store.server.pid }
  let round = 0
  const script = (seconds: number) => {
    const count = putSecondsMax === undefined ? PUTS_PER_SECOND * seconds : size.files
    const folder = putSecondsMax === undefined ? `new-${round++}` : 'new'
    const paths = Array.from({ length: count }, (_, at) => `/files/${folder}/${at % 200}/${at}`)
    return signedPutScript(root, fileOf(name), { ...placeOf(store), paths, sizeBytes: bytes })
  }
  return wrkContender({ name, server, connections, script })
}

/** What new small objects add to the files of volumes, in parts of their own bytes. */
async function diskShare({ server, directories }: Store, count: number): Promise<number> {
  const before = volumeBytes(directories)
  const paths = Array.from({ length: count }, (_, at) => `/disk/${at % 200}/${at}`)
  await putAll(server.filerUrl, paths, randomBytes(DISK_BYTES))
  return (volumeBytes(directories) - before) / (count * DISK_BYTES)
}

function volumeBytes(directories: readonly string[]): number {
  return directories
    .flatMap((directory) => readdirSync(directory).map((name) => ({ name, path: join(directory, name) })))
    .filter(({ name }) => name.startsWith('_objects_'))
    .reduce((sum, { path }) => sum + statSync(path).size, 0)
}

cleanUpAtExit()
process.exitCode = await main(process.argv.slice(2))
