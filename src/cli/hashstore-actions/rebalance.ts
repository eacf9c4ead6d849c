/** `cairn hashstore rebalance`: moves files to where the machine file places them, while the store is used. */
import { Rebalance, type RebalanceCounts } from '../../protocols/hashstore/rebalance.ts'
import { startByteProgress } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { HASHSTORE_CLIENT_SETTINGS, withHashstore } from '../hashstore-settings.ts'
import { formatSize } from '../text-table.ts'

export const rebalance = defineCommand({
  name: 'rebalance',
  summary: 'Move files to the servers that they belong to now; after an interruption, the same again goes on',
  settings: [...HASHSTORE_CLIENT_SETTINGS, 'removeChunks', 'json'],
  async run(config, context) {
    const { clock, signal, stdout, stderr } = context
    return await withHashstore(config, context, async (cluster) => {
      const work = new Rebalance({ cluster, clock, signal, removesChunks: config.removeChunks })
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
      await work.forget()
      stdout.write(config.json ? `${JSON.stringify(counts)}\n` : summary(counts))
      if (work.lastFailure !== undefined) stderr.write(`cairn: ${work.lastFailure.message}\n`)
      return counts.left > 0 ? 1 : 0
    })
  },
})

function summary(counts: RebalanceCounts): string {
  const { files, misplaced, misplacedBytes, moved, superseded, left, looseChunks, removedChunks } = counts
  const parts = [
    `${files} files, ${misplaced} of them (${formatSize(misplacedBytes)}) at another place: ${moved} moved`,
  ]
  if (superseded > 0) parts.push(`${superseded} removed, as a later one or a removal came after them`)
  if (left > 0) parts.push(`${left} left for the next time`)
  if (counts.forgotten > 0) parts.push(`${counts.forgotten} names forgotten of files that are gone`)
  if (looseChunks > removedChunks)
    parts.push(`${looseChunks - removedChunks} chunks that no file names (--remove-chunks removes them)`)
  if (removedChunks > 0) parts.push(`${removedChunks} chunks removed that no file names`)
  return `${parts.join(', ')}\n`
}
