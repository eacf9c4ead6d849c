/**
 * `cairn volume`: keeps files, and reports to the masters. With an action behind it, `cairn volume check`, it looks after
 * volumes instead: those in a directory that no server uses, or those of a running store. An action is a file in
 * `volume-actions/` and a line in the table here.
 */
import { type Command, defineCommand } from '../command.ts'
import { ownDirectories, untilAborted } from '../roles/directories.ts'
import { readDoorSecrets } from '../roles/doors.ts'
import { layOut } from '../roles/layout.ts'
import { startVolumeServer } from '../roles/volume-role.ts'
import { DOOR_SETTINGS, VOLUME_SETTINGS } from '../server-settings.ts'
import { adopt } from '../volume-actions/adopt.ts'
import { check } from '../volume-actions/check.ts'
import { compact } from '../volume-actions/compact.ts'
import { copy } from '../volume-actions/copy.ts'
import { deleteVolumes } from '../volume-actions/delete.ts'
import { exportFiles } from '../volume-actions/export.ts'
import { fix } from '../volume-actions/fix.ts'
import { list } from '../volume-actions/list.ts'
import { move } from '../volume-actions/move.ts'
import { readonly, writable } from '../volume-actions/readonly.ts'
import { vacuum } from '../volume-actions/vacuum.ts'

const actions: readonly Command<never>[] = [
  check,
  fix,
  compact,
  exportFiles,
  copy,
  adopt,
  list,
  vacuum,
  readonly,
  writable,
  move,
  deleteVolumes,
]

export const volume = defineCommand({
  name: 'volume',
  summary: 'Run a volume server, which keeps the files',
  settings: ['dir', 'ip', 'port', 'publicUrl', 'master', ...VOLUME_SETTINGS, ...DOOR_SETTINGS],
  actions,
  async run(config, context) {
    const directories = ownDirectories(layOut(config.dir, config.layout), context.log)
    try {
      const running = await startVolumeServer(
        {
          config,
          secrets: readDoorSecrets(config, context.random, context.machine.configDir),
          directories: directories.paths,
          listen: { host: config.ip, port: config.port },
          publicUrl: config.publicUrl,
          masters: config.bus === '' ? [...config.master] : [],
        },
        context,
      )
      await untilAborted(context.signal)
      await running.stop()
    } finally {
      directories.release()
    }
    return 0
  },
})
