/** `cairn server`: a master and a volume server in one process. */
import { defineCommand } from '../command.ts'
import { ownDirectories, untilAborted } from '../roles/directories.ts'
import { parseListen, reachableAt, readDoorSecrets } from '../roles/doors.ts'
import { startMaster } from '../roles/master-role.ts'
import { startVolumeServer } from '../roles/volume-role.ts'
import { DOOR_SETTINGS, MASTER_SETTINGS, VOLUME_SETTINGS } from '../server-settings.ts'

const DOORS = ['master', 'volume']

export const server = defineCommand({
  name: 'server',
  summary: 'Run everything in one process: a master and a volume server',
  settings: [
    'data',
    'ip',
    'masterPort',
    'volumePort',
    'listen',
    'publicUrl',
    ...VOLUME_SETTINGS,
    ...MASTER_SETTINGS,
    ...DOOR_SETTINGS,
  ],
  async run(config, context) {
    const named = parseListen(config.listen, DOORS)
    const directories = ownDirectories(config.data)
    const [first] = directories.paths as [string, ...string[]]
    try {
      const secrets = readDoorSecrets(config, context.random, first)
      const master = await startMaster(
        {
          config,
          secrets,
          directory: first,
          listen: named.get('master') ?? { host: config.ip, port: config.masterPort },
          publicUrl: '',
        },
        context,
      )
      const volume = await startVolumeServer(
        {
          config,
          secrets,
          directories: directories.paths,
          listen: named.get('volume') ?? { host: config.ip, port: config.volumePort },
          publicUrl: config.publicUrl,
          masters: [reachableAt(master.address)],
        },
        context,
      )
      context.log.info(
        { master: reachableAt(master.address), volume: reachableAt(volume.address), data: directories.paths },
        'ready',
      )
      await untilAborted(context.signal)
      await volume.stop()
      await master.stop()
    } finally {
      directories.release()
    }
    return 0
  },
})
