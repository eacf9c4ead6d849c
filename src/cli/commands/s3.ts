/** `cairn s3`: S3 in a process of its own, on the volumes of a cluster and names in PostgreSQL. */
import { defineCommand } from '../command.ts'
import { runStateless } from '../roles/stateless-role.ts'
import { DOOR_SETTINGS, OBJECT_SETTINGS, SERVING_SETTINGS } from '../server-settings.ts'

export const s3 = defineCommand({
  name: 's3',
  summary: 'Run S3 alone, for a cluster with names in PostgreSQL',
  settings: [
    ...(['ip', 'port', 'website', 'monitor', 'master', 'bus'] as const),
    ...SERVING_SETTINGS,
    ...OBJECT_SETTINGS,
    ...DOOR_SETTINGS,
  ],
  async run(config, context) {
    await runStateless('s3', config, context)
    return 0
  },
})
