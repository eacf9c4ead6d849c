/**
 * Files by name over HTTP: through the filer, as ratios to the same files by id, and through S3 with signed requests, as
 * ratios to nginx; objects of 8 MiB against nginx and against what one core needs to hash them.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { BENCH_KEY, type CairnServer, preload } from './cairn-process.ts'
import { type Contender, type Measured, wrkContender } from './contenders.ts'
import { putAll } from './put-files.ts'
import { signedGetScript, signedPutScript } from './signed-scripts.ts'
import {
  fileNameOf,
  getById,
  KIB,
  NGINX_SMALL,
  nginxSmall,
  postById,
  SMALL_BYTES,
  SMALL_FILES,
  startBareServer,
} from './small-files.ts'
import type { Stage } from './stage.ts'
import { writeFilerPutScript, writeGetScript } from './wrk.ts'

const LARGE_BYTES = 8 * KIB * KIB
const LARGE_FILES = 8
export const NAMES_NGINX_FILES: ReadonlyMap<number, number> = new Map([
  [SMALL_BYTES, SMALL_FILES],
  [LARGE_BYTES, LARGE_FILES],
])
const LARGE_CONNECTIONS = 4
/** A round of large uploads is kept short: what it overwrites stays on the disk for a while. */
const LARGE_PUT_SECONDS_MAX = 2
const DIRECTORIES = 200
/** Signed requests for the puts of one second: more than a server here can take; then the names come round again. */
const PUTS_PER_SECOND = 10_000
const GET_BY_ID = '1 KiB GET by id'
const PUT_BY_ID = '1 KiB PUT by id, sync batch'
const NGINX_LARGE = 'nginx 8 MiB'
const HASHING = 'MD5 and SHA-256 of 8 MiB, one core'
const MEASURE = { against: '', passMark: 0, goal: 0 }
const KEY = { accessKey: BENCH_KEY.accessKeyId, secretKey: BENCH_KEY.secretAccessKey }

export async function nameContenders(stage: Stage): Promise<Contender[]> {
  const [nginx, server] = [await stage.nginx(), await stage.cairn('batch')]
  const small = await preload(server, { files: SMALL_FILES, sizeBytes: SMALL_BYTES })
  const volumes = { url: server.volumeUrl, pid: server.pid }
  const names = Array.from({ length: SMALL_FILES }, (_, i) => `/small/${i % DIRECTORIES}/${i}.bin`)
  await putAll(server.filerUrl, names, Buffer.alloc(SMALL_BYTES, 1))
  return [
    nginxSmall(stage, nginx),
    { ...getById(stage, GET_BY_ID, { server: volumes, paths: small }), ...MEASURE },
    { ...filerGet(stage, server, names), against: GET_BY_ID, passMark: 0.6, goal: 0.8 },
    { ...postById(stage, PUT_BY_ID, server, { isPut: true }), ...MEASURE },
    { ...filerPut(stage, server), against: PUT_BY_ID, passMark: 0.4, goal: 0.6 },
    { ...s3Get(stage, server, names), against: NGINX_SMALL, passMark: 0.15, goal: 0.2 },
    { ...s3Put(stage, server), against: NGINX_SMALL, passMark: 0.08, goal: 0.1 },
    await bareWithNames(stage),
  ]
}

/**
 * After all rounds of small files: what uploads of 8 MiB overwrite, some GiB, is removed and compacted for minutes, and would be
 * measured with whatever comes next.
 */
