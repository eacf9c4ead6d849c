/** `cairn objects prune`: of each object only its latest versions stay. */
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { ListedVersion } from '../../client/objects-client.ts'
import { defineCommand } from '../command.ts'
import { eachOf, OBJECTS_ADMIN_SETTINGS, withCounts, withObjects } from '../objects-admin.ts'

const AT_ONCE = 16

export const prune = defineCommand({
  name: 'prune',
  summary: 'Remove all versions of each object but its latest ones',
  settings: [...OBJECTS_ADMIN_SETTINGS, 'keep'],
  async run(config, context) {
    const { keep, dryRun, json } = config
    const { stdout, stderr, signal } = context
    const counts = { versions: 0, removed: 0, bytes: 0, failed: 0 }
    const done = dryRun ? 'to be removed' : 'removed'
    const line = () =>
      `${counts.versions} versions, ${counts.removed} ${done}, ${counts.bytes} bytes, ${counts.failed} failed`
    await withObjects(config, context, (client) =>
      withCounts(context, line, async () => {
        const seen = counted(client.versions(), counts, signal)
        await eachOf(olderThan(seen, keep), AT_ONCE, async (version) => {
          const { name, version: number, size } = version
          try {
            if (!dryRun) await client.purge(version)
            counts.removed++
            counts.bytes += size
            if (dryRun) stdout.write(json ? `${JSON.stringify(version)}\n` : `${number}\t${name}\n`)
          } catch (error) {
            const { code, message } = toStoreError(error)
            if (code === 'unauthorized') throw error
            counts.failed++
            stderr.write(`cairn: ${name}, version ${number}: ${message} (${code})\n`)
          }
        })
      }),
    )
    stdout.write(json ? `${JSON.stringify({ ...counts, dryRun })}\n` : `${line()}\n`)
    return counts.failed > 0 ? 1 : 0
  },
})

/** Counts versions while they pass. Throws when the user wants to stop. */
async function* counted(
  versions: AsyncIterable<ListedVersion>,
  counts: { versions: number },
  signal: AbortSignal,
): AsyncGenerator<ListedVersion> {
  for await (const version of versions) {
    if (signal.aborted) throw new StoreError('unavailable', 'stopped')
    counts.versions++
    yield version
  }
}

/** Of each name those that have `keep` later ones. Versions come from the oldest to the latest of a name. */
async function* olderThan(
  versions: AsyncIterable<ListedVersion>,
  keep: number,
): AsyncGenerator<ListedVersion> {
  let latest: ListedVersion[] = []
  for await (const version of versions) {
    if (latest[0]?.name !== version.name) latest = []
    latest.push(version)
    if (latest.length > keep) yield latest.shift()!
  }
}
