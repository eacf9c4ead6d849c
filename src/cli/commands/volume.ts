/** `cairn volume`: wires the parts of this role. */
import { StoreError } from '../../base/errors.ts'
import { defineCommand } from '../command.ts'
import { DOOR_SETTINGS, VOLUME_SETTINGS } from '../server-settings.ts'

export const volume = defineCommand({
  name: 'volume',
  summary: 'Run a volume server, which keeps the files',
  settings: ['dir', 'ip', 'port', 'publicUrl', 'master', ...VOLUME_SETTINGS, ...DOOR_SETTINGS],
  async run(_config, _context) {
    throw new StoreError('unsupported', 'volume is not there yet')
  },
})