export async function largeContenders(stage: Stage): Promise<Contender[]> {
  const [nginx, server] = [await stage.nginx(), await stage.cairn('batch')]
  const script = writeGetScript(stage.directory, 'large', nginx.paths.get(LARGE_BYTES)!)
  const connections = LARGE_CONNECTIONS
  const names = Array.from({ length: LARGE_FILES }, (_, i) => `/large/${i}`)
  await putAll(server.filerUrl, names, Buffer.alloc(LARGE_BYTES, 7))
  const s3 = { url: server.s3Url, pid: server.pid }
  const host = new URL(server.s3Url).host
  const { directory } = stage
  const get = (name: string) =>
    wrkContender({
      ...{ name, server: s3, connections },
      script: () => signedGetScript(directory, 's3-large-get', { host, key: KEY, paths: inBucket(names) }),
    })
  const put = (name: string) =>
    wrkContender({
      ...{ name, server: s3, connections },
      script: () =>
        signedPutScript(directory, 's3-large-put', {
          ...{ host, key: KEY, sizeBytes: LARGE_BYTES },
          paths: inBucket(names.map((path) => `${path}.new`)),
        }),
    })
  return [
    { ...wrkContender({ name: NGINX_LARGE, server: nginx, script: () => script, connections }), ...MEASURE },
    { ...get('8 MiB S3 GET, 4 connections'), against: NGINX_LARGE, passMark: 0.6, goal: 0.8 },
    { ...(await hashing(stage)), ...MEASURE, secondsMax: LARGE_PUT_SECONDS_MAX },
    {
      ...put('8 MiB S3 PUT, 4 connections'),
      ...{ against: HASHING, passMark: 0.7, goal: 1, secondsMax: LARGE_PUT_SECONDS_MAX },
    },
  ]
}

/** Paths of the filer as S3 has them. */
const inBucket = (paths: readonly string[]) => paths.map((path) => `/files${path}`)

function filerGet({ directory }: Stage, server: CairnServer, paths: readonly string[]): Measured {
  const script = writeGetScript(directory, 'filer-get', paths)
  const filer = { url: server.filerUrl, pid: server.pid }
  return wrkContender({ name: '1 KiB GET, filer', server: filer, script: () => script })
}

function filerPut({ directory }: Stage, server: CairnServer): Measured {
  return putByName({ directory }, '1 KiB PUT, filer, sync batch', { url: server.filerUrl, pid: server.pid })
}

/** The reference for durable writes that have names: `bare-server.ts`. */
export async function bareWithNames(stage: Stage): Promise<Contender> {
  const measured = putByName(stage, 'bare server with names', await startBareServer(stage, 'names'))
  return { ...measured, ...MEASURE, against: NGINX_SMALL }
}

function putByName(
  { directory }: Pick<Stage, 'directory'>,
  name: string,
  server: { url: string; pid: number },
): Measured {
  let round = 0
  return wrkContender({
    name,
    server,
    script: () =>
      writeFilerPutScript(directory, fileNameOf(name), {
        root: `/new/${round++}`,
        directories: DIRECTORIES,
        contentBytes: SMALL_BYTES,
      }),
  })
}

function s3Get({ directory }: Stage, server: CairnServer, paths: readonly string[]): Measured {
  const host = new URL(server.s3Url).host
  return wrkContender({
    name: '1 KiB S3 GET, signed',
    server: { url: server.s3Url, pid: server.pid },
    script: () => signedGetScript(directory, 's3-get', { host, key: KEY, paths: inBucket(paths) }),
  })
}

function s3Put({ directory }: Stage, server: CairnServer): Measured {
  const host = new URL(server.s3Url).host
  let round = 0
  const name = '1 KiB S3 PUT, signed, sync batch'
  return wrkContender({
    name,
    server: { url: server.s3Url, pid: server.pid },
    script: (seconds) => {
      const root = `/files/s3/${round++}`
      const paths = Array.from(
        { length: PUTS_PER_SECOND * seconds },
        (_, i) => `${root}/${i % DIRECTORIES}/${i}`,
      )
      return signedPutScript(directory, fileNameOf(name), { host, key: KEY, paths, sizeBytes: SMALL_BYTES })
    },
  })
}

/** Another process that does nothing but hash when it is told to. */
async function hashing(stage: Stage): Promise<Measured> {
  const child = fork(fileURLToPath(new URL('./hashing.ts', import.meta.url)))
  stage.stops.push(async () => void child.kill())
  return {
    name: HASHING,
    pid: child.pid!,
    async run(seconds) {
      child.send({ seconds, sizeBytes: LARGE_BYTES })
      const [requestsPerSecond] = (await once(child, 'message')) as [number]
      return { requestsPerSecond, errors: 0, p99Ms: 1_000 / requestsPerSecond }
    },
  }
}
