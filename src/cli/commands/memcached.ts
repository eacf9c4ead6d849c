/** `cairn memcached`: a storage node that speaks memcached's protocol, with volumes of its own and nothing else. */
import { defineCommand } from '../command.ts'
import { runMemcached } from '../roles/memcached-role.ts'
import { MEMCACHED_SETTINGS } from '../server-settings.ts'

export const memcached = defineCommand({
  name: 'memcached',
  summary: "Run a storage node that speaks memcached's protocol, alone",
  settings: MEMCACHED_SETTINGS,
  async run(config, context) {
    await runMemcached(config, context)
    return 0
  },
})
