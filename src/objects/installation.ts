/**
 * Which names the blobs of a cluster belong to. The metadata have a random id since their first bucket, and a blob in a small
 * collection of its own says it too. Otherwise, when the metadata were lost, or others are used by mistake, every blob would look
 * like an orphan and be removed.
 */
import { StoreError } from '../base/errors.ts'
import type { BlobStore, BlobVolume } from '../blobs/blob-store.ts'
import { type MetaStore, query, type Script, type Steps } from '../meta/meta-store.ts'

const OWNER_COLLECTION = '_owner'
const PREFIX = 'cairn names '
const OWNER_TEXT = /^cairn names ([0-9a-f]{1,32})\n$/
const SETTING = 'installation_id'

/** Gives the metadata their id, which is that of their first bucket. */
export function* ensureInstallationId(bucketId: number): Steps<void> {
  yield query(
    'insert into setting (name, value) values (?, ?) on conflict (name) do nothing',
    SETTING,
    bucketId.toString(16),
  )
}

/** Undefined: these metadata never had a bucket. */
const installationId: Script<null, string | undefined> = {
  name: 'installation.id',
  *steps() {
    const [row] = yield query('select value from setting where name = ?', SETTING)
    return row?.value as string | undefined
  },
}

export interface OwnedBlobs {
  meta: MetaStore
  blobs: BlobStore
  /** Volumes of objects. */
  collection: string
}

/**
 * Makes sure that the blobs of `collection` belong to these metadata, and says so where nothing says it yet. Call it before anything
 * is written or removed. Throws `conflict` when they belong to others, and `unavailable` when that cannot be known now.
 */
export async function claimBlobs(owned: OwnedBlobs): Promise<void> {
  const id = await assertOwnBlobs(owned)
  if (id === undefined) return
  await owned.blobs.write({ data: Buffer.from(`${PREFIX}${id}\n`), collection: OWNER_COLLECTION })
}

/** As `claimBlobs`, but only looks; gives the id that should be said, if any. */
export async function assertOwnBlobs({ meta, blobs, collection }: OwnedBlobs): Promise<string | undefined> {
  const volumes = await blobs.volumes()
  const id = await meta.read(installationId, null)
  const owners = await ownersOf(blobs, volumes)
  if (id !== undefined && owners.has(id)) return undefined
  const holdsBlobs = volumes.some((volume) => volume.collection === collection && volume.entries > 0)
  if (owners.size > 0 || (id === undefined && holdsBlobs)) {
    throw new StoreError(
      'conflict',
      'the volumes hold objects of other names than these. Is --metadata another one than before? ' +
        'Names that were lost come back from the volumes by `cairn fsck --rebuild`.',
    )
  }
  // Before there is something to protect, no volume is made for it.
  return holdsBlobs ? id : undefined
}

/** Ids that the cluster's volumes name as their owners. */
async function ownersOf(blobs: BlobStore, volumes: readonly BlobVolume[]): Promise<Set<string>> {
  const owners = new Set<string>()
  for (const { volumeId, collection, entries } of volumes) {
    if (collection !== OWNER_COLLECTION) continue
    for await (const batch of blobs.list(volumeId, 0, entries)) {
      for (const { id } of batch) {
        if (id.cookie === undefined) continue
        const bytes = await blobs.read({ ...id, cookie: id.cookie })
        const owner = OWNER_TEXT.exec(bytes.toString('latin1'))?.[1]
        if (owner !== undefined) owners.add(owner)
      }
    }
  }
  return owners
}
