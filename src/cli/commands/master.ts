/** `cairn master`: wires the parts of this role. */
import { StoreError } from '../../base/errors.ts'
import { defineCommand } from '../command.ts'
import { DOOR_SETTINGS, MASTER_SETTINGS } from '../server-settings.ts'

export const master = defineCommand({
  name: 'master',
  summary: 'Run a master, which gives out file ids and knows where volumes are',
  settings: ['data', 'ip', 'port', 'publicUrl', ...MASTER_SETTINGS, ...DOOR_SETTINGS],
  async run(_config, _context) {
    throw new StoreError('unsupported', 'master is not there yet')
  },
})
