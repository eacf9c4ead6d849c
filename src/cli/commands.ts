/** The commands, in the order of `cairn --help`. A new one is a file in `commands/` and a line here. */
import type { Command } from './command.ts'
import { backup } from './commands/backup.ts'
import { benchmark } from './commands/benchmark.ts'
import { cp } from './commands/cp.ts'
import { deleteFiles } from './commands/delete.ts'
import { download } from './commands/download.ts'
import { filer } from './commands/filer.ts'
import { fsck } from './commands/fsck.ts'
import { get } from './commands/get.ts'
import { hashstore } from './commands/hashstore.ts'
import { keys } from './commands/keys.ts'
import { ls } from './commands/ls.ts'
import { master } from './commands/master.ts'
import { memcached } from './commands/memcached.ts'
import { mv } from './commands/mv.ts'
import { objects } from './commands/objects.ts'
import { put } from './commands/put.ts'
import { restore } from './commands/restore.ts'
import { rm } from './commands/rm.ts'
import { s3 } from './commands/s3.ts'
import { server } from './commands/server.ts'
import { sfss } from './commands/sfss.ts'
import { sfssClient } from './commands/sfss-client.ts'
import { status } from './commands/status.ts'
import { upload } from './commands/upload.ts'
import { volume } from './commands/volume.ts'

export const COMMANDS: readonly Command<never>[] = [
  server,
  master,
  volume,
  filer,
  s3,
  sfss,
  memcached,
  objects,
  hashstore,
  status,
  put,
  get,
  ls,
  cp,
  mv,
  rm,
  upload,
  download,
  deleteFiles,
  sfssClient,
  benchmark,
  backup,
  restore,
  keys,
  fsck,
]

export interface NamedCommand {
  /** The words behind `cairn`: `volume check`. */
  name: string
  command: Command<never>
}

/** Every command and every action of one. */
export function allCommands(): NamedCommand[] {
  return COMMANDS.flatMap((command) => [
    { name: command.name, command },
    ...(command.actions ?? []).map((action) => ({ name: `${command.name} ${action.name}`, command: action })),
  ])
}
