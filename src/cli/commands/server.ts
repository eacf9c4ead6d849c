/** `cairn server`: everything in one process: master, volumes, and the doors of names. */

import { redundanciesOf } from '../../objects/redundancy-rules.ts'
import { MemcachedCounters } from '../../protocols/memcached/memcached-counters.ts'
import type { Context } from '../command.ts'
import { defineCommand } from '../command.ts'
import { type RedundancyConfig, redundancyRules } from '../redundancy-settings.ts'
import { ownDirectories, SHARD_DIRECTORIES, shardDirectories, untilAborted } from '../roles/directories.ts'
import { type HostPort, parseHostPort, parseListen, reachableAt, readDoorSecrets } from '../roles/doors.ts'
import { layOut } from '../roles/layout.ts'
import { startMaster } from '../roles/master-role.ts'
import { readObjectsRole } from '../roles/objects-role.ts'
import type { ObjectDoor } from '../roles/thread-data.ts'
import { type RunningVolumes, startVolumeServer } from '../roles/volume-role.ts'
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
    const directories = ownDirectories(layOut(config.data, config.layout))
    const [first] = directories.paths as [string, ...string[]]
    try {
      const shards = directoriesForShards(config, directories.paths, context)
      const secrets = readDoorSecrets(config, context.random, first)
      const doors = new Map<ObjectDoor, HostPort>([
        ['filer', named.get('filer') ?? { host: LOOPBACK, port: config.filerPort }],
        ['s3', named.get('s3') ?? { host: config.ip, port: config.s3Port }],
        ['sfss', named.get('sfss') ?? { host: LOOPBACK, port: config.sfssPort }],
        ['hashstore', named.get('hashstore') ?? { host: LOOPBACK, port: config.hashstorePort }],
        ['objects', named.get('objects') ?? { host: LOOPBACK, port: config.objectsPort }],
      ])
      if (config.website !== '') doors.set('website', parseHostPort(config.website))
      const objects = readObjectsRole(config, { directory: first, doors }, context)
      const master = await startMaster(
        {
          config,
          secrets,
          directory: first,
          listen: named.get('master') ?? { host: config.ip, port: config.masterPort },
          publicUrl: '',
        },
        context,
      )
      try {
        const volume = await startVolumeServer(
          {
            config,
            secrets,
            directories: directories.paths,
            shardDirectories: shards,
            listen: named.get('volume') ?? { host: config.ip, port: config.volumePort },
            publicUrl: config.publicUrl,
            masters: [reachableAt(master.address)],
            objects,
            memcached: {
              listen: named.get('memcached') ?? { host: LOOPBACK, port: config.memcachedPort },
              data: {
                counters: MemcachedCounters.share(),
                valueBytesMax: config.maxValueBytes,
                allowsFlush: config.flushAll,
                cacheBytesMax: config.memcachedCacheBytes,
                idleTimeoutMs: config.idleTimeoutMs,
              },
            },
          },
          context,
        )
        logReady(context, { master: master.address, volume, data: directories.paths })
        await untilAborted(context.signal)
        await volume.stop()
      } finally {
        await master.stop()
      }
    } finally {
      directories.release()
    }
    return 0
  },
})

/** Several on one disk do not make it safe, and whoever asks for redundancy should know. */
function directoriesForShards(
  config: RedundancyConfig,
  paths: readonly string[],
  { log }: Context,
): string[] {
  const rules = redundancyRules(config)
  const isAsked = [...redundanciesOf(rules)].some((each) => each !== 'none')
  const wereThere = shardDirectories(paths, { make: false }).length > 0
  const shards = shardDirectories(paths, { make: isAsked })
  const isNews = !wereThere || rules.usual !== 'none' || config.bucketRedundancy.length > 0
  if (isAsked && isNews && paths.length < SHARD_DIRECTORIES) {
    log.info(
      { directories: shards },
      'fewer than six data directories: several shards lie on one disk, which protects from damage to the bytes, but not always from the loss of that disk',
    )
  }
  return shards
}

function logReady(
  { log }: Context,
  { master, volume, data }: { master: HostPort; volume: RunningVolumes; data: string[] },
): void {
  const doors = [...volume.doors].map(([door, at]) => [door, reachableAt(at)])
  log.info(
    {
      master: reachableAt(master),
      volume: reachableAt(volume.address),
      ...Object.fromEntries(doors),
      data,
    },
    'ready',
  )
}
