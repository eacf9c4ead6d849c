/** The thread that serves memcached's protocol in a process that has nothing else: no master names its volumes, the keeper makes them. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import type { AssignKeys } from '../../blobs/id-lease.ts'
import type { VolumeAdmin } from '../../disk/volume-admin.ts'
import { VolumeAdminPort } from '../../disk/volume-admin-port.ts'
import { VolumeSet } from '../../disk/volume-set.ts'
import { BodyBudget } from '../../net/body.ts'
import type { MemcachedServer } from '../../protocols/memcached/server.ts'
import { descriptorWriter } from '../log-writer.ts'
import { threadContext } from './layout.ts'
import { openMemcached } from './memcached-door.ts'
import type { MemcachedControl, MemcachedThreadData } from './thread-data.ts'

const STDERR = 2
const data = workerData as MemcachedThreadData
const clock = systemClock
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) })
const volumes = new VolumeSet(threadContext(data.shared, { clock, log: log.with({ role: 'volume' }) }))
volumes.watch()
const keeper = new VolumeAdminPort(data.keeper)
const bodyBudget = new BodyBudget(new SharedArrayBuffer(4), data.bodyBytesInFlightMax)
let server: MemcachedServer | undefined

/** A volume that takes writes, made where there is none; one at a time for all who ask. */
function assignFrom(admin: VolumeAdmin): AssignKeys {
  let asked: Promise<number> | undefined
  return async ({ collection, ttl }) => {
    asked ??= volumeOf(admin, collection, ttl).finally(() => {
      asked = undefined
    })
    return { volumeId: await asked, keyHigh: 0, keyLow: 1, count: 1, url: '' }
  }
}

async function volumeOf(admin: VolumeAdmin, collection: string, ttl: number): Promise<number> {
  const { volumes: all } = await admin.status()
  const writable = all.find(
    (each) => each.collection === collection && !(each.readOnly || each.full || each.failed || each.diskFull),
  )
  if (writable !== undefined) return writable.id
  const id = Math.max(0, ...all.map((each) => each.id)) + 1
  await admin.createVolume({ id, collection, ttl, replicaPlacement: 0 })
  return id
}

const control: MemcachedControl = {
  async listen(at) {
    const parts = { assign: assignFrom(keeper), volumes, sync: data.sync, bodyBudget, clock, log }
    server = await openMemcached(data.memcached, parts)
    return await server.listen(at)
  },
  async stop() {
    await server?.close()
    volumes.close()
  },
}
offerCalls(data.control, { ...control })
