/** What defaults of settings may depend on: facts of the machine, gathered once, so that tests can give others. */
import { availableParallelism, homedir, totalmem } from 'node:os'
import { join } from 'node:path'

export interface Machine {
  cpus: number
  memoryBytes: number
  /** The user's folder for settings of programs. */
  configDir: string
  /** The user's folder for what programs can do without. */
  cacheDir: string
  /** Log lines go to a person's terminal. */
  logsToTerminal: boolean
}

export function thisMachine(env: NodeJS.ProcessEnv, logsToTerminal: boolean): Machine {
  // Inside a container with a memory limit the machine's own memory says nothing.
  const limitBytes = process.constrainedMemory()
  const memoryBytes = limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem()
  const configDir = join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'cairn')
  const cacheDir = join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cairn')
  return { cpus: availableParallelism(), memoryBytes, configDir, cacheDir, logsToTerminal }
}
