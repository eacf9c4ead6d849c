/** What a command is. Each file in `commands/` exports one; `commands.ts` lists them. */
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Config, SettingKey } from './config.ts'
import type { Machine } from './machine.ts'

/** The world as a command sees it. */
export interface Context {
  log: Log
  clock: Clock
  random: Random
  machine: Machine
  stdin: Readable
  /** Results. Log lines and progress go to `stderr`. `isTTY` and `columns` are there when it is a terminal. */
  stdout: Output
  stderr: Output
  /** Aborts at the first SIGINT or SIGTERM: finish what is in flight and return. The second one ends the process. */
  signal: AbortSignal
  /** Arguments that are not flags. */
  args: readonly string[]
}

export type Output = Writable & { isTTY?: boolean; columns?: number }

export interface Command<K extends SettingKey = SettingKey> {
  /** The word behind `cairn`. */
  name: string
  /** One line of `cairn --help`, without a full stop. */
  summary: string
  /** Arguments as `--help` shows them: `<file...>`, `[name]`. Empty where the command takes none. */
  usage?: string
  settings: readonly K[]
  /** Commands of its own behind the word, each with its own settings: `cairn volume check`. Without one of them, `run` runs. */
  actions?: readonly Command<never>[]
  /**
   * Resolves when the command is done: exit code 0, or the number it gives. A `StoreError` or anything else thrown is shown
   * and gives 1; a `UsageError` gives 2.
   */
  run(config: Config<K>, context: Context): Promise<number | undefined>
}

/** A command with its settings inferred from the list, ready for `commands.ts`. */
export function defineCommand<const K extends SettingKey>(command: Command<K>): Command<never> {
  return command as unknown as Command<never>
}
