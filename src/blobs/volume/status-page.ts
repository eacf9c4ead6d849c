/** The volume server's page for people at `/`, and what it shows as JSON: disks, volumes, and what all threads have done. */
import { formatReplication } from '../../base/replication.ts'
import { formatTtl } from '../../base/ttl.ts'
import type { ScrubStatus } from '../../disk/scrub.ts'
import type { StoreStatus, VolumeInfo } from '../../disk/volume-admin.ts'
import { jsonOutcome, type Outcome } from '../../net/reply.ts'
import type { RepairStatus } from '../shard-repairer.ts'
import { statusPageReply, UNCACHED, wantsJson } from '../status-shell.ts'
import type { VolumeCounters } from '../volume-counters.ts'
import { volumeState } from '../volume-info-json.ts'

export interface VolumeStatusPageOptions {
  status: () => Promise<StoreStatus>
  /** How far the background reader is; undefined where there is none. */
  scrubbed: (() => Promise<ScrubStatus>) | undefined
  /** What the repair of erasure groups has done; undefined where there is none. */
  repaired: (() => Promise<RepairStatus>) | undefined
  counters: Pick<VolumeCounters, 'totals'>
  nowMs: () => number
  version: string
  nodeId: string
}

export class VolumeStatusPage {
  readonly #options: VolumeStatusPageOptions
  readonly #html: () => Outcome

  constructor(options: VolumeStatusPageOptions) {
    this.#options = options
    this.#html = statusPageReply({ title: 'Cairn volume server', body: BODY, script: SCRIPT })
  }

  /** The page, or with `Accept: application/json` what it shows. Rejects as the keeper does. */
  async answer(rawHeaders: readonly string[], pretty: boolean): Promise<Outcome> {
    if (!wantsJson(rawHeaders)) return this.#html()
    const { status, scrubbed, repaired, counters, nowMs, version, nodeId } = this.#options
    const [{ directories, volumes }, scrub, repair] = await Promise.all([
      status(),
      scrubbed?.(),
      repaired?.(),
    ])
    const shown = {
      role: 'volume',
      version,
      nodeId,
      atMs: nowMs(),
      traffic: counters.totals(),
      scrub,
      repair,
      directories,
      volumes: volumes.toSorted((a, b) => a.id - b.id).map(volumeJson),
    }
    const outcome = jsonOutcome(200, shown, pretty)
    outcome.headers.push(...UNCACHED)
    return outcome
  }
}

function volumeJson(info: VolumeInfo): object {
  const { maxKeyHigh: _high, maxKeyLow: _low, replicaPlacement, ttl, ...rest } = info
  return {
    ...rest,
    replication: formatReplication(replicaPlacement),
    ttl: formatTtl(ttl),
    state: volumeState(info),
  }
}

const BODY = `
<p class="alert" id="alert"></p>
<div class="tiles" id="traffic"></div>
<div class="tiles" id="stored"></div>
<h2 id="disks-title">Directories</h2><div class="card" id="disks"></div>
<h2 id="volumes-title">Volumes</h2><div class="card" id="volumes"></div>
`

