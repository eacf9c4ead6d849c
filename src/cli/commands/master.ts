/** `cairn master`: gives out file ids and knows where volumes are. */
import { defineCommand } from '../command.ts'
import { ownDirectories, untilAborted } from '../roles/directories.ts'
import { readDoorSecrets } from '../roles/doors.ts'
import { startMaster } from '../roles/master-role.ts'
import { DOOR_SETTINGS, MASTER_SETTINGS } from '../server-settings.ts'

export const master = defineCommand({
  name: 'master',
  summary: 'Run a master, which gives out file ids and knows where volumes are',
  settings: ['data', 'ip', 'port', 'publicUrl', ...MASTER_SETTINGS, ...DOOR_SETTINGS],
  async run(config, context) {
    const directories = ownDirectories(config.data, context.log)
    try {
      const running = await startMaster(
        {
          config,
          secrets: readDoorSecrets(config, context.random, context.machine.configDir),
          directory: directories.paths[0] as string,
          listen: { host: config.ip, port: config.port },
          publicUrl: config.publicUrl,
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
