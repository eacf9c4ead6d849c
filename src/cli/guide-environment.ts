/**
 * The variables that a known guide to distributed object stores starts its servers with: they stand for settings of the same
 * meaning, where those are not given in another way.
 */
import type { Log } from '../base/log.ts'
import { UsageError } from './usage-error.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Of which settings they are the values, by command. */
const STANDS_FOR: Readonly<Record<string, { root?: string; address: 'listen' | 'ip' | 'host' }>> = {
  server: { root: 'CAIRN_DATA', address: 'listen' },
  volume: { root: 'CAIRN_DIR', address: 'ip' },
  objects: { address: 'host' },
}

/**
 * The environment with the settings that `LISTEN_ADDRESS`, `STORAGE_ROOT` and `RABBITMQ_SERVER` stand for in a command. Those
 * that are set themselves stay. Throws `UsageError`.
 */
export function withGuideVariables(command: string, env: Environment): Environment {
  const meaning = STANDS_FOR[command]
  if (meaning === undefined) return env
  const { LISTEN_ADDRESS: listen, STORAGE_ROOT: root, RABBITMQ_SERVER: bus } = env
  return {
    ...(listen ? addressSettings(meaning.address, listen) : {}),
    ...(root && meaning.root ? { [meaning.root]: root } : {}),
    ...(bus ? { CAIRN_BUS: bus } : {}),
    ...given(env),
  }
}

/** Says what of the guide's variables is not used. */
export function logUnusedGuideVariables(command: string, env: Environment, log: Log): void {
  if (STANDS_FOR[command] === undefined || !env.ES_SERVER) return
  log.info({ variable: 'ES_SERVER' }, 'not used: names and versions are kept where --metadata says')
}

function addressSettings(kind: 'listen' | 'ip' | 'host', text: string): Record<string, string> {
  const match = /^([^\s:,/]*|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text)
  if (match === null)
    throw new UsageError(`LISTEN_ADDRESS must be HOST:PORT or :PORT, not ${JSON.stringify(text)}`)
  // Without a host it is every address of the machine.
  const [host, port] = [match[1] || '0.0.0.0', match[2]!]
  if (kind === 'listen') return { CAIRN_LISTEN: `objects=${host}:${port}` }
  return { [kind === 'ip' ? 'CAIRN_IP' : 'CAIRN_HOST']: host.replace(/^\[|\]$/g, ''), CAIRN_PORT: port }
}

/** Without empty variables, which count as not set. */
function given(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value))
}
