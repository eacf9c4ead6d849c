/**
 * `cairn sfss`: the small-file service in a process of its own: on a store that is its alone, on the volumes of a cluster and
 * names in PostgreSQL, or with `--storage` on servers of memcached's protocol.
 */
import { isPostgresUrl } from '../../meta/open-meta-store.ts'
import { defineCommand } from '../command.ts'
import { SETTINGS } from '../config.ts'
import { runSfssAlone, runSfssOnNodes } from '../roles/sfss-role.ts'
import { runStateless } from '../roles/stateless-role.ts'
import {
  DOOR_SETTINGS,
  MASTER_SETTINGS,
  OBJECT_SETTINGS,
  SFSS_DOOR_SETTINGS,
  VOLUME_SETTINGS,
} from '../server-settings.ts'

export const sfss = defineCommand({
  name: 'sfss',
  summary: 'Run sfss alone: on a store of its own, on a cluster, or on memcached nodes (--storage)',
  settings: [
    ...SFSS_DOOR_SETTINGS,
    ...(['master', 'data', 'masterPort', 'volumePort'] as const),
    ...VOLUME_SETTINGS,
    ...MASTER_SETTINGS,
    ...OBJECT_SETTINGS,
    ...DOOR_SETTINGS,
  ],
  async run(config, context) {
    const { storage, metadata, bus, master } = config
    const namesCluster = bus !== '' || String(master) !== String(SETTINGS.master.fallback)
    if (storage !== '') await runSfssOnNodes(config, context)
    else if (namesCluster || isPostgresUrl(metadata))
      await runStateless('sfss', { ...config, ip: config.host }, context)
    else await runSfssAlone(config, context)
    return 0
  },
})
