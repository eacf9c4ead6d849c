/** What encryption costs: objects of a bucket that encrypts them, as ratios to the same objects of one that does not. */
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignerV4 } from '../src/iam/sign.ts'
import { BENCH_KEY, type CairnServer } from './cairn-process.ts'
import { type Contender, wrkContender } from './contenders.ts'
import { signedGetScript, signedPutScript } from './signed-scripts.ts'
import type { Stage } from './stage.ts'

const KIB = 1024
const CONNECTIONS = 4
/** A round of large uploads is kept short: what it overwrites stays on the disk for a while. */
const LARGE_PUT_SECONDS_MAX = 2
const KEY = { accessKey: BENCH_KEY.accessKeyId, secretKey: BENCH_KEY.secretAccessKey }
const TRY_MS = 50
const TRIES_MAX = 200
const BUCKETS = ['plain', 'encrypted'] as const
const RULE =
  '<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>'
const CONFIGURATION = `<ServerSideEncryptionConfiguration><Rule>${RULE}</Rule></ServerSideEncryptionConfiguration>`

interface Size {
  name: string
  bytes: number
  files: number
  connections?: number
  putSecondsMax?: number
  passMark: number
  goal: number
}

const SIZES: readonly Size[] = [
  {
    ...{ name: '8 MiB', bytes: 8 * KIB * KIB, files: 8, connections: CONNECTIONS },
    ...{ putSecondsMax: LARGE_PUT_SECONDS_MAX, passMark: 0.6, goal: 0.8 },
  },
  { name: '1 KiB', bytes: KIB, files: 200, passMark: 0.5, goal: 0.8 },
]

export async function encryptionContenders(stage: Stage): Promise<Contender[]> {
  const server = await stage.cairn('batch')
  await untilItAnswers(server.s3Url)
  for (const bucket of BUCKETS) await ask(server, 'PUT', `/bench-${bucket}`)
  await ask(server, 'PUT', '/bench-encrypted', { query: [['encryption', '']], body: CONFIGURATION })
  const contenders: Contender[] = []
  for (const size of SIZES) {
    const paths = Array.from({ length: size.files }, (_, at) => `/${size.bytes}/${at}`)
    for (const bucket of BUCKETS)
      for (const path of paths)
        await ask(server, 'PUT', `/bench-${bucket}${path}`, { body: Buffer.alloc(size.bytes, 7) })
    contenders.push(...ofSize(stage, server, size, paths))
  }
  return contenders
}

function ofSize(stage: Stage, server: CairnServer, size: Size, paths: readonly string[]): Contender[] {
  const { directory } = stage
  const { bytes, connections, passMark, goal } = size
  const s3 = { url: server.s3Url, pid: server.pid }
  const place = { host: new URL(server.s3Url).host, key: KEY }
  const at = { server: s3, ...(connections === undefined ? {} : { connections }) }
  return (['GET', 'PUT'] as const).flatMap((method) =>
    BUCKETS.map((bucket) => {
      const name = (which: string) => `${size.name} S3 ${method}, ${which}`
      const file = `encryption-${method}-${bytes}-${bucket}`
      const named = paths.map((path) => `/bench-${bucket}${path}${method === 'PUT' ? '.new' : ''}`)
      const script = () =>
        method === 'GET'
          ? signedGetScript(directory, file, { ...place, paths: named })
          : signedPutScript(directory, file, { ...place, paths: named, sizeBytes: bytes })
      const { putSecondsMax } = size
      return {
        ...wrkContender({ name: name(bucket), ...at, script }),
        ...(bucket === 'plain'
          ? { against: '', passMark: 0, goal: 0 }
          : { against: name('plain'), passMark, goal }),
        ...(method === 'PUT' && putSecondsMax !== undefined ? { secondsMax: putSecondsMax } : {}),
      }
    }),
  )
}

/** S3 opens a moment after the volumes. Throws what keeps it from answering. */
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

/** One signed request. Throws for a reply that is not 200. */
async function ask(
  server: CairnServer,
  method: string,
  path: string,
  { query = [], body = '' }: { query?: [string, string][]; body?: string | Buffer } = {},
): Promise<void> {
  const { host } = new URL(server.s3Url)
  const bytes = Buffer.from(body)
  const signed = new SignerV4({ ...KEY, region: 'us-east-1' }).sign(
    { method, host, path, query, headers: [], body: bytes },
    Date.now(),
  )
  const headers = [...signed.headers, ['Content-Length', String(bytes.length)]].flat()
  await new Promise<void>((resolve, reject) => {
    const request = http.request(
      server.s3Url + signed.target,
      { method, headers, setHost: false },
      (reply) => {
        reply.resume()
        reply.once('end', () =>
          reply.statusCode === 200 ? resolve() : reject(new Error(`${method} ${path}: ${reply.statusCode}`)),
        )
      },
    )
    request.once('error', reject)
    request.end(bytes)
  })
}
