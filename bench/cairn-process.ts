/** A real `cairn server` process, on free ports and a directory of its own. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../src/base/clock.ts'
import { parseFid } from '../src/base/fid.ts'
import { systemRandom } from '../src/base/random.ts'
import { runLoad } from '../src/bench/load.ts'
import { runVolumeBenchmark } from '../src/bench/volume-benchmark.ts'
import { CairnClient } from '../src/client/cairn-client.ts'
import { freePort, startProcess, stopProcess, waitForHttp } from './processes.ts'
import type { AssignedRange } from './wrk.ts'

/** What `bin/cairn` runs, on the same Node; without the shell between, so that the process is ours to watch and end. */
const PROGRAM = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))

/** The root key of the servers that are started here. */
export const BENCH_KEY = { accessKeyId: 'bench', secretAccessKey: 'bench-secret' }

export interface CairnServer {
  master: string
  volumeUrl: string
  filerUrl: string
  s3Url: string
  sfssUrl: string
  pid: number
  /** Milliseconds from the start of the process to the first answer. */
  startMs: number
  /** Memory that the process holds, in bytes. */
  residentBytes(): number
  stop(): Promise<void>
}

export async function startCairn(options: { directory: string; flags?: string[] }): Promise<CairnServer> {
  const masterPort = await freePort()
  const volumePort = await freePort()
  const filerPort = await freePort()
  const s3Port = await freePort()
  const sfssPort = await freePort()
  const args = [PROGRAM, 'server', '--data', options.directory, '--log-level', 'warn']
  args.push(
    '--master-port',
    String(masterPort),
    '--volume-port',
    String(volumePort),
    '--filer-port',
    String(filerPort),
    '--s3-port',
    String(s3Port),
    '--sfss-port',
    String(sfssPort),
    '--memcached-port',
    '0',
    '--hashstore-port',
    '0',
    '--objects-port',
    '0',
    '--root-access-key',
    BENCH_KEY.accessKeyId,
    '--root-secret-key',
    BENCH_KEY.secretAccessKey,
    ...(options.flags ?? []),
  )
  const child = startProcess(process.execPath, args, ['ignore', 'ignore', 'inherit'])
  const started = performance.now()
  const volumeUrl = `http://127.0.0.1:${volumePort}`
  try {
    await waitForHttp(child, `http://127.0.0.1:${masterPort}/dir/assign`)
    await waitForHttp(child, `${volumeUrl}/status`)
    // It knows nobody who does not sign.
    await waitForHttp(child, `http://127.0.0.1:${s3Port}`, { anyStatus: true })
  } catch (error) {
    await stopProcess(child)
    throw error
  }
  return {
    master: `127.0.0.1:${masterPort}`,
    volumeUrl,
    filerUrl: `http://127.0.0.1:${filerPort}`,
    s3Url: `http://127.0.0.1:${s3Port}`,
    sfssUrl: `http://127.0.0.1:${sfssPort}`,
    pid: child.pid!,
    startMs: performance.now() - started,
    residentBytes: () => residentBytesOf(child.pid!),
    stop: () => stopProcess(child),
  }
}

/** Runs a command of `cairn` to its end. Throws when it fails. */
export async function runCommand(words: string[]): Promise<{ stdout: string; seconds: number }> {
  const start = performance.now()
  const child = startProcess(process.execPath, [PROGRAM, ...words], ['ignore', 'pipe', 'ignore'])
  const ended = once(child, 'close')
  const stdout = await text(child.stdout!)
  const [code] = await ended
  if (code !== 0) throw new Error(`cairn ${words.join(' ')} ended with ${code}`)
  return { stdout, seconds: (performance.now() - start) / 1_000 }
}

/** What Linux says that a process holds in memory. */
function residentBytesOf(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return match === null ? Number.NaN : Number(match[1]) * 1024
}

/** Stores files of one size and gives their paths. */
export async function preload(
  server: CairnServer,
  options: { files: number; sizeBytes: number },
): Promise<string[]> {
  const { fids, phases } = await runVolumeBenchmark(
    {
      masters: [server.master],
      requests: options.files,
      sizeBytes: options.sizeBytes,
      concurrency: 16,
      write: true,
      read: false,
      fids: undefined,
      assignBatch: 100,
      deletePercent: 0,
      verify: true,
      timeoutMs: 5_000,
    },
    {
      threads: [{ run: (spec) => runLoad(spec, systemClock) }],
      clock: systemClock,
      random: systemRandom,
      progress: { write: () => undefined, isTerminal: true },
      onPhase: () => undefined,
    },
  )
  const { failed, failures } = phases[0]!
  if (failed > 0) throw new Error(`${failed} files could not be stored: ${JSON.stringify(failures)}`)
  return Array.from(fids.texts(), (fid) => `/${fid}`)
}

/** Reserves ids for the writes of one round, spread over volumes as the master gives them out. */
export async function assignRanges(
  server: CairnServer,
  options: { ranges: number; idsEach: number },
): Promise<AssignedRange[]> {
  const client = new CairnClient({ masters: [server.master] })
  try {
    const ranges: AssignedRange[] = []
    for (let i = 0; i < options.ranges; i++) {
      const { fid, count } = await client.assign({ count: options.idsEach })
      const { volumeId, keyHigh, keyLow, cookie } = parseFid(fid)
      ranges.push({ volumeId, firstKey: keyHigh * 2 ** 32 + keyLow, cookie, count })
    }
    return ranges
  } finally {
    client.close()
  }
}
