/** `cairn server`: everything in one process: master, volumes, and the doors of names. */
import { MemcachedCounters } from '../../protocols/memcached/memcached-counters.ts'
import { defineCommand } from '../command.ts'
import { type HostPort, parseHostPort, parseListen } from '../roles/doors.ts'
import { runStore } from '../roles/store-role.ts'
import type { ObjectDoor } from '../roles/thread-data.ts'
import { DOOR_SETTINGS, MASTER_SETTINGS, OBJECT_SETTINGS, VOLUME_SETTINGS } from '../server-settings.ts'

const DOORS = ['master', 'volume', 'filer', 's3', 'sfss', 'memcached', 'hashstore', 'objects']
/** Doors that ask nobody who they are open beyond this machine only when they are named. */
const LOOPBACK = '127.0.0.1'

export const server = defineCommand({
  name: 'server',
  summary:
    'Run everything in one process: a master, a volume server, a filer, S3, sfss, memcached, a hash store and objects',
  settings: [
    'data',
    'ip',
    'masterPort',
    'volumePort',
    'filerPort',
    's3Port',
    'website',
    'sfssPort',
    'memcachedPort',
    'hashstorePort',
    'objectsPort',
    'maxValueBytes',
    'flushAll',
    'memcachedCacheBytes',
    'listen',
    'publicUrl',
    ...VOLUME_SETTINGS,
    ...MASTER_SETTINGS,
    ...OBJECT_SETTINGS,
    ...DOOR_SETTINGS,
  ],
  async run(config, context) {
    const named = parseListen(config.listen, DOORS)
    const doors = new Map<ObjectDoor, HostPort>([
      ['filer', named.get('filer') ?? { host: LOOPBACK, port: config.filerPort }],
      ['s3', named.get('s3') ?? { host: config.ip, port: config.s3Port }],
      ['sfss', named.get('sfss') ?? { host: LOOPBACK, port: config.sfssPort }],
      ['hashstore', named.get('hashstore') ?? { host: LOOPBACK, port: config.hashstorePort }],
      ['objects', named.get('objects') ?? { host: LOOPBACK, port: config.objectsPort }],
    ])
    if (config.website !== '') doors.set('website', parseHostPort(config.website))
    const memcached = {
      counters: MemcachedCounters.share(),
      valueBytesMax: config.maxValueBytes,
      allowsFlush: config.flushAll,
      cacheBytesMax: config.memcachedCacheBytes,
      idleTimeoutMs: config.idleTimeoutMs,
    }
    await runStore(
      {
        ...{ config, doors, publicUrl: config.publicUrl },
        master: named.get('master') ?? { host: config.ip, port: config.masterPort },
        volume: named.get('volume') ?? { host: config.ip, port: config.volumePort },
        memcached: {
          listen: named.get('memcached') ?? { host: LOOPBACK, port: config.memcachedPort },
          data: memcached,
        },
      },
      context,
    )
    return 0
  },
})
