/** `cairn hashstore rebalance`: moves files to where the machine file places them, while the store is used. */
import { Rebalance, type RebalanceCounts } from '../../protocols/hashstore/rebalance.ts'
import { startByteProgress } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { HASHSTORE_CLIENT_SETTINGS, withHashstore } from '../hashstore-settings.ts'
import { formatSize } from '../text-table.ts'

export const rebalance = defineCommand({
  name: 'rebalance',
  summary: 'Move files to the servers that they belong to now; after an interruption, the same again goes on',
  settings: [...HASHSTORE_CLIENT_SETTINGS, 'json'],
  async run(config, context) {
    const { clock, signal, stdout, stderr } = context
    return await withHashstore(config, context, async (cluster) => {
      const work = new Rebalance({ cluster, clock, signal })
      const { counts } = work
      await work.count()
      const stop = startByteProgress({
        context,
        label: 'moving',
        totalBytes: counts.misplacedBytes,
        doneBytes: () => counts.doneBytes,
      })
      try {
        await work.move()
      } finally {
        stop()
      }
      stdout.write(config.json ? `${JSON.stringify(counts)}\n` : summary(counts))
      if (work.lastFailure !== undefined) stderr.write(`cairn: ${work.lastFailure.message}\n`)
      return counts.left > 0 ? 1 : 0
    })
  },
})

function summary(counts: RebalanceCounts): string {
  const { files, misplaced, misplacedBytes, moved, superseded, left, removedChunks } = counts
  const parts = [
    `${files} files, ${misplaced} of them (${formatSize(misplacedBytes)}) at another place: ${moved} moved`,
  ]
  if (superseded > 0) parts.push(`${superseded} removed, as a later one is at their place`)
  if (left > 0) parts.push(`${left} left for the next time`)
  if (removedChunks > 0) parts.push(`${removedChunks} chunks removed that no file names`)
  return `${parts.join(', ')}\n`
}
