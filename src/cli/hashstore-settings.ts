/** What the commands of the hash store share: which servers there are, and how they are reached. */
import { StoreError, toStoreError } from '../base/errors.ts'
import { HashstoreCluster } from '../protocols/hashstore/cluster.ts'
import { type Machine, nameOfMachine, parseMachines } from '../protocols/hashstore/placement.ts'
import type { Context } from './command.ts'
import type { Config, SettingKey } from './config.ts'
import { parseHostPort, readNamed } from './roles/doors.ts'
import { UsageError } from './usage-error.ts'

export const HASHSTORE_CLIENT_SETTINGS = [
  'machines',
  'leaving',
  'placement',
  'nameserver',
  'timeoutMs',
] as const satisfies readonly SettingKey[]

type ClientConfig = Config<(typeof HASHSTORE_CLIENT_SETTINGS)[number]>

/** Runs `work` with the servers that the machine file names. Throws `UsageError` where that cannot be read. */
export async function withHashstore<T>(
  config: ClientConfig & { chunkSizeBytes?: number },
  { clock, random, signal, stderr }: Context,
  work: (cluster: HashstoreCluster) => Promise<T>,
): Promise<T> {
  const { placement, timeoutMs, chunkSizeBytes = 0 } = config
  const machines = readMachines(config.machines)
  const present = new Set(machines.map(nameOfMachine))
  const cluster = new HashstoreCluster({
    ...{ machines, placement, timeoutMs, chunkSizeBytes, clock, random },
    leaving: config.leaving.map(parseHostPort).filter((each) => !present.has(nameOfMachine(each))),
    nameserver: config.nameserver === '' ? undefined : parseHostPort(config.nameserver),
  })
  try {
    return await work(cluster)
  } finally {
    cluster.close()
    // What was given up would keep the process waiting for its server.
    if (signal.aborted) cluster.abort()
    const { nameserverFailure: failure } = cluster
    if (failure !== undefined)
      stderr.write(`cairn: the name server was not told of all, which a rebalance does: ${failure.message}\n`)
  }
}

function readMachines(path: string): Machine[] {
  const text = readNamed('--machines', path)
  try {
    return parseMachines(text)
  } catch (error) {
    throw new UsageError(`${path}: ${toStoreError(error).message}`)
  }
}

/** The path of an argument, as bytes. Throws `bad_request` for an empty one. */
export function pathOf(argument: string): Buffer {
  if (argument === '') throw new StoreError('bad_request', 'a file has a name')
  return Buffer.from(argument)
}
