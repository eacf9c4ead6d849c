/** The master's page for people at `/`: what it knows of the cluster, and the same as JSON. */
import { jsonOutcome, type Outcome } from '../../net/reply.ts'
import { statusPageReply, UNCACHED, wantsJson } from '../status-shell.ts'
import { clusterOverview, type OverviewContext } from './overview.ts'

export class MasterStatusPage {
  readonly #html: () => Outcome

  constructor() {
    this.#html = statusPageReply({ title: 'Cairn master', body: BODY, script: SCRIPT })
  }

  /** The page, or with `Accept: application/json` what it shows. */
  answer(context: OverviewContext, rawHeaders: readonly string[], pretty: boolean): Outcome {
    if (!wantsJson(rawHeaders)) return this.#html()
    const outcome = jsonOutcome(200, clusterOverview(context), pretty)
    outcome.headers.push(...UNCACHED)
    return outcome
  }
}

const BODY = `
<p class="alert" id="alert"></p>
<div class="tiles" id="stored"></div>
<div class="tiles" id="traffic"></div>
<h2 id="nodes-title">Volume servers</h2><div class="card" id="nodes"></div>
<h2 id="layouts-title">Classes of volumes</h2><div class="card" id="layouts"></div>
<h2 id="volumes-title">Volumes</h2><div class="card" id="volumes"></div>
`