const SCRIPT = `
function sum(rows, of) { return rows.reduce((total, row) => total + of(row), 0) }
function scrubTile(scrub) {
  if (scrub === undefined) return undefined
  const found = scrub.damaged > 0 ? count(scrub.damaged) + ' damaged' : bytes(scrub.bytes) + ' read, all good'
  const round = scrub.cycles + (scrub.position < 1 ? 1 : 0)
  return tile('Scrub, round ' + count(round), percent(scrub.position, 1), found, { level: scrub.damaged > 0 ? 'bad' : '' })
}
function repairTile(repair) {
  if (repair === undefined || repair.groups === 0) return undefined
  const open = repair.waiting + repair.filling + repair.lost
  const state = repair.lost > 0 ? count(repair.lost) + ' objects lost' : repair.filling > 0 ? plural(repair.filling, 'volume') + ' being filled' : repair.waiting > 0 ? count(repair.waiting) + ' waiting' : 'all there'
  return tile('Shards made anew', count(repair.rebuilt), state, { level: repair.lost > 0 ? 'bad' : open > 0 ? 'warn' : '' })
}
function show(data, rates) {
  byId('about').textContent = location.host + ' · version ' + data.version + ' · node ' + data.nodeId
  const { volumes, directories } = data
  const graph = (name) => ({ graph: spark(name, rates[name]) })
  const requests = rates.reads === undefined ? undefined : rates.reads + rates.writes + rates.deletes + rates.otherRequests
  fill('traffic',
    tile('Requests per second', rate(requests), rate(rates.status5xx) + ' of them failed', { graph: spark('requests', requests), level: rates.status5xx > 0 ? 'bad' : '' }),
    tile('Reads per second', rate(rates.reads), count(data.traffic.reads) + ' since the start', graph('reads')),
    tile('Writes per second', rate(rates.writes), count(data.traffic.writes) + ' since the start', graph('writes')),
    tile('Deletes per second', rate(rates.deletes), count(data.traffic.deletes) + ' since the start', graph('deletes')),
    tile('Received per second', rates.bytesReceived === undefined ? '–' : bytes(rates.bytesReceived), bytes(data.traffic.bytesReceived) + ' since the start', graph('bytesReceived')),
    tile('Sent per second', rates.bytesSent === undefined ? '–' : bytes(rates.bytesSent), bytes(data.traffic.bytesSent) + ' since the start', graph('bytesSent')))
  const stored = sum(volumes, (each) => each.sizeBytes)
  const garbage = sum(volumes, (each) => each.deletedBytes)
  const damage = sum(volumes, (each) => each.damageFound)
  const disks = directories.filter((each, i) => each.disk === undefined || directories.findIndex((other) => other.disk === each.disk) === i)
  const total = sum(disks, (each) => each.totalBytes)
  const free = sum(disks, (each) => each.freeBytes)
  const writable = volumes.filter((each) => each.state === 'writable').length
  const failed = volumes.filter((each) => each.failed).length
  fill('stored',
    tile('Files', count(sum(volumes, (each) => each.fileCount - each.deleteCount))),
    tile('Stored', bytes(stored), percent(garbage, stored) + ' garbage'),
    tile('Volumes', count(volumes.length), writable + ' writable'),
    tile('Free on disk', bytes(free), 'of ' + bytes(total), { level: total > 0 && free / total < 0.05 ? 'bad' : '' }),
    tile('Damaged records met', count(damage), damage === 0 ? 'none since the start' : 'see the log', { level: damage > 0 ? 'bad' : '' }),
    scrubTile(data.scrub),
    repairTile(data.repair))
  const troubles = directories.filter((each) => each.failed).map((each) => each.path + ' does not work')
  if (failed > 0) troubles.push(plural(failed, 'volume') + ' failed')
  byId('alert').textContent = troubles.join(' · ')
  if (troubles.length > 0) setState('needs attention', 'bad')
  heading('disks-title', 'Directories', String(directories.length))
  fill('disks', table([
    { title: 'Path', name: true, cell: (each) => each.path },
    { title: 'Used', cell: (each) => [bytes(each.totalBytes - each.freeBytes) + ' of ' + bytes(each.totalBytes), bar(each.totalBytes - each.freeBytes, each.totalBytes, 0.85)] },
    { title: 'Free', number: true, cell: (each) => bytes(each.freeBytes) },
    { title: 'Volumes', number: true, cell: (each) => each.volumeCount + ' of ' + each.volumeCountMax },
    { title: 'State', cell: (each) => each.failed ? tag('failed', 'bad') : tag('works') },
  ], directories, 'There is no directory.'))
  heading('volumes-title', 'Volumes', shown(volumes))
  fill('volumes', table([
    { title: 'Id', number: true, cell: (each) => String(each.id) },
    { title: 'Collection', name: true, cell: (each) => each.collection || '–' },
    { title: 'State', cell: (each) => stateTag(each.state) },
    { title: 'Files', number: true, cell: (each) => count(each.fileCount - each.deleteCount) },
    { title: 'Size', number: true, cell: (each) => bytes(each.sizeBytes) },
    { title: 'Garbage', number: true, cell: (each) => [percent(each.deletedBytes, each.sizeBytes), bar(each.deletedBytes, each.sizeBytes, 0.3)] },
    { title: 'Damage', number: true, wide: true, cell: (each) => each.damageFound > 0 ? tag(count(each.damageFound), 'bad') : '0' },
    { title: 'Time to live', wide: true, cell: (each) => each.ttl || '–' },
    { title: 'Changed', number: true, wide: true, cell: (each) => each.modifiedS > 0 ? ago(data.atMs / 1000 - each.modifiedS) + ' ago' : '–' },
    { title: 'Directory', name: true, wide: true, cell: (each) => each.directory || '–' },
  ], volumes.slice(0, ROWS_SHOWN), 'There are no volumes yet: they are made when files come.'))
}
`
