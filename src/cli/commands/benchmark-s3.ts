/** `cairn benchmark s3`: measures an S3 server, this one or any other, with signed requests. */
import { formatReport, reportToJson } from '../../bench/report.ts'
import { runS3Benchmark } from '../../bench/s3-benchmark.ts'
import { progressOutput } from '../client-settings.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../usage-error.ts'

export const benchmarkS3 = defineCommand({
  name: 's3',
  summary: 'Measure an S3 server: put objects, then get them in random order',
  settings: [
    's3Server',
    'accessKey',
    'secretKey',
    's3Region',
    'bucket',
    'requests',
    'sizeBytes',
    'concurrency',
    'write',
    'read',
    'verify',
    'timeoutMs',
    'json',
  ],
  async run(config, context) {
    const { s3Server: address, s3Region: region, accessKey, secretKey, ...options } = config
    if (!config.write && !config.read) throw new UsageError('--no-write and --no-read leave nothing to do')
    if (accessKey === '' || secretKey === '') throw new UsageError('--access-key and --secret-key are needed')
    const phases = await runS3Benchmark(
      { ...options, address, region, key: { accessKey, secretKey } },
      {
        clock: context.clock,
        random: context.random,
        progress: progressOutput(context.stderr),
        signal: context.signal,
        onPhase: (figures) => {
          if (!config.json) context.stdout.write(`\n${formatReport(figures)}`)
        },
      },
    )
    const report = { server: address, sizeBytes: config.sizeBytes, phases: phases.map(reportToJson) }
    if (config.json) context.stdout.write(`${JSON.stringify(report)}\n`)
    return phases.some((phase) => phase.failed > 0) ? 1 : 0
  },
})
