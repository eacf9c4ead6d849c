/**
 * The thread that writes metadata to SQLite, for all threads of the process: they send it scripts, and read by themselves. It
 * also sends safety copies of the metadata to the volumes.
 */
import { workerData } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { StoreError, toStoreError } from '../../base/errors.ts'
import { createLog } from '../../base/log.ts'
import { offerCalls } from '../../base/port-calls.ts'
import { systemRandom } from '../../base/random.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import { NO_VOLUMES } from '../../blobs/local-volumes.ts'
import type { JournalSink } from '../../meta/journal-sink.ts'
import { type MetaWriter, openMetaWriter } from '../../meta/open-meta-store.ts'
import { BlobJournal } from '../../objects/meta-journal.ts'
import { OBJECT_SCRIPTS } from '../../objects/scripts.ts'
import { descriptorWriter } from '../log-writer.ts'
import { clusterParts } from './cluster-parts.ts'
import { threadContext, volumeView } from './layout.ts'
import { openBlobs } from './object-parts.ts'
import type { MetaControl, MetaThreadData } from './thread-data.ts'
import { volumeSyncs } from './volume-syncs.ts'

const STDERR = 2
/** Volumes of a cluster may come later than this process. */
const SHIP_RETRY_MS = 5_000
const data = workerData as MetaThreadData
const parts = { clock: systemClock, random: systemRandom }
const { shared } = data
const log = createLog({ ...data.log, write: descriptorWriter(STDERR) }).with({ role: 'metadata' })
const volumes = shared && volumeView(threadContext(shared, { clock: systemClock, log }), shared)
let writer: MetaWriter | undefined
let closeBlobs = () => {}
let cancelRetry = () => {}

const control: MetaControl = {
  async open() {
    volumes?.watch()
    writer = openMetaWriter(data.directory, {
      ...parts,
      scripts: OBJECT_SCRIPTS,
      keyChanges: data.keyChanges,
      log,
      journal: data.journal,
      syncs: volumes && volumeSyncs(volumes, data.directory),
    })
    await writer.restore()
    for (const client of data.clients) writer.serve(client)
  },
  async ship() {
    if (writer === undefined) throw new StoreError('internal', 'the metadata are not open')
    if (!data.journal) return
    const { redundancy } = data
    await shipTo(new BlobJournal({ blobs: blobsOfProcess(), random: systemRandom, redundancy }), writer)
  },
  async stop() {
    cancelRetry()
    await writer?.close()
    closeBlobs()
    volumes?.close()
  },
}
offerCalls(data.control, { ...control })

function blobsOfProcess(): BlobStore {
  const { sync } = data
  const cluster = clusterParts({ ...data, ...parts, log })
  const blobs = openBlobs({ cluster, volumes: volumes ?? NO_VOLUMES, sync, ...parts })
  closeBlobs = () => {
    blobs.close()
    void cluster.close()
  }
  return blobs
}

/** Where a part of the cluster is not there yet, the copies wait. Throws `conflict`: the volumes have copies of other metadata. */
async function shipTo(sink: JournalSink, to: MetaWriter): Promise<void> {
  try {
    await to.ship(sink)
  } catch (error) {
    if (toStoreError(error).code === 'conflict') throw error
    log.warn({ error }, 'safety copies of the metadata must wait')
    cancelRetry = systemClock.after(SHIP_RETRY_MS, () => void shipLater(sink, to))
  }
}

async function shipLater(sink: JournalSink, to: MetaWriter): Promise<void> {
  try {
    await shipTo(sink, to)
  } catch (error) {
    log.error({ error }, 'there are no safety copies of the metadata')
  }
}
