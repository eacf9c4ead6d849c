/** The commands, in the order of `cairn --help`. A new one is a file in `commands/` and a line here. */
import type { Command } from './command.ts'
import { master } from './commands/master.ts'
import { server } from './commands/server.ts'
import { volume } from './commands/volume.ts'

export const COMMANDS: readonly Command<never>[] = [server, master, volume]
