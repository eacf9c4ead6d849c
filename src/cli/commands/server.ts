/** `cairn server`: wires the parts of this role. */
import { StoreError } from '../../base/errors.ts'
import { defineCommand } from '../command.ts'
import { DOOR_SETTINGS, MASTER_SETTINGS, VOLUME_SETTINGS } from '../server-settings.ts'

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
  async run(_config, _context) {
    throw new StoreError('unsupported', 'server is not there yet')
  },
})
