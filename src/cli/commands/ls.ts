/** `cairn ls`: what is in a directory of the store. */
import { StoreError } from '../../base/errors.ts'
import type { RemoteEntry } from '../../client/filer-client.ts'
import { defineCommand } from '../command.ts'
import { FILER_CLIENT_SETTINGS, joinPath, storePath, withFiler } from '../filer-settings.ts'
import { formatTable } from '../text-table.ts'

/** Lines of a table are aligned among so many. */
const LINES_AT_ONCE = 1000

export const ls = defineCommand({
  name: 'ls',
  summary: 'List a directory of the store, or with -r all below it',
  usage: '[path...]',
  settings: ['recurse', 'json', ...FILER_CLIENT_SETTINGS],
  async run(config, context) {
    const paths = context.args.length === 0 ? ['/'] : context.args.map(storePath)
    const rows: Shown[] = []
    const flush = () => {
      const text = config.json ? rows.map(jsonLine).join('') : formatTable(COLUMNS, rows).replace(/^.*\n/, '')
      context.stdout.write(text)
      rows.length = 0
    }
    await withFiler(config, async (filer) => {
      const pending = [...paths].reverse()
      for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
        const entry = path === '/' ? undefined : await filer.stat(path)
        if (path !== '/' && entry === undefined) throw new StoreError('not_found', `nothing at ${path}`)
        if (entry !== undefined && !entry.isDirectory) rows.push({ path, entry })
        else {
          for await (const each of filer.list(path)) {
            const below = joinPath(path, each.name)
            rows.push({ path: config.recurse || paths.length > 1 ? below : each.name, entry: each })
            if (config.recurse && each.isDirectory) pending.push(below)
            if (rows.length >= LINES_AT_ONCE) flush()
          }
        }
      }
    })
    flush()
    return 0
  },
})

interface Shown {
  path: string
  entry: RemoteEntry
}

const COLUMNS = [
  { title: 'MODE', text: ({ entry }: Shown) => entry.mode.toString(8).padStart(3, '0') },
  {
    title: 'SIZE',
    right: true,
    text: ({ entry }: Shown) => (entry.isDirectory ? '-' : String(entry.sizeBytes)),
  },
  { title: 'MODIFIED', text: ({ entry }: Shown) => timeText(entry) },
  { title: 'NAME', text: ({ path, entry }: Shown) => printable(entry.isDirectory ? `${path}/` : path) },
]

/** A name may hold what would move the cursor, or look like another line; `--json` has it as it is. */
const printable = (name: string) => name.replace(/\p{Cc}/gu, '?')

function timeText({ sourceModifiedMs, modifiedMs }: RemoteEntry): string {
  const ms = sourceModifiedMs ?? modifiedMs
  return ms > 0 ? new Date(ms).toISOString().slice(0, 19).replace('T', ' ') : '-'
}

function jsonLine({ path, entry }: Shown): string {
  return `${JSON.stringify({ ...entry, path })}\n`
}
