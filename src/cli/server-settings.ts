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

export const MASTER_SETTINGS = [
  'volumeSizeLimitBytes',
  'garbageThreshold',
  'defaultReplication',
  'heartbeatMs',
] as const satisfies readonly SettingKey[]

export const VOLUME_SETTINGS = [
  'workers',
  'sync',
  'gzip',
  'fixJpegOrientation',
  'readMode',
  'maxVolumes',
  'fileSizeLimitBytes',
  'bodyInFlightBytes',
  'volumeSizeLimitBytes',
  'garbageThreshold',
  'scrubRateBytes',
  'scrubPeriodMs',
  'ballastBytes',
  'indexMemoryBytes',
  'dataCenter',
  'rack',
  'heartbeatMs',
] as const satisfies readonly SettingKey[]
