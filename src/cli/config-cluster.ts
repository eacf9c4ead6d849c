/** How the servers of a cluster find and trust each other: a part of the table in `config.ts`. */
import * as limits from '../base/limits.ts'
import { CLUSTER_SECRET_BYTES_MIN } from '../base/limits.ts'
import { choice, duration, text } from './setting.ts'

export const CLUSTER_SETTINGS = {
  dataCenter: text({
    doc: 'Data center of this server.',
    fallback: 'DefaultDataCenter',
    placeholder: 'NAME',
  }),
  rack: text({ doc: 'Rack of this server.', fallback: 'DefaultRack', placeholder: 'NAME' }),
  heartbeatMs: duration({
    doc: 'Time between two reports of a volume server to its masters.',
    fallback: limits.HEARTBEAT_PERIOD_MS_DEFAULT,
    min: 50,
    max: 60_000,
  }),
  clusterSecretFile: text({
    doc: 'File with the secret that the servers of one cluster share. It is made at the first start.',
    fallback: '',
    fallbackDoc:
      '`cluster.secret` in the first data directory for `server`; elsewhere `~/.config/cairn/cluster.secret`',
    placeholder: 'FILE',
  }),
  clusterSecret: text({
    doc: `The cluster's secret itself, at least ${CLUSTER_SECRET_BYTES_MIN} bytes. Better as a variable than as a flag, which others can see.`,
    fallback: '',
    fallbackDoc: 'read from `cluster-secret-file`',
    secret: true,
  }),
  layout: choice(['volumes', 'files'], {
    doc:
      'What directories hold. `files`: each shard of an erasure-coded blob is a file that can be looked at, ' +
      '`objects/HASH.INDEX.SHARD_HASH`, and the volumes are in `.cairn` beside it. Much slower with small files.',
    fallback: 'volumes',
  }),
  bus: text({
    doc:
      'RabbitMQ, over which the servers of a cluster find each other: `amqp://USER:PASSWORD@HOST:PORT`. ' +
      'With it nobody needs to know the address of a master, and `--master` is not used.',
    fallback: '',
    placeholder: 'URL',
    secret: true,
    pattern: /^amqps?:\/\/[^\s/]+/,
    expected: 'amqp://USER:PASSWORD@HOST:PORT',
  }),
  busHeartbeatMs: duration({
    doc: 'Time between two reports of a volume server over the bus. One that misses two of them is out until it reports again.',
    fallback: limits.BUS_HEARTBEAT_PERIOD_MS_DEFAULT,
    min: 50,
    max: 60_000,
  }),
  repairAfterMs: duration({
    doc: 'A volume of an erasure group that was away for so long is made anew where there is room, and filled from the others.',
    fallback: limits.REPAIR_AFTER_MS_DEFAULT,
    min: 0,
    max: 366 * 86_400_000,
  }),
  repairPeriodMs: duration({
    doc: 'All volumes of each erasure group are compared at least so often. What is new is looked at all the time.',
    fallback: limits.SHARD_COMPARE_PERIOD_MS,
    min: 1_000,
    max: 366 * 86_400_000,
  }),
} as const
