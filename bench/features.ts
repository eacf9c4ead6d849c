/**
 * What the features of small files cost: the plain path with gzip and the orientation fix on and off, a photo made smaller
 * against `sharp` alone, and 10,000 files through `cairn upload -r` against the benchmark's writes.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CairnClient } from '../src/client/cairn-client.ts'
import { type CairnServer, preload, runCommand, startCairn } from './cairn-process.ts'
import { type Contender, type Measured, wrkContender } from './contenders.ts'
import { makePhoto, photoWidth } from './photo.ts'
import { getById, nginxSmall, postById, SMALL_BYTES, SMALL_FILES } from './small-files.ts'
import type { Stage } from './stage.ts'
import { writeScript } from './wrk.ts'

const UPLOAD_FILES = 10_000
const UPLOAD_DIRECTORIES = 100
const SHARP_ALONE = 'sharp alone, 12 MP'
const BENCHMARK = 'cairn benchmark volume, writes'
const MEASURE = { against: '', passMark: 0, goal: 0 }
/** With and without must be the same but for what the machine does. */
const SAME = { passMark: 0.95, goal: 1 }
const FLAGS = { on: ['--gzip', '--fix-jpeg-orientation'], off: ['--no-gzip', '--no-fix-jpeg-orientation'] }

export async function featureContenders(stage: Stage): Promise<Contender[]> {
  const start = async (sync: 'none' | 'batch', which: 'on' | 'off') => {
    const directory = join(stage.directory, `${sync}-${which}`)
    mkdirSync(directory)
    const server = await startCairn({ directory, flags: ['--sync', sync, ...FLAGS[which]] })
    stage.stops.push(() => server.stop())
    return server
  }
  const [on, off] = [await start('none', 'on'), await start('none', 'off')]
  const [batchOn, batchOff] = [await start('batch', 'on'), await start('batch', 'off')]
  const files = { files: SMALL_FILES, sizeBytes: SMALL_BYTES }
  const get = async (name: string, server: CairnServer) =>
    getById(stage, name, {
      server: { url: server.volumeUrl, pid: server.pid },
      paths: await preload(server, files),
    })
  const withIt = 'gzip and images on'
  return [
    nginxSmall(stage, await stage.nginx()),
    { ...(await get('1 KiB GET', off)), ...MEASURE },
    { ...(await get(`1 KiB GET, ${withIt}`, on)), against: '1 KiB GET', ...SAME },
    { ...postById(stage, '1 KiB POST, sync none', off), ...MEASURE },
    {
      ...postById(stage, `1 KiB POST, sync none, ${withIt}`, on),
      ...{ against: '1 KiB POST, sync none', ...SAME },
    },
    { ...postById(stage, '1 KiB POST, sync batch', batchOff), ...MEASURE },
    {
      ...postById(stage, `1 KiB POST, sync batch, ${withIt}`, batchOn),
      ...{ against: '1 KiB POST, sync batch', ...SAME },
    },
    ...(await photoContenders(stage, off)),
    ...uploadContenders(stage, batchOn),
  ]
}

async function photoContenders(stage: Stage, server: CairnServer): Promise<Contender[]> {
  const photo = await makePhoto()
  const path = join(stage.directory, 'photo.jpg')
  writeFileSync(path, photo)
  const client = new CairnClient({ masters: [server.master] })
  const { fid } = await client.upload(photo, { name: 'photo.jpg' })
  client.close()
  let turns = 0
  return [
    { ...sharpAlone(stage, path), ...MEASURE },
    {
      ...wrkContender({
        name: 'resize of a 12 MP JPEG',
        server: { url: server.volumeUrl, pid: server.pid },
        connections: 1,
        script: () => resizeScript(stage.directory, fid, turns++),
      }),
      // At most 1.3 times the cost.
      ...{ against: SHARP_ALONE, passMark: 0.77, goal: 1 },
    },
  ]
}

/** The same widths as `sharp` alone has; the height, which is never the limit, keeps every request out of the cache. */
function resizeScript(directory: string, fid: string, turn: number): string {
  const widths = Array.from({ length: 400 }, (_, n) => photoWidth(n)).join(',')
  return writeScript(
    directory,
    'resize',
    `local widths, sent = {${widths}}, 0
request = function()
  sent = sent + 1
  return "GET /${fid}?mode=fit&width=" .. widths[(sent - 1) % #widths + 1] .. "&height=" .. ${10_000 + turn * 1_000} + sent .. " HTTP/1.1\\r\\nHost: bench\\r\\n\\r\\n"
end
`,
  )
}

function sharpAlone(stage: Stage, path: string): Measured {
  const child = fork(fileURLToPath(new URL('./sharp-alone.ts', import.meta.url)))
  stage.stops.push(async () => void child.kill())
  return {
    name: SHARP_ALONE,
    pid: child.pid!,
    async run(seconds) {
      child.send({ path, seconds })
      const [requestsPerSecond] = (await once(child, 'message')) as [number]
      return { requestsPerSecond, errors: 0, p99Ms: Number.NaN }
    },
  }
}

function uploadContenders(stage: Stage, server: CairnServer): Contender[] {
  const folder = join(stage.directory, 'upload')
  for (let i = 0; i < UPLOAD_DIRECTORIES; i++) mkdirSync(join(folder, String(i)), { recursive: true })
  for (let i = 0; i < UPLOAD_FILES; i++) {
    const content = Buffer.alloc(SMALL_BYTES, 7)
    content.write(String(i))
    writeFileSync(join(folder, String(i % UPLOAD_DIRECTORIES), `${i}.bin`), content)
  }
  return [
    {
      ...{ name: BENCHMARK, pid: server.pid, ...MEASURE },
      async run() {
        const words = ['benchmark', 'volume', '--server', server.master, '-n', String(UPLOAD_FILES)]
        const { stdout } = await runCommand([...words, '--no-read', '--json'])
        const { phases } = JSON.parse(stdout) as {
          phases: [{ requestsPerSecond: number; failedRequests: number }]
        }
        const { requestsPerSecond, failedRequests: errors } = phases[0]
        return { requestsPerSecond, errors, p99Ms: Number.NaN, seconds: UPLOAD_FILES / requestsPerSecond }
      },
    },
    {
      ...{ name: '10,000 files by cairn upload -r', pid: server.pid },
      ...{ against: BENCHMARK, passMark: 0.6, goal: 0.8 },
      // Its start and its end count.
      async run() {
        const { stdout, seconds } = await runCommand(['upload', '--master', server.master, '-r', folder])
        const stored = stdout.split('\n').length - 1
        return {
          requestsPerSecond: stored / seconds,
          errors: UPLOAD_FILES - stored,
          p99Ms: Number.NaN,
          seconds,
        }
      },
    },
  ]
}
