/** What the commands that use a store have in common: their settings, and the client and the output made from them. */
import { readFileSync } from 'node:fs'
import type { StoreError } from '../base/errors.ts'
import type { ProgressOutput } from '../bench/progress.ts'
import { CairnClient } from '../client/cairn-client.ts'
import type { Context, Output } from './command.ts'
import type { Config, SettingKey } from './config.ts'
import type { TransferOutput } from './transfer.ts'
import { UsageError } from './usage-error.ts'

export const CLIENT_SETTINGS = [
  'master',
  'https',
  'tlsCa',
  'basicAuth',
  'timeoutMs',
  'parallel',
] as const satisfies readonly SettingKey[]

export function makeClient(
  config: Config<(typeof CLIENT_SETTINGS)[number]>,
  context: Context,
  assignBatch = 1,
): CairnClient {
  const headers: Record<string, string> = {}
  if (config.basicAuth !== '') {
    headers.authorization = `Basic ${Buffer.from(config.basicAuth).toString('base64')}`
  }
  return new CairnClient({
    masters: config.master.map((address) => (config.https ? `https://${address}` : address)),
    timeoutMs: config.timeoutMs,
    connectionsPerHostMax: config.parallel,
    headers,
    assignBatch,
    ca: config.tlsCa === '' ? undefined : readCa(config.tlsCa),
    clock: context.clock,
    random: context.random,
  })
}

/** The file of `--tls-ca`. */
export function readCa(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new UsageError(`--tls-ca: ${(error as Error).message}`)
  }
}

/** Results as lines on stdout, progress and failures on stderr. */
export function transferOutput(context: Context): TransferOutput {
  // The lines of one turn go out together: thousands of small files would spend much of their time here.
  let lines = ''
  const flush = () => {
    context.stdout.write(lines)
    lines = ''
  }
  return {
    line: (text) => {
      if (lines === '') context.clock.soon(flush)
      lines += `${text}\n`
    },
    failure: (what: string, error: StoreError) => {
      context.stderr.write(`cairn: ${what}: ${error.message} (${error.code})\n`)
    },
    progress: progressOutput(context.stderr),
    clock: context.clock,
  }
}

export function progressOutput(output: Output): ProgressOutput {
  return { write: (text) => void output.write(text), isTerminal: output.isTTY === true }
}
