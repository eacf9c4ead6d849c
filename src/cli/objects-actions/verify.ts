/** `cairn objects verify`: reads every object, and compares its bytes with its hash. */
import { StoreError, toStoreError } from '../../base/errors.ts'
import type { ListedVersion } from '../../client/objects-client.ts'
import { defineCommand } from '../command.ts'
import { eachOf, OBJECTS_ADMIN_SETTINGS, withCounts, withObjects } from '../objects-admin.ts'

/** Hashes that are remembered, so that equal bytes are read once; later ones perhaps again. */
const HASHES_MAX = 1_000_000

export const verify = defineCommand({
  name: 'verify',
  summary: 'Read every version of every object, and compare its bytes with its hash',
  settings: [...OBJECTS_ADMIN_SETTINGS, 'parallel'],
  async run(config, context) {
    const { dryRun, json, parallel } = config
    const { stdout, stderr, signal } = context
    const counts = { versions: 0, read: 0, bytes: 0, damaged: 0 }
    const done = dryRun ? 'to be read' : 'read'
    const line = () =>
      `${counts.versions} versions, ${counts.read} contents ${done}, ${counts.bytes} bytes, ${counts.damaged} damaged`
    await withObjects(config, context, (client) =>
      withCounts(context, line, () =>
        eachOf(distinct(client.versions(), counts, signal), parallel, async (version) => {
          const { name, version: number } = version
          try {
            const bytes = dryRun ? version.size : await client.verify(version)
            counts.read++
            counts.bytes += bytes
          } catch (error) {
            const { code, message } = toStoreError(error)
            counts.damaged++
            stderr.write(`cairn: ${name}, version ${number}: ${message} (${code})\n`)
          }
        }),
      ),
    )
    stdout.write(json ? `${JSON.stringify({ ...counts, dryRun })}\n` : `${line()}\n`)
    return counts.damaged > 0 ? 1 : 0
  },
})

/** One version for each content. Throws when the user wants to stop. */
async function* distinct(
  versions: AsyncIterable<ListedVersion>,
  counts: { versions: number },
  signal: AbortSignal,
): AsyncGenerator<ListedVersion> {
  const known = new Set<string>()
  for await (const version of versions) {
    if (signal.aborted) throw new StoreError('unavailable', 'stopped')
    counts.versions++
    const { hash } = version
    if (hash === '' || (hash !== null && known.has(hash))) continue
    if (hash !== null && known.size < HASHES_MAX) known.add(hash)
    yield version
  }
}
