/** `cairn sfss`: the small-file service in a process of its own, on the volumes of a cluster and names in PostgreSQL. */
import { defineCommand } from '../command.ts'
import { runStateless } from '../roles/stateless-role.ts'
import { DOOR_SETTINGS, OBJECT_SETTINGS, SERVING_SETTINGS } from '../server-settings.ts'

export const sfss = defineCommand({
  name: 'sfss',
  summary: 'Run sfss alone, for a cluster with names in PostgreSQL',
  settings: ['host', 'port', 'master', 'bus', ...SERVING_SETTINGS, ...OBJECT_SETTINGS, ...DOOR_SETTINGS],
  async run(config, context) {
    await runStateless('sfss', { ...config, ip: config.host }, context)
    return 0
  },
})