const SCRIPT = `
function sum(rows, of) { return rows.reduce((total, row) => total + of(row), 0) }
function link(node) { return el('a', { href: location.protocol + '//' + node.publicUrl + '/', rel: 'noreferrer' }, node.url) }
function show(data) {
  byId('about').textContent = data.url + ' · version ' + data.version + ' · cluster ' + data.clusterId
  const { nodes, volumes, layouts } = data
  const troubles = nodes.flatMap((node) => node.directoriesFailed.map((path) => node.url + ': ' + path + ' does not work'))
  const ailing = data.groups.filter((group) => group.health !== 'healthy')
  const lost = ailing.filter((group) => group.health === 'lost')
  if (ailing.length > 0) troubles.push(plural(ailing.length - lost.length, 'erasure group') + ' degraded, ' + lost.length + ' lost')
  byId('alert').textContent = troubles.join(' · ')
  if (data.unknowing !== undefined) setState('starting', 'warn')
  else if (troubles.length > 0 || nodes.some((node) => node.volumesFailed > 0)) setState('needs attention', 'bad')
  const stored = sum(nodes, (node) => node.storedBytes)
  const garbage = sum(nodes, (node) => node.garbageBytes)
  const total = sum(nodes, (node) => node.totalBytes)
  const free = sum(nodes, (node) => node.freeBytes)
  const damage = sum(nodes, (node) => node.damageFound)
  const writable = sum(layouts, (layout) => layout.writableCount)
  const slots = sum(nodes, (node) => node.volumeCountMax)
  fill('stored',
    tile('Volume servers', count(nodes.length), plural(new Set(nodes.map((node) => node.dataCenter + '/' + node.rack)).size, 'rack')),
    tile('Files', count(sum(nodes, (node) => node.fileCount))),
    tile('Stored', bytes(stored), percent(garbage, stored) + ' garbage'),
    tile('Volumes', count(volumes.length), writable + ' writable, ' + count(Math.max(0, slots - volumes.length)) + ' free'),
    data.groups.length === 0 ? undefined : tile('Erasure groups', count(data.groups.length), ailing.length === 0 ? 'all healthy' : sum(ailing, (group) => group.shardsFilling) + ' volumes being filled', { level: lost.length > 0 ? 'bad' : ailing.length > 0 ? 'warn' : '' }),
    tile('Free on disks', bytes(free), 'of ' + bytes(total), { level: total > 0 && free / total < 0.05 ? 'bad' : '' }),
    tile('Damaged records met', count(damage), damage === 0 ? 'none' : 'see the servers', { level: damage > 0 ? 'bad' : '' }))
  const of = (name) => sum(nodes, (node) => node.rates?.[name] ?? 0)
  const speed = (label, name, text, detail) => tile(label, text(of(name)), detail, { graph: spark(name, of(name)) })
  fill('traffic',
    speed('Reads per second', 'readsPerS', rate, 'all servers'),
    speed('Writes per second', 'writesPerS', rate, 'all servers'),
    speed('Deletes per second', 'deletesPerS', rate, 'all servers'),
    tile('Failures per second', rate(of('failuresPerS')), 'status 5xx', { level: of('failuresPerS') > 0 ? 'bad' : '', graph: spark('failuresPerS', of('failuresPerS')) }),
    speed('Received per second', 'receivedBytesPerS', bytes, 'all servers'),
    speed('Sent per second', 'sentBytesPerS', bytes, 'all servers'))
  heading('nodes-title', 'Volume servers', String(nodes.length))
  fill('nodes', table([
    { title: 'Server', name: true, cell: (node) => [link(node), el('small', {}, node.dataCenter + ' / ' + node.rack)] },
    { title: 'State', cell: (node) => node.volumesFailed > 0 ? tag(node.volumesFailed + ' failed', 'bad') : node.directoriesFailed.length > 0 ? tag('disk failed', 'bad') : node.silentMs > 3000 ? tag('silent ' + ago(node.silentMs / 1000), 'warn') : tag('up') },
    { title: 'Disk used', cell: (node) => [bytes(node.totalBytes - node.freeBytes) + ' of ' + bytes(node.totalBytes), bar(node.totalBytes - node.freeBytes, node.totalBytes, 0.85)] },
    { title: 'Volumes', number: true, cell: (node) => node.volumeCount + ' of ' + node.volumeCountMax },
    { title: 'Files', number: true, cell: (node) => count(node.fileCount) },
    { title: 'Stored', number: true, cell: (node) => [bytes(node.storedBytes), el('small', {}, percent(node.garbageBytes, node.storedBytes) + ' garbage')] },
    { title: 'Reads/s', number: true, wide: true, cell: (node) => [rate(node.rates?.readsPerS), el('small', {}, node.rates ? bytes(node.rates.sentBytesPerS) + '/s' : '')] },
    { title: 'Writes/s', number: true, wide: true, cell: (node) => [rate(node.rates?.writesPerS), el('small', {}, node.rates ? bytes(node.rates.receivedBytesPerS) + '/s' : '')] },
    { title: 'Damage', number: true, wide: true, cell: (node) => node.damageFound > 0 ? tag(count(node.damageFound), 'bad') : '0' },
  ], nodes, 'No volume server has reported yet.'))
  heading('layouts-title', 'Classes of volumes', 'volumes of one class stand in for each other')
  fill('layouts', table([
    { title: 'Collection', name: true, cell: (each) => each.collection || '–' },
    { title: 'Replication', cell: (each) => each.replication },
    { title: 'Time to live', cell: (each) => each.ttl || '–' },
    { title: 'Volumes', number: true, cell: (each) => String(each.volumeCount) },
    { title: 'Writable', number: true, cell: (each) => each.writableCount > 0 ? String(each.writableCount) : tag('none', 'warn') },
  ], layouts, 'There are no volumes yet.'))
  heading('volumes-title', 'Volumes', shown(volumes))
  fill('volumes', table([
    { title: 'Id', number: true, cell: (each) => String(each.id) },
    { title: 'Collection', name: true, cell: (each) => each.collection || '–' },
    { title: 'State', cell: (each) => stateTag(each.state) },
    { title: 'Files', number: true, cell: (each) => count(each.fileCount) },
    { title: 'Size', number: true, cell: (each) => bytes(each.sizeBytes) },
    { title: 'Garbage', number: true, cell: (each) => [percent(each.garbageBytes, each.sizeBytes), bar(each.garbageBytes, each.sizeBytes, 0.3)] },
    { title: 'Damage', number: true, wide: true, cell: (each) => each.damageFound > 0 ? tag(count(each.damageFound), 'bad') : '0' },
    { title: 'Changed', number: true, wide: true, cell: (each) => each.modifiedS > 0 ? ago(data.atMs / 1000 - each.modifiedS) + ' ago' : '–' },
    { title: 'Server', name: true, wide: true, cell: (each) => each.node },
  ], volumes.slice(0, ROWS_SHOWN), 'There are no volumes yet: they are made when files come.'))
}
`
