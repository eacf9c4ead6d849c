/** `?tagging`: `Seaweed-*` pairs of a file or directory, set and removed without new bytes. */
import { StoreError } from '../../../base/errors.ts'
import { PAIRS_BYTES_MAX } from '../../../base/limits.ts'
import type { Outcome } from '../../../net/reply.ts'
import type { Bucket, TreeEntry } from '../../../objects/object-store.ts'
import type { FilerContext, FilerRequest } from './context.ts'
import { bucketOf } from './context.ts'
import { canonicalName, pairsOf } from './file-headers.ts'

type Pair = readonly [name: string, value: string]

/** Throws `not_found`, `too_large`. */
export async function putTags(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  const { bucket, key, pairs } = await taggedOf(context, request)
  const given = pairsOf(request.rawHeaders)
  const names = new Set(given.map(([name]) => name))
  await setPairs(context, { bucket, key }, [...pairs.filter(([name]) => !names.has(name)), ...given])
  return { status: 202, headers: [], body: undefined }
}

/** Throws `not_found`. */
export async function deleteTags(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  const { bucket, key, pairs } = await taggedOf(context, request)
  const names = request.query
    .text('tagging')
    .split(',')
    .filter((name) => name !== '')
  const doomed = new Set(names.map((name) => canonicalName(`Seaweed-${name}`)))
  const kept = names.length === 0 ? [] : pairs.filter(([name]) => !doomed.has(name))
  if (kept.length === pairs.length) return { status: 304, headers: [], body: undefined }
  await setPairs(context, { bucket, key }, kept)
  return { status: 202, headers: [], body: undefined }
}

async function taggedOf(
  context: FilerContext,
  { path }: FilerRequest,
): Promise<{ bucket: Bucket; key: string; pairs: readonly Pair[] }> {
  const bucket = await bucketOf(context, path)
  const entry: TreeEntry | undefined = await context.objects.stat(bucket, path.key)
  if (entry?.info === undefined) throw new StoreError('not_found', `${path.display || '/'} is not found`)
  return { bucket, key: entry.info.key, pairs: entry.info.attributes.extended ?? [] }
}

async function setPairs(
  { objects }: FilerContext,
  at: { bucket: Bucket; key: string },
  pairs: readonly Pair[],
): Promise<void> {
  const bytes = pairs.reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (bytes > PAIRS_BYTES_MAX)
    throw new StoreError('too_large', `Seaweed-* headers over ${PAIRS_BYTES_MAX} bytes`)
  await objects.setAttributes(at, { extended: pairs })
}
