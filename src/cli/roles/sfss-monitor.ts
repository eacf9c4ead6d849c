/** The monitor of the servers that sfss keeps copies on: a page for people, the same as JSON, and metrics. */
import { Counter, Gauge, Registry } from 'prom-client'
import { statusPageReply, UNCACHED, wantsJson } from '../../blobs/status-shell.ts'
import { jsonOutcome } from '../../net/reply.ts'
import { quorumsOf } from '../../protocols/sfss/copied-files.ts'
import { NodeCounters } from '../../protocols/sfss/node-counters.ts'
import { SfssCounters } from '../../protocols/sfss/sfss-counters.ts'
import type { Context } from '../command.ts'
import type { HostPort } from './doors.ts'
import { type Monitor, openMonitor } from './monitor.ts'
import { collectProcessMetrics } from './process-metrics.ts'
import type { StorageWatch } from './storage-watch.ts'
import type { MetricsPage } from './thread-data.ts'
import { VERSION } from './version.ts'

export interface SfssMonitorOptions {
  watch: StorageWatch
  nodes: readonly HostPort[]
  copies: number
  /** Memory of the SfssCounters. */
  counters: SharedArrayBuffer
  /** Memory of the NodeCounters. */
  nodeCounters: SharedArrayBuffer
  at: HostPort
}

const PAGE = {
  title: 'sfss storage',
  body: `<div class="tiles" id="tiles"></div>
<h2 id="nodes-title"></h2><div class="card" id="nodes"></div>`,
  script: `
function show(data, rates) {
  byId('about').textContent = 'Cairn ' + data.version + ', ' + plural(data.copies, 'copy').replace('copys', 'copies') + ' of each file, ' + data.writeQuorum + ' of them to write, ' + data.readQuorum + ' to read'
  const down = data.nodes.filter((node) => node.state !== 'up').length
  if (down > 0) setState(down + ' of ' + data.nodes.length + ' down', down > data.copies - data.writeQuorum ? 'bad' : 'warn')
  fill('tiles',
    tile('servers that answer', data.nodes.length - down + ' of ' + data.nodes.length, '', { level: down > 0 ? 'warn' : '' }),
    tile('reads a second', rate(rates.cmd_get), count(data.traffic.cmd_get) + ' in all', { graph: spark('reads', rates.cmd_get) }),
    tile('writes a second', rate(rates.cmd_set), count(data.traffic.cmd_set) + ' in all', { graph: spark('writes', rates.cmd_set) }),
    tile('copies repaired', count(data.nodes.reduce((sum, node) => sum + node.counters.repaired, 0))),
    tile('damaged copies met', count(data.nodes.reduce((sum, node) => sum + node.counters.damaged, 0))),
  )
  heading('nodes-title', 'Servers', String(data.nodes.length))
  fill('nodes', table([
    { title: 'address', cell: (node) => node.address },
    { title: 'state', cell: (node) => [tag(node.state, node.state === 'up' ? '' : 'bad'), node.reason === undefined ? '' : el('small', {}, node.reason)] },
    { title: 'version', wide: true, cell: (node) => (node.stats.cairn_version === undefined ? (node.stats.version ?? '–') : 'Cairn ' + node.stats.cairn_version) },
    { title: 'up for', number: true, cell: (node) => (node.stats.uptime === undefined ? '–' : ago(Number(node.stats.uptime))) },
    { title: 'values', number: true, cell: (node) => (node.stats.curr_items === undefined ? '–' : count(Number(node.stats.curr_items))) },
    { title: 'size', number: true, cell: (node) => (node.stats.bytes === undefined ? '–' : bytes(Number(node.stats.bytes))) },
    { title: 'reads', number: true, wide: true, cell: (node) => count(node.counters.reads) },
    { title: 'writes', number: true, wide: true, cell: (node) => count(node.counters.writes) },
    { title: 'failures', number: true, cell: (node) => count(node.counters.failures) },
    { title: 'repaired', number: true, cell: (node) => count(node.counters.repaired) },
  ], data.nodes, 'none'))
}`,
}

export class SfssMonitor {
  readonly #options: SfssMonitorOptions
  readonly #context: Context
  readonly #counters: SfssCounters
  readonly #page = statusPageReply(PAGE)
  readonly #registry = new Registry()
  readonly #requests: Counter<'action'>
  readonly #nodeCounts: Counter<'node' | 'what'>
  readonly #up: Gauge<'node'>

  private constructor(options: SfssMonitorOptions, context: Context) {
    this.#options = options
    this.#context = context
    this.#counters = new SfssCounters(options.counters, 0)
    const registers = [this.#registry]
    collectProcessMetrics(this.#registry)
    this.#requests = new Counter({
      name: 'cairn_sfss_total',
      help: 'What the door did, by the names of its status.',
      labelNames: ['action'],
      registers,
    })
    this.#nodeCounts = new Counter({
      name: 'cairn_sfss_node_total',
      help: 'What was asked of each storage, and what came of it.',
      labelNames: ['node', 'what'],
      registers,
    })
    this.#up = new Gauge({
      name: 'cairn_sfss_node_up',
      help: 'Whether a storage answers.',
      labelNames: ['node'],
      registers,
    })
  }

  /** Throws `in_use`, `bad_request`. */
  static async open(options: SfssMonitorOptions, context: Context): Promise<Monitor> {
    const monitor = new SfssMonitor(options, context)
    return await openMonitor(
      {
        metrics: () => monitor.#metrics(),
        about: async (rawHeaders) => (wantsJson(rawHeaders) ? await monitor.#json() : monitor.#page()),
      },
      options.at,
      context,
    )
  }

  async #json() {
    const { copies, nodeCounters, nodes, watch } = this.#options
    const states = await watch.states()
    const counts = NodeCounters.totalsOf(nodeCounters, nodes.length)
    const quorums = quorumsOf(copies)
    const outcome = jsonOutcome(200, {
      version: VERSION,
      atMs: this.#context.clock.nowMs(),
      copies,
      writeQuorum: quorums.write,
      readQuorum: quorums.read,
      traffic: this.#counters.totals(),
      nodes: states.map(({ address, failure, stats }, at) => ({
        address,
        state: failure === undefined ? 'up' : 'down',
        reason: failure,
        counters: counts[at],
        stats,
      })),
    })
    outcome.headers.push(...UNCACHED)
    return outcome
  }

  async #metrics(): Promise<MetricsPage> {
    const { nodeCounters, nodes, watch } = this.#options
    const states = await watch.states()
    const counts = NodeCounters.totalsOf(nodeCounters, nodes.length)
    for (const metric of [this.#requests, this.#nodeCounts, this.#up]) metric.reset()
    for (const [action, count] of Object.entries(this.#counters.totals())) {
      // It goes down, too.
      if (action !== 'curr_connections') this.#requests.inc({ action }, count)
    }
    for (const [at, { address: node, failure }] of states.entries()) {
      this.#up.set({ node }, failure === undefined ? 1 : 0)
      for (const [what, count] of Object.entries(counts[at]!)) this.#nodeCounts.inc({ node, what }, count)
    }
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() }
  }
}
