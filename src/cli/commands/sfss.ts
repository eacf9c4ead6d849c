/**
 * `cairn sfss`: the small-file service in a process of its own: on the volumes of a cluster and names in PostgreSQL, or with
 * `--storage` on servers of memcached's protocol.
 */
import { defineCommand } from '../command.ts'
import { runSfssOnNodes } from '../roles/sfss-role.ts'
import { runStateless } from '../roles/stateless-role.ts'
import { DOOR_SETTINGS, OBJECT_SETTINGS, SERVING_SETTINGS, SFSS_DOOR_SETTINGS } from '../server-settings.ts'

export const sfss = defineCommand({
  name: 'sfss',
  summary: 'Run sfss alone, on a cluster with names in PostgreSQL or on memcached nodes (--storage)',
  settings: [
    ...SFSS_DOOR_SETTINGS,
    ...(['master', 'bus'] as const),
    ...SERVING_SETTINGS,
    ...OBJECT_SETTINGS,
    ...DOOR_SETTINGS,
  ],
  async run(config, context) {
    if (config.storage === '') await runStateless('sfss', { ...config, ip: config.host }, context)
    else await runSfssOnNodes(config, context)
    return 0
  },
})
