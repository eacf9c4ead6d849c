/** `cairn hashstore serve`: one data server with its own directory. Inside, it is a whole store of which only this door is open. */
import { defineCommand } from '../command.ts'
import type { SettingKey } from '../config.ts'
import { readConfig } from '../read-config.ts'
import { ownDirectories, untilAborted } from '../roles/directories.ts'
import { readDoorSecrets } from '../roles/doors.ts'
import { startMaster } from '../roles/master-role.ts'
import { readObjectsRole } from '../roles/objects-role.ts'
import { startVolumeServer } from '../roles/volume-role.ts'
import { DOOR_SETTINGS, MASTER_SETTINGS, OBJECT_SETTINGS, VOLUME_SETTINGS } from '../server-settings.ts'

const OWN_SETTINGS = [
  ...(['dir', 'host', 'port', 'workers', 'sync', 'headerTimeoutMs', 'idleTimeoutMs'] as const),
  ...(['volumeSizeLimitBytes', 'maxVolumes', 'garbageThreshold', 'garbageDelayMs', 'journal'] as const),
  ...(['scrubRateBytes', 'scrubPeriodMs', 'ballastBytes', 'indexMemoryBytes'] as const),
] as const satisfies readonly SettingKey[]

/** Of the parts that nobody outside reaches: ports that the system chooses, on this machine. */
const INSIDE = { host: '127.0.0.1', port: 0 }
const SECRET_BYTES = 16

export const serve = defineCommand({
  name: 'serve',
  summary: 'Run a data server',
  settings: OWN_SETTINGS,
  async run(own, context) {
    const { machine, random, log, signal } = context
    const settings = [...VOLUME_SETTINGS, ...MASTER_SETTINGS, ...OBJECT_SETTINGS, ...DOOR_SETTINGS]
    const usual = readConfig({ command: 'server', settings, flags: {}, env: {}, file: undefined, machine })
    // Accounts are for S3, which is not open here.
    const root = { rootAccessKey: 'hashstore', rootSecretKey: random.bytes(SECRET_BYTES).toString('hex') }
    const config = { ...usual, ...own, ...root }
    const directories = ownDirectories(own.dir, log)
    const [directory] = directories.paths as [string, ...string[]]
    try {
      const secrets = readDoorSecrets(config, random, directory)
      const doors = new Map([['hashstore', { host: own.host, port: own.port }] as const])
      const objects = readObjectsRole(config, { directory, doors }, context)
      const master = await startMaster({ config, secrets, directory, listen: INSIDE, publicUrl: '' }, context)
      try {
        const { host, port } = master.address
        const masters = [`${host}:${port}`]
        const parts = { config, secrets, directories: directories.paths, masters, objects }
        const volumes = await startVolumeServer({ ...parts, listen: INSIDE, publicUrl: '' }, context)
        const door = volumes.doors.get('hashstore')!
        log.info({ hashstore: `${door.host}:${door.port}`, dir: directories.paths }, 'ready')
        await untilAborted(signal)
        await volumes.stop()
      } finally {
        await master.stop()
      }
    } finally {
      directories.release()
    }
    return 0
  },
})
