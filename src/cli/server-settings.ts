/** Groups of settings that several of the server commands share. */
import type { SettingKey } from './config.ts'

/** Everything that listens. */
export const DOOR_SETTINGS = [
  'tlsCert',
  'tlsKey',
  'headerTimeoutMs',
  'idleTimeoutMs',
  'basicAuthFile',
  'jwtSigningKey',
  'jwtReadKey',
  'clusterSecretFile',
  'clusterSecret',
] as const satisfies readonly SettingKey[]

/** How servers find each other. */
const BUS_SETTINGS = ['bus', 'busHeartbeatMs'] as const satisfies readonly SettingKey[]

export const MASTER_SETTINGS = [
  ...BUS_SETTINGS,
  'volumeSizeLimitBytes',
  'garbageThreshold',
  'repairAfterMs',
  'defaultReplication',
  'heartbeatMs',
] as const satisfies readonly SettingKey[]

/** The object layer and its doors. */
export const OBJECT_SETTINGS = [
  'redundancy',
  'bucketRedundancy',
  'storageClass',
  'metadata',
  'journal',
  'garbageDelayMs',
  'lifecycleDayMs',
  's3Region',
  's3Domain',
  's3WebsiteDomain',
  'sigv2',
  'encryptionKeys',
  'sseCOverHttp',
  'rootAccessKey',
  'rootSecretKey',
  'identities',
  'filerBuckets',
  'sfssFileLimitBytes',
  'digest',
] as const satisfies readonly SettingKey[]

/** sfss on servers of memcached's protocol. */
export const SFSS_DOOR_SETTINGS = [
  'host',
  'port',
  'storage',
  'copies',
  'monitor',
] as const satisfies readonly SettingKey[]

/** The threads that serve. */
export const SERVING_SETTINGS = [
  'workers',
  'sync',
  'bodyInFlightBytes',
] as const satisfies readonly SettingKey[]

export const VOLUME_SETTINGS = [
  ...SERVING_SETTINGS,
  ...BUS_SETTINGS,
  'gzip',
  'fixJpegOrientation',
  'readMode',
  'layout',
  'maxVolumes',
  'fileSizeLimitBytes',
  'volumeSizeLimitBytes',
  'garbageThreshold',
  'scrubRateBytes',
  'scrubPeriodMs',
  'repairPeriodMs',
  'ballastBytes',
  'indexMemoryBytes',
  'dataCenter',
  'rack',
  'heartbeatMs',
] as const satisfies readonly SettingKey[]

/** A storage node of memcached's protocol alone. */
export const MEMCACHED_SETTINGS = [
  'data',
  'ip',
  'port',
  'monitor',
  'maxValueBytes',
  'flushAll',
  'memcachedCacheBytes',
  'sync',
  'bodyInFlightBytes',
  'idleTimeoutMs',
  'maxVolumes',
  'volumeSizeLimitBytes',
  'garbageThreshold',
  'scrubRateBytes',
  'scrubPeriodMs',
  'ballastBytes',
  'indexMemoryBytes',
] as const satisfies readonly SettingKey[]
