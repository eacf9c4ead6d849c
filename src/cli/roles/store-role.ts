/** Starts a whole store in one process: a master, volumes, and the doors that are asked for. */
import { redundanciesOf } from '../../objects/redundancy-rules.ts'
import type { Context } from '../command.ts'
import type { Config } from '../config.ts'
import { type RedundancyConfig, redundancyRules } from '../redundancy-settings.ts'
import type { MASTER_SETTINGS, OBJECT_SETTINGS, VOLUME_SETTINGS } from '../server-settings.ts'
import { ownDirectories, SHARD_DIRECTORIES, shardDirectories, untilAborted } from './directories.ts'
import { type DoorConfig, type HostPort, reachableAt, readDoorSecrets } from './doors.ts'
import { layOut } from './layout.ts'
import { startMaster } from './master-role.ts'
import { readObjectsRole } from './objects-role.ts'
import type { ObjectDoor } from './thread-data.ts'
import { type RunningVolumes, startVolumeServer, type VolumeRole } from './volume-role.ts'

export interface StoreRole {
  config: DoorConfig &
    Config<
      | 'data'
      | (typeof VOLUME_SETTINGS)[number]
      | (typeof MASTER_SETTINGS)[number]
      | (typeof OBJECT_SETTINGS)[number]
    >
  master: HostPort
  volume: HostPort
  publicUrl: string
  doors: ReadonlyMap<ObjectDoor, HostPort>
  memcached?: VolumeRole['memcached']
}

/** What goes on beside a store, from when it is ready until it ends. */
type Beside = (volume: RunningVolumes) => Promise<{ told: object; close(): Promise<void> }>

const NOTHING: Beside = async () => ({ told: {}, async close() {} })

/** Serves until the process is told to end. Throws `UsageError`, `in_use`, `io_error`, `corrupt`. */
export async function runStore(role: StoreRole, context: Context, beside = NOTHING): Promise<void> {
  const { config, doors, memcached, publicUrl } = role
  const directories = ownDirectories(layOut(config.data, config.layout), context.log)
  const [first] = directories.paths as [string, ...string[]]
  try {
    const shards = directoriesForShards(config, directories.paths, context)
    const secrets = readDoorSecrets(config, context.random, first)
    const objects = readObjectsRole(config, { directory: first, doors }, context)
    const master = await startMaster(
      { config, secrets, directory: first, listen: role.master, publicUrl: '' },
      context,
    )
    try {
      const volume = await startVolumeServer(
        {
          ...{ config, secrets, publicUrl, objects },
          directories: directories.paths,
          shardDirectories: shards,
          listen: role.volume,
          masters: [reachableAt(master.address)],
          ...(memcached && { memcached }),
        },
        context,
      )
      try {
        const { told, close } = await beside(volume)
        logReady(context, { master: master.address, volume, told: { ...told, data: directories.paths } })
        await untilAborted(context.signal)
        await close()
      } finally {
        await volume.stop()
      }
    } finally {
      await master.stop()
    }
  } finally {
    directories.release()
  }
}

/** Shards on one disk do not make it safe, and whoever asks for redundancy should know. */
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
    const one = 'one data directory: shards protect from damage to the bytes, not from the loss of the disk'
    const few = 'fewer than six data directories: several shards lie on one disk, whose loss may be too much'
    log.info({ directories: shards }, paths.length === 1 ? one : few)
  }
  return shards
}

function logReady(
  { log }: Context,
  { master, volume, told }: { master: HostPort; volume: RunningVolumes; told: object },
): void {
  const doors = [...volume.doors].map(([door, at]) => [door, reachableAt(at)])
  const own = { master: reachableAt(master), volume: reachableAt(volume.address) }
  log.info({ ...own, ...Object.fromEntries(doors), ...told }, 'ready')
}
