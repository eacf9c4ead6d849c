/**
 * `cairn objects`: objects with versions in a process of their own, on the volumes of a cluster and names in PostgreSQL. With an
 * action behind it, `cairn objects prune`, it looks after the objects of a running store.
 */
import { type Command, defineCommand } from '../command.ts'
import { orphans } from '../objects-actions/orphans.ts'
import { prune } from '../objects-actions/prune.ts'
import { verify } from '../objects-actions/verify.ts'
import { runStateless } from '../roles/stateless-role.ts'
import { DOOR_SETTINGS, OBJECT_SETTINGS, SERVING_SETTINGS } from '../server-settings.ts'

const actions: readonly Command<never>[] = [prune, verify, orphans]

export const objects = defineCommand({
  name: 'objects',
  summary: 'Run objects with versions alone, for a cluster with names in PostgreSQL, or look after them',
  settings: [
    ...(['host', 'port', 'monitor', 'master', 'bus'] as const),
    ...SERVING_SETTINGS,
    ...OBJECT_SETTINGS,
    ...DOOR_SETTINGS,
  ],
  actions,
  async run(config, context) {
    await runStateless('objects', { ...config, ip: config.host }, context)
    return 0
  },
})
