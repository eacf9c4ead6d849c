/**
 * The commands, in the order of `cairn --help`. A new one is a file in `commands/` and a line here. Each is loaded when it is asked
 * for: who moves files need not load the servers.
 */
import type { Command } from './command.ts'

const LOADERS: Readonly<Record<string, () => Promise<Command<never>>>> = {
  server: async () => (await import('./commands/server.ts')).server,
  master: async () => (await import('./commands/master.ts')).master,
  volume: async () => (await import('./commands/volume.ts')).volume,
  filer: async () => (await import('./commands/filer.ts')).filer,
  s3: async () => (await import('./commands/s3.ts')).s3,
  sfss: async () => (await import('./commands/sfss.ts')).sfss,
  memcached: async () => (await import('./commands/memcached.ts')).memcached,
  objects: async () => (await import('./commands/objects.ts')).objects,
  hashstore: async () => (await import('./commands/hashstore.ts')).hashstore,
  status: async () => (await import('./commands/status.ts')).status,
  put: async () => (await import('./commands/put.ts')).put,
  get: async () => (await import('./commands/get.ts')).get,
  ls: async () => (await import('./commands/ls.ts')).ls,
  cp: async () => (await import('./commands/cp.ts')).cp,
  mv: async () => (await import('./commands/mv.ts')).mv,
  rm: async () => (await import('./commands/rm.ts')).rm,
  upload: async () => (await import('./commands/upload.ts')).upload,
  download: async () => (await import('./commands/download.ts')).download,
  delete: async () => (await import('./commands/delete.ts')).deleteFiles,
  'sfss-client': async () => (await import('./commands/sfss-client.ts')).sfssClient,
  benchmark: async () => (await import('./commands/benchmark.ts')).benchmark,
  backup: async () => (await import('./commands/backup.ts')).backup,
  restore: async () => (await import('./commands/restore.ts')).restore,
  keys: async () => (await import('./commands/keys.ts')).keys,
  fsck: async () => (await import('./commands/fsck.ts')).fsck,
}

export const COMMAND_NAMES: readonly string[] = Object.keys(LOADERS)

/** The command of that name alone; all of them where there is none. */
export async function loadCommands(name: string | undefined): Promise<Command<never>[]> {
  const names = COMMAND_NAMES.filter((each) => each === name)
  return await Promise.all((names.length > 0 ? names : COMMAND_NAMES).map((each) => LOADERS[each]!()))
}

export interface NamedCommand {
  /** The words behind `cairn`: `volume check`. */
  name: string
  command: Command<never>
}

/** Every command and every action of one. */
export async function allCommands(): Promise<NamedCommand[]> {
  return (await loadCommands(undefined)).flatMap((command) => [
    { name: command.name, command },
    ...(command.actions ?? []).map((action) => ({ name: `${command.name} ${action.name}`, command: action })),
  ])
}
