/** What every role that listens needs: addresses, certificates, passwords, and the cluster's secret. */
import { existsSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { CLUSTER_SECRET_BYTES_MIN } from '../../base/limits.ts'
import type { Random } from '../../base/random.ts'
import type { HttpServerSettings } from '../../net/http-server.ts'
import type { Config } from '../config.ts'
import type { DOOR_SETTINGS } from '../server-settings.ts'
import { UsageError } from '../usage-error.ts'
import { writeOnce } from './write-once.ts'

export type DoorConfig = Config<(typeof DOOR_SETTINGS)[number]>

/** Files read and secrets found; may be posted to a thread. */
export interface DoorSecrets {
  tls: { cert: string; key: string } | undefined
  basicAuthText: string | undefined
  jwt: { writeKey?: string; readKey?: string }
  clusterSecret: string
}

export interface HostPort {
  host: string
  port: number
}

const GENERATED_SECRET_BYTES = 32
const SECRET_FILE = 'cluster.secret'

/** Reads the files that the settings name. `secretDirectory` is where a secret is made when there is none. */
export function readDoorSecrets(config: DoorConfig, random: Random, secretDirectory: string): DoorSecrets {
  const path = config.clusterSecretFile || join(secretDirectory, SECRET_FILE)
  return {
    ...readDoorFiles(config),
    jwt: { writeKey: config.jwtSigningKey || undefined, readKey: config.jwtReadKey || undefined },
    clusterSecret: config.clusterSecret || readOrMakeSecret(path, random),
  }
}

/** Of a door that belongs to no cluster: certificate and passwords. Throws `UsageError`. */
export function readDoorFiles(
  config: Config<'tlsCert' | 'tlsKey' | 'basicAuthFile'>,
): Pick<DoorSecrets, 'tls' | 'basicAuthText'> {
  const { tlsCert, tlsKey, basicAuthFile } = config
  const tls =
    tlsCert === ''
      ? undefined
      : { cert: readNamed('--tls-cert', tlsCert), key: readNamed('--tls-key', tlsKey) }
  return {
    tls,
    basicAuthText: basicAuthFile === '' ? undefined : readNamed('--basic-auth-file', basicAuthFile),
  }
}

/** The text of a file that a flag names. Throws `UsageError`. */
export function readNamed(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`${flag}: cannot read ${path}: ${(error as Error).message}`)
  }
}

/** The secret of a file; made, for this user's eyes only, by the first of several processes that start at once. */
function readOrMakeSecret(path: string, random: Random): string {
  if (!existsSync(path)) writeOnce(path, `${random.bytes(GENERATED_SECRET_BYTES).toString('hex')}\n`, random)
  return checkedSecret(path)
}

/** The secret that the servers of the cluster have, for commands that administrate them. It is never made here. */
export function readClusterSecret(
  config: Config<'clusterSecret' | 'clusterSecretFile'>,
  secretDirectory: string,
): string {
  if (config.clusterSecret !== '') return config.clusterSecret
  const usual = [join(secretDirectory, SECRET_FILE), join('data', SECRET_FILE)]
  const path = config.clusterSecretFile || usual.find((each) => existsSync(each))
  if (path === undefined || !existsSync(path)) {
    throw new UsageError(
      `no cluster secret in ${path ?? usual.join(' or ')}: name the file with --cluster-secret-file ` +
        `(\`cairn server\` keeps ${SECRET_FILE} in its first data directory)`,
    )
  }
  return checkedSecret(path)
}

function checkedSecret(path: string): string {
  const secret = readNamed('--cluster-secret-file', path).trim()
  if (Buffer.byteLength(secret) < CLUSTER_SECRET_BYTES_MIN) {
    throw new UsageError(`${path}: the cluster secret must have at least ${CLUSTER_SECRET_BYTES_MIN} bytes`)
  }
  return secret
}

export function httpSettings(config: DoorConfig): Partial<HttpServerSettings> {
  const { headerTimeoutMs, idleTimeoutMs } = config
  return { headerTimeoutMs, idleTimeoutMs }
}

/** `volume=0.0.0.0:8080` entries by the name of their door. Throws `UsageError` for doors that do not exist. */
export function parseListen(entries: readonly string[], doors: readonly string[]): Map<string, HostPort> {
  const found = new Map<string, HostPort>()
  for (const entry of entries) {
    const [door, address] = entry.split('=') as [string, string]
    if (!doors.includes(door))
      throw new UsageError(`--listen: no door is named ${door}, only ${doors.join(', ')}`)
    found.set(door, parseHostPort(address))
  }
  return found
}

/** Throws `UsageError`. */
export function parseHostPort(text: string): HostPort {
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (port > 65_535) throw new UsageError(`no port ${port}`)
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port }
}

/** `host:port` under which others reach what listens on that address. */
export function reachableAt({ host, port }: HostPort): string {
  const name = host === '0.0.0.0' || host === '::' ? ownAddress() : host
  return name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`
}

function ownAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? [])
      if (!address.internal && address.family === 'IPv4') return address.address
  }
  return '127.0.0.1'
}
