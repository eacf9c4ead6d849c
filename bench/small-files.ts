/**
 * Small files over HTTP by their ids, as ratios to nginx.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assignRanges, type CairnServer, preload } from './cairn-process.ts'
import { type Contender, type Measured, wrkContender } from './contenders.ts'
import type { NginxServer } from './nginx.ts'
import { freePort, startProcess, stopProcess, waitForHttp } from './processes.ts'
import type { Stage } from './stage.ts'
import { writeGetScript, writePostScript } from './wrk.ts'

export const KIB = 1024
export const SMALL_BYTES = KIB
/** The size of the files in the table that the project's benchmark takes after. */
const MEDIUM_BYTES = 50 * KIB
export const SMALL_FILES = 15_000
const MEDIUM_FILES = 1_000
/** Both servers have the same files. nginx keeps each of them open, and 20,000 open files is a usual limit. */
export const SMALL_NGINX_FILES: ReadonlyMap<number, number> = new Map([
  [SMALL_BYTES, SMALL_FILES],
  [MEDIUM_BYTES, MEDIUM_FILES],
])
/** Ids for the writes of one round: more than any server here can write in it. */
const POST_RANGES = 8
const POST_IDS_PER_SECOND = 200_000

export const NGINX_SMALL = 'nginx 1 KiB'
const NGINX_MEDIUM = 'nginx 50 KiB'
const REFERENCE = { passMark: 0, goal: 0 }

export async function smallFileContenders(stage: Stage): Promise<Contender[]> {
  const [nginx, batch, none] = [await stage.nginx(), await stage.cairn('batch'), await stage.cairn('none')]
  const small = await preload(batch, { files: SMALL_FILES, sizeBytes: SMALL_BYTES })
  const medium = await preload(batch, { files: MEDIUM_FILES, sizeBytes: MEDIUM_BYTES })
  const volumes = { url: batch.volumeUrl, pid: batch.pid }
  const against = NGINX_SMALL
  return [
    nginxSmall(stage, nginx),
    {
      ...getById(stage, '1 KiB GET', { server: volumes, paths: small }),
      against,
      passMark: 0.65,
      goal: 0.85,
    },
    { ...postById(stage, '1 KiB POST, sync none', none), against, passMark: 0.5, goal: 0.6 },
    { ...postById(stage, '1 KiB POST, sync batch', batch), against, passMark: 0.35, goal: 0.5 },
    { ...(await bareServer(stage, 'none')), against, ...REFERENCE },
    { ...(await bareServer(stage, 'batch')), against, ...REFERENCE },
    {
      ...getById(stage, NGINX_MEDIUM, { server: nginx, paths: nginx.paths.get(MEDIUM_BYTES)! }),
      ...REFERENCE,
      against: '',
    },
    {
      ...getById(stage, '50 KiB GET', { server: volumes, paths: medium }),
      ...{ against: NGINX_MEDIUM, passMark: 0.7, goal: 1 },
    },
  ]
}

/** The measure of the machine. */
export function nginxSmall(stage: Stage, nginx: NginxServer): Contender {
  const paths = nginx.paths.get(SMALL_BYTES)!
  return { ...getById(stage, NGINX_SMALL, { server: nginx, paths }), against: '', ...REFERENCE }
}

export function getById(
  { directory }: Stage,
  name: string,
  { server, paths }: { server: { url: string; pid: number }; paths: readonly string[] },
): Measured {
  const script = writeGetScript(directory, fileNameOf(name), paths)
  return wrkContender({ name, server, script: () => script })
}

/** Writes under ids that were assigned before, as forms or, with `isPut`, as they are. */
export function postById(
  { directory }: Stage,
  name: string,
  server: CairnServer,
  options: { isPut?: boolean } = {},
): Measured {
  return wrkContender({
    name,
    server: { url: server.volumeUrl, pid: server.pid },
    script: async (seconds) => {
      const idsEach = Math.ceil((POST_IDS_PER_SECOND * seconds) / POST_RANGES)
      const ranges = await assignRanges(server, { ranges: POST_RANGES, idsEach })
      return writePostScript(directory, fileNameOf(name), { ranges, contentBytes: SMALL_BYTES, ...options })
    },
  })
}

/** Starts `bare-server.ts`, the reference for durable writes. */
async function bareServer(stage: Stage, sync: string): Promise<Measured> {
  const name = `bare server, sync ${sync}`
  const ranges = [{ volumeId: 1, firstKey: 1, cookie: 0, count: Number.MAX_SAFE_INTEGER }]
  const script = writePostScript(stage.directory, fileNameOf(name), { ranges, contentBytes: SMALL_BYTES })
  return wrkContender({ name, server: await startBareServer(stage, sync), script: () => script })
}

/** `sync`: as the program's argument. */
export async function startBareServer(stage: Stage, sync: string): Promise<{ url: string; pid: number }> {
  const directory = join(stage.directory, `bare-${sync}`)
  mkdirSync(directory)
  const port = await freePort()
  const program = fileURLToPath(new URL('./bare-server.ts', import.meta.url))
  const child = startProcess(
    process.execPath,
    [program, directory, String(port), sync],
    ['ignore', 'ignore', 'inherit'],
  )
  stage.stops.push(() => stopProcess(child))
  const url = `http://127.0.0.1:${port}`
  await waitForHttp(child, url)
  return { url, pid: child.pid! }
}

export const fileNameOf = (name: string) => name.replaceAll(/[ ,]+/g, '-')
