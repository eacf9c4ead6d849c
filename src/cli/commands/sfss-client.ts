/** `cairn sfss-client`: sends a file or folder to sfss, or measures it. */
import { formatReport, reportToJson } from '../../bench/report.ts'
import { SfssBenchmark } from '../../bench/sfss-benchmark.ts'
import { SfssClient } from '../../client/sfss-client.ts'
import { HttpClient } from '../../net/http-client.ts'
import { type Context, defineCommand } from '../command.ts'
import { eachFile } from '../file-work.ts'
import { contentOf, statOf } from '../local-files.ts'
import { filesBelow } from '../transfer.ts'
import { UsageError } from '../usage-error.ts'

const NOISE_BYTES_MAX = 1024 * 1024

export const sfssClient = defineCommand({
  name: 'sfss-client',
  summary: 'Send a file or folder to sfss, or measure it with --benchmark',
  settings: [
    ...(['host', 'port', 'path', 'filepath', 'benchmark'] as const),
    ...(['requests', 'sizeBytes', 'concurrency', 'timeoutMs', 'json'] as const),
  ],
  async run(config, context) {
    const { host, port, path, filepath, benchmark, concurrency, timeoutMs } = config
    if (path === '') throw new UsageError('--path is missing: where sfss shall keep the file')
    if (filepath === '' && !benchmark) throw new UsageError('--filepath is missing: the file to send')
    if (config.json && !benchmark) throw new UsageError('--json goes with --benchmark')
    const http = new HttpClient({ timeoutMs, connectionsPerHostMax: concurrency })
    const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    const client = new SfssClient({ http, url: `http://${authority}` })
    try {
      if (!benchmark) return await sendAll(client, { path, filepath, concurrency }, context)
      const { clock, random, signal } = context
      const size = Math.min(config.sizeBytes, NOISE_BYTES_MAX)
      const content =
        filepath === '' ? Buffer.alloc(config.sizeBytes, random.bytes(size)) : contentOf(filepath)
      const bench = new SfssBenchmark({ ...config, client, content, clock, random, signal })
      const phases = [await bench.write(), await bench.read()]
      if (config.json) context.stdout.write(`${JSON.stringify({ phases: phases.map(reportToJson) })}\n`)
      else for (const phase of phases) context.stdout.write(`\n${formatReport(phase)}`)
      const isWhole = phases.every(({ completed }) => completed === config.requests)
      if (!isWhole && signal.aborted) context.stderr.write('cairn: interrupted\n')
      return isWhole ? 0 : 1
    } finally {
      http.close()
    }
  },
})

/** One line for each file that was stored. */
async function sendAll(
  client: SfssClient,
  { path, filepath, concurrency }: { path: string; filepath: string; concurrency: number },
  context: Context,
): Promise<number> {
  const files = statOf(filepath).isDirectory()
    ? await filesBelow(filepath, path)
    : [{ local: filepath, path }]
  return await eachFile(files, { parallel: concurrency, done: 'stored', context }, async (file) => {
    await client.post(file.path, contentOf(file.local))
    context.stdout.write(`${file.path}\n`)
  })
}
