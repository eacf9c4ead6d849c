/** The thread that keeps the volumes: opens, makes, compacts and checkpoints them, and reports them to the masters. */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { SHARD_KEYS_PER_SECOND_MAX } from '../../base/limits.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import { ClusterAuth } from '../../blobs/cluster-auth.ts'
import { ClusterBus } from '../../blobs/cluster-bus.ts'
import { ClusterClient } from '../../blobs/cluster-client.ts'
import { HeartbeatSender } from '../../blobs/heartbeat.ts'
import { MasterCalls, namedMasters } from '../../blobs/master-calls.ts'
import { ShardFileSweep } from '../../blobs/shard-file-sweep.ts'
import { followShardFiles } from '../../blobs/shard-files.ts'
import { ShardRepairer } from '../../blobs/shard-repairer.ts'
import { localClusterDoor, offerClusterDoor } from '../../blobs/volume-admin-door.ts'
import { VolumeCounters } from '../../blobs/volume-counters.ts'
import { VolumeFetch } from '../../blobs/volume-fetch.ts'
import { VolumeLocator } from '../../blobs/volume-locator.ts'
import { realDisk } from '../../disk/real-disk.ts'
import { Scrubber } from '../../disk/scrub.ts'
import { offerVolumeAdmin } from '../../disk/volume-admin-port.ts'
import { VolumeKeeper } from '../../disk/volume-keeper.ts'
import { HttpClient } from '../../net/http-client.ts'
import { descriptorWriter } from '../log-writer.ts'
import { threadContext, volumeView } from './layout.ts'
import { VolumeMetrics } from './metrics.ts'
import type { KeeperControl, KeeperThreadData } from './thread-data.ts'

const STDERR = 2
const data = workerData as KeeperThreadData
const [clock, random] = [systemClock, systemRandom]
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) }).with({ role: 'volume' })
const context = threadContext(data.shared, { clock, log })
const keeper = new VolumeKeeper(context, {
  random,
  log,
  volumeSizeLimitBytes: data.volumeSizeLimitBytes,
  volumesPerDirectoryMax: data.volumesPerDirectoryMax,
  garbageThreshold: data.garbageThreshold,
  ballastBytes: data.ballastBytes,
  shardDirectories: data.shardDirectories ?? [],
})
const counters = new VolumeCounters(data.counters, 0)
const metrics = new VolumeMetrics(counters, data)
const { secrets, nodeId } = data
const auth = new ClusterAuth({ secret: Buffer.from(secrets.clusterSecret), clock, random })
const client = new ClusterClient({
  http: new HttpClient({ ca: secrets.tls?.cert }),
  auth,
  scheme: secrets.tls === undefined ? 'http' : 'https',
})
const { copies } = keeper
const fetch = new VolumeFetch({ copies, client, nodeId, clock, log })
const listed = volumeView(context, data.shared)
const door = localClusterDoor({ auth, admin: keeper, nodeId, copies, fetch, listed })
const bus = data.bus === '' ? undefined : new ClusterBus({ url: data.bus, auth, nodeId, clock, random, log })
const usedBus = data.masters.length === 0 ? bus : undefined
const { find } = new VolumeLocator({
  masterCalls: new MasterCalls({ client, addresses: usedBus ?? namedMasters(data.masters), nodeId }),
  locate: usedBus && ((volumeId: number) => usedBus.locate(volumeId)),
  clock,
})
const repairer = new ShardRepairer({
  ...{ find, client, nodeId, clock, log, keeper },
  volumes: listed,
  comparePeriodMs: data.repairPeriodMs,
  keysPerSecondMax: SHARD_KEYS_PER_SECOND_MAX,
})
const scrubber = new Scrubber(context, {
  log,
  rateBytesPerSecond: data.scrubRateBytes,
  periodMs: data.scrubPeriodMs,
  onDamage: (damage) => repairer.noteDamage(damage),
  follow: data.shared.shardFiles ? followShardFiles(context) : undefined,
})
const sweep = data.shared.shardFiles
  ? new ShardFileSweep({
      ...{ volumes: listed, disk: realDisk, clock, random, log },
      onMissing: (volumeId, key) => repairer.noteLost(volumeId, key),
    })
  : undefined
if (bus !== undefined) metrics.watchBus(bus)
let heartbeats: HeartbeatSender | undefined

const control: KeeperControl = {
  async open() {
    keeper.open()
    keeper.start()
    keeper.adoption.start()
    scrubber.start()
  },
  async announce({ url, publicUrl }) {
    const { masters, dataCenter, rack, volumeSizeLimitBytes } = data
    const reportsOver = usedBus
    const sender = new HeartbeatSender({
      masters,
      bus: reportsOver,
      identity: { nodeId, url, publicUrl, dataCenter, rack, volumeSizeLimitBytes },
      periodMs: reportsOver === undefined ? data.heartbeatMs : data.busHeartbeatMs,
      client,
      admin: keeper,
      traffic: () => counters.totals(),
      clock,
      random,
      log,
    })
    heartbeats = sender
    keeper.onChange(() => sender.notify())
    const here = { url, publicUrl, shardFiles: data.shared.shardFiles === true }
    const locate = (id: number) => (listed.get(id) === undefined ? undefined : here)
    bus?.start({ volumes: { locate, report: () => reportsOver && sender.notify() } })
    reportsOver?.onOpen(() => sender.notify())
    sender.start()
    await sender.flush()
    repairer.start()
    sweep?.start()
  },
  async metrics() {
    const { status: scrub } = scrubber
    const { status: repair } = repairer
    return metrics.page(await keeper.status(), { indexBytes: context.arena.bytesUsed, scrub, repair })
  },
  async leave() {
    await heartbeats?.stop()
    await bus?.close()
  },
  async stop() {
    await Promise.all([scrubber.stop(), repairer.stop(), keeper.adoption.stop(), sweep?.stop()])
    await keeper.stop()
  },
}

offerCalls(data.control, { ...control })
const offer = {
  ...offerVolumeAdmin(keeper),
  ...offerClusterDoor(door),
  scrubbed: async () => scrubber.status,
  repaired: async () => repairer.status,
  metrics: control.metrics,
}
for (const port of data.callers) offerCalls(port, offer)
