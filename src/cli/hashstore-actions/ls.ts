/** `cairn hashstore ls`: asks the name server; without one, all servers for all they have. */
import { isUtf8 } from 'node:buffer'
import { once } from 'node:events'
import type { HashstoreCluster } from '../../protocols/hashstore/cluster.ts'
import { pathOfText, textOfPath } from '../../protocols/hashstore/paths.ts'
import type { TreeEntry } from '../../protocols/hashstore/wire.ts'
import { defineCommand } from '../command.ts'
import { unlessStopped, untilStopped } from '../file-work.ts'
import { HASHSTORE_CLIENT_SETTINGS, withHashstore } from '../hashstore-settings.ts'
import { formatTable } from '../text-table.ts'

export const ls = defineCommand({
  name: 'ls',
  summary: 'List what begins with a path, up to its next / or \\, or with -r all of it',
  usage: '[prefix]',
  settings: [...HASHSTORE_CLIENT_SETTINGS, 'recurse', 'json'],
  async run(config, context) {
    const prefix = Buffer.from(context.args[0] ?? '')
    const { recurse: all, json } = config
    const { stdout, signal } = context
    return await withHashstore(config, context, async (cluster) => {
      const pages = cluster.nameserver?.browse(prefix, all) ?? listAll(cluster, prefix, all)
      for await (const entries of untilStopped(pages, signal)) {
        const lines = json
          ? entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')
          : formatTable(COLUMNS, entries).replace(/^.*\n/, '')
        if (!stdout.write(lines)) await unlessStopped(once(stdout, 'drain'), signal)
      }
      return 0
    })
  },
})

const COLUMNS = [
  { title: 'SIZE', right: true, text: (each: TreeEntry) => ('path' in each ? String(each.size) : '-') },
  { title: 'WRITTEN', text: (each: TreeEntry) => ('path' in each ? timeText(each.time) : '-') },
  { title: 'PATH', text: (each: TreeEntry) => shown('path' in each ? each.path : each.directory) },
]

/** As the other commands take it, where it can be shown; else as the protocol writes it, which is what `--json` has of all. */
function shown(text: string): string {
  const path = pathOfText(text)
  return isUtf8(path) && !/\p{Cc}/u.test(path.toString()) ? path.toString() : text
}

const MILLISECONDS = /\.\d+Z$/

/** Whoever stores a file says when; what no calendar has is shown as a dash. */
function timeText(ms: number): string {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return '-'
  return date.toISOString().replace('T', ' ').replace(MILLISECONDS, '')
}

/** In the order of the paths. A path that is on two servers, because it is being moved, is shown as it was written last. */
async function* listAll(
  cluster: HashstoreCluster,
  prefix: Buffer,
  all: boolean,
): AsyncGenerator<TreeEntry[]> {
  const start = textOfPath(prefix)
  const found = new Map<string, TreeEntry>()
  for await (const page of cluster.list()) {
    for (const { path, size, time } of page) {
      if (!path.startsWith(start)) continue
      const [directory] = all ? [] : (/^[^/\\]*[/\\]/.exec(path.slice(start.length)) ?? [])
      if (directory !== undefined) {
        found.set(start + directory, { directory: start + directory })
        continue
      }
      const other = found.get(path)
      if (other === undefined || !('path' in other) || other.time < time)
        found.set(path, { path, size, time })
    }
  }
  yield [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}
