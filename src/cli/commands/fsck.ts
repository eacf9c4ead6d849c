/** `cairn fsck`: compares the names of a store with its blobs, both ways, repairs, and brings lost names back. */
import type { BlobStore } from '../../blobs/blob-store.ts'
import { isPostgresUrl, openMetaStore, restoreCarriedBlobs } from '../../meta/open-meta-store.ts'
import { rebuildFromJournal } from '../../meta/rebuild.ts'
import { checkStore, type Damage, type StoreCheck } from '../../objects/check-store.ts'
import { assertOwnBlobs } from '../../objects/installation.ts'
import { BlobJournal } from '../../objects/meta-journal.ts'
import { type Context, defineCommand } from '../command.ts'
import type { Config } from '../config.ts'
import { metadataUrl, openOfflineBlobs } from '../offline-objects.ts'
import { makeDirectory } from '../roles/directories.ts'
import { OBJECTS_COLLECTION } from '../roles/object-parts.ts'
import { volumeSyncs } from '../roles/volume-syncs.ts'
import { UsageError } from '../usage-error.ts'

const SETTINGS = ['data', 'metadata', 'repair', 'verifyBytes', 'rebuild', 'json', 'indexMemoryBytes'] as const
/** How often progress is told. */
const PROGRESS_BLOBS = 100_000

export const fsck = defineCommand({
  name: 'fsck',
  summary: 'Compare the names of a store that is not running with its blobs: missing, damaged, orphaned',
  settings: SETTINGS,
  async run(config, context) {
    const url = metadataUrl(config)
    if (config.rebuild && isPostgresUrl(url)) {
      throw new UsageError('--rebuild is for SQLite; PostgreSQL has backups of its own, and `cairn restore`')
    }
    const store = openOfflineBlobs(config.data, config, context)
    try {
      if (config.rebuild) await rebuild(url, store.blobs, context)
      else if (!isPostgresUrl(url)) await restoreCarriedBlobs(url, volumeSyncs(store.volumes, url), context)
      const result = await check(url, store.blobs, config, context)
      context.stdout.write(config.json ? `${JSON.stringify(result)}\n` : reportOf(result, config.repair))
      const { missingCount, corruptCount, orphanedCount, wrongReferencesCount, weakenedCount } = result
      const repaired = config.repair ? 0 : orphanedCount + wrongReferencesCount + weakenedCount
      return missingCount + corruptCount + repaired > 0 ? 1 : 0
    } finally {
      await store.close()
    }
  },
})

async function rebuild(url: string, blobs: BlobStore, context: Context): Promise<void> {
  const { clock, random, stderr } = context
  makeDirectory(url)
  const found = await rebuildFromJournal(new BlobJournal({ blobs, random }), url, { clock, random })
  const asOf = new Date(found.asOfMs).toISOString()
  stderr.write(`names brought back: ${found.rows} rows and ${found.changes} changes, as of ${asOf}\n`)
  if (found.stopped !== undefined) stderr.write(`later changes could not be used: ${found.stopped}\n`)
}

async function check(
  url: string,
  blobs: BlobStore,
  config: Config<(typeof SETTINGS)[number]>,
  context: Context,
): Promise<StoreCheck> {
  const { clock, random, stderr } = context
  const meta = await openMetaStore(url, { clock, random })
  let told = 0
  try {
    if (config.repair) await assertOwnBlobs({ meta, blobs, collection: OBJECTS_COLLECTION })
    return await checkStore({
      ...{ meta, blobs, clock, random },
      collection: OBJECTS_COLLECTION,
      repair: config.repair,
      verify: config.verifyBytes,
      onProgress: ({ step, blobs: count }) => {
        if (count < told) told = 0
        if (count - told < PROGRESS_BLOBS) return
        told = count
        stderr.write(`${step}: ${count} blobs\n`)
      },
    })
  } finally {
    await meta.close()
  }
}

function reportOf(result: StoreCheck, repaired: boolean): string {
  const lines = [
    ...result.missing.map((each) => `missing: ${damageText(each)}`),
    ...result.corrupt.map((each) => `${each.code}: ${damageText(each)}`),
    ...result.orphaned.map((fid) => `orphaned: ${fid}`),
    ...result.wrongReferences.map(
      ({ contentId, refs, counted }) => `content ${contentId}: ${refs} references noted, ${counted} counted`,
    ),
  ]
  const { blobs, named, missingCount, corruptCount, orphanedCount, orphanedBytes, wrongReferencesCount } =
    result
  const { weakenedCount } = result
  const problems = missingCount + corruptCount + orphanedCount + wrongReferencesCount + weakenedCount
  lines.push(
    `${blobs} blobs, ${named} named: ${missingCount} missing, ${corruptCount} damaged, ` +
      `${orphanedCount} orphaned (${orphanedBytes} bytes), ${wrongReferencesCount} counted wrong`,
  )
  if (weakenedCount > 0)
    lines.push(
      `${weakenedCount} blobs are whole, but had lost shards${repaired ? ', which are back' : ': --repair brings them back'}`,
    )
  if (problems === 0) lines.push('clean')
  else if (repaired && orphanedCount + wrongReferencesCount > 0) {
    lines.push('repaired: orphans are garbage now, references are counted right; what is missing stays named')
  }
  return `${lines.join('\n')}\n`
}

function damageText({ fid, owner }: Damage): string {
  const what = fid === undefined ? 'its content' : `blob ${fid}`
  switch (owner.kind) {
    case 'part':
      return `part ${owner.number} of upload ${owner.uploadId}, ${what}`
    case 'content':
      return `content ${owner.contentId}, ${what}`
    default:
      return `${owner.kind} ${JSON.stringify(owner.key)} of bucket ${owner.bucketId}, ${what}`
  }
}
