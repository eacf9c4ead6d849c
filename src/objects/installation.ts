/**
 * Which names the blobs of a cluster belong to. The metadata have a random id, and a blob in a small collection of its own says it
 * too. Otherwise, when the metadata were lost, or others are used by mistake, every blob would look like an orphan and be removed.
 */
import { StoreError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore, BlobVolume } from '../blobs/blob-store.ts'
import { type MetaStore, query, type Script } from '../meta/meta-store.ts'

const OWNER_COLLECTION = '_owner'
const ID_BYTES = 16
const PREFIX = 'cairn names '
const ID_TEXT = /^cairn names ([0-9a-f]{32})\n$/
const SETTING = 'installation_id'

/** The id of these metadata; the one that is given, when they have none. */
export const installationId: Script<{ newId: string }, { id: string; isNew: boolean }> = {
  name: 'installation.id',
  *steps({ newId }) {
    const [row] = yield query('select value from setting where name = ?', SETTING)
    if (row !== undefined) return { id: row.value as string, isNew: false }
    yield query('insert into setting (name, value) values (?, ?)', SETTING, newId)
    return { id: newId, isNew: true }
  },
}

/** Gives an id back that nothing was stored under. */
export const forgetInstallationId: Script<{ id: string }, null> = {
  name: 'installation.forget',
  *steps({ id }) {
    yield query('delete from setting where name = ? and value = ?', SETTING, id)
    return null
  },
}

export const INSTALLATION_SCRIPTS = [installationId, forgetInstallationId] as const

/**
 * Makes sure that the blobs of `collection` belong to these metadata, and says so where nothing says it yet. Call it before anything
 * is written or removed. Throws `conflict` when they belong to others, and `unavailable` when that cannot be known now.
 */
export async function claimBlobs(options: {
  meta: MetaStore
  blobs: BlobStore
  random: Random
  collection: string
}): Promise<void> {
  const { meta, blobs, random, collection } = options
  const volumes = await blobs.volumes()
  const newId = random.bytes(ID_BYTES).toString('hex')
  const { id, isNew } = await meta.write(installationId, { newId })
  const owners = await ownersOf(blobs, volumes)
  if (owners.has(id)) return
  const holdsBlobs = volumes.some((volume) => volume.collection === collection && volume.entries > 0)
  if (owners.size > 0 || (isNew && holdsBlobs)) {
    if (isNew) await meta.write(forgetInstallationId, { id })
    throw new StoreError(
      'conflict',
      'the volumes hold objects of other names than these: were the metadata lost, or is --metadata another one than before?',
    )
  }
  // Before there is something to protect, no volume is made for it.
  if (holdsBlobs) await blobs.write({ data: Buffer.from(`${PREFIX}${id}\n`), collection: OWNER_COLLECTION })
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
        const owner = ID_TEXT.exec(bytes.toString('latin1'))?.[1]
        if (owner !== undefined) owners.add(owner)
      }
    }
  }
  return owners
}
