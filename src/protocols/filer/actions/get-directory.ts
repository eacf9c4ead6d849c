/** GET of a directory: its entries as JSON for programs, as a page for people. */
import { FILER_ENTRIES_DEFAULT, FILER_ENTRIES_MAX, LIST_KEYS_MAX } from '../../../base/limits.ts'
import { jsonOutcome, type Outcome, rawHeader } from '../../../net/reply.ts'
import type { Bucket, TreeEntry } from '../../../objects/object-store.ts'
import type { FilerContext, FilerRequest } from './context.ts'
import { type DirectoryListing, directoryPage } from './directory-page.ts'
import { entryJson } from './entry-json.ts'
import { BUCKETS } from './filer-path.ts'
import { matchesPattern, patternPrefix } from './name-pattern.ts'

/** Entries of one directory that are looked at, page by page, until enough match. */
interface Wanted {
  limit: number
  after: string
  pattern: string
  patternExclude: string
}

interface EntriesPage {
  entries: TreeEntry[]
  /** Undefined at the end. */
  next: string | undefined
}

/** Gives entries behind a name, in order. */
type NextEntries = (after: string | undefined, prefix: string) => Promise<EntriesPage>

/** Of a directory of a bucket. The root shows `buckets` too, where the others are shown. */
export function readDirectory(
  context: FilerContext,
  request: FilerRequest,
  bucket: Bucket,
): Promise<Outcome> {
  const { key, display } = request.path
  const showsBuckets = display === '' && context.showsBuckets
  return list(context, request, async (after, prefix) => {
    const page = await context.objects.listDirectory(bucket, key, { after, prefix, limit: LIST_KEYS_MAX })
    return showsBuckets ? withBuckets(page, after ?? '', prefix) : page
  })
}

/** Of the root, before there is anything in it. */
export function readNothing(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  return list(context, request, async (after, prefix) => {
    const nothing = { entries: [], next: undefined }
    return context.showsBuckets ? withBuckets(nothing, after ?? '', prefix) : nothing
  })
}

/** The page with `buckets` in its place, if that is on this page. */
function withBuckets(page: EntriesPage, after: string, prefix: string): EntriesPage {
  const { entries, next } = page
  const isLater = next !== undefined && BUCKETS > next
  if (BUCKETS <= after || isLater || !BUCKETS.startsWith(prefix)) return page
  const at = entries.findIndex(({ name }) => name > BUCKETS)
  const shown = entries.filter(({ name }) => name !== BUCKETS)
  shown.splice(at < 0 ? shown.length : at, 0, { name: BUCKETS, isDirectory: true, info: undefined })
  return { entries: shown, next }
}

/** Of `/buckets`. */
export function readBuckets(context: FilerContext, request: FilerRequest): Promise<Outcome> {
  return list(context, request, async (after, prefix) => {
    const { buckets, next } = await context.objects.listBuckets({ after, prefix, limit: LIST_KEYS_MAX })
    const entries = buckets.map(({ name }) => ({ name, isDirectory: true, info: undefined }))
    return { entries, next }
  })
}

async function list(context: FilerContext, request: FilerRequest, next: NextEntries): Promise<Outcome> {
  const { query, path, rawHeaders, method } = request
  const limit = query.number('limit') || FILER_ENTRIES_DEFAULT
  const wanted = {
    limit: Math.min(limit, FILER_ENTRIES_MAX),
    after: query.text('lastFileName'),
    pattern: query.text('namePattern'),
    patternExclude: query.text('namePatternExclude'),
  }
  const { entries, hasMore } = await collect(context, wanted, next)
  const lastFileName = entries.at(-1)?.name ?? wanted.after
  const listing = { path: path.display, entries, limit: wanted.limit, lastFileName, hasMore }
  const outcome = wantsJson(rawHeaders)
    ? listingJson(context, request, listing)
    : directoryPage(listing, query)
  outcome.headers.push('Vary', 'Accept', 'Cache-Control', 'no-cache')
  if (method === 'HEAD') return { ...outcome, body: undefined, sizeBytes: (outcome.body as Buffer).length }
  return outcome
}

/** Browsers name `text/html`; what names nothing gets the page, as from SeaweedFS. */
function wantsJson(rawHeaders: readonly string[]): boolean {
  const accept = rawHeader(rawHeaders, 'accept') ?? ''
  return accept.includes('application/json') && !accept.includes('text/html')
}

async function collect(
  context: FilerContext,
  wanted: Wanted,
  nextEntries: NextEntries,
): Promise<{ entries: TreeEntry[]; hasMore: boolean }> {
  const { limit, pattern, patternExclude } = wanted
  const prefix = patternPrefix(pattern)
  const found: TreeEntry[] = []
  let after: string | undefined = wanted.after === '' ? undefined : wanted.after
  for (;;) {
    const { entries, next } = await nextEntries(after, prefix)
    for (const entry of entries) {
      if (pattern !== '' && !matchesPattern(pattern, entry.name)) continue
      if (patternExclude !== '' && matchesPattern(patternExclude, entry.name)) continue
      if (found.length === limit) return { entries: found, hasMore: true }
      found.push(entry)
    }
    if (next === undefined) return { entries: found, hasMore: false }
    after = next
    // A page of metadata takes its time on this thread; others get their turn between two.
    await new Promise<void>((resolve) => context.clock.soon(resolve))
  }
}

function listingJson(context: FilerContext, request: FilerRequest, listing: DirectoryListing): Outcome {
  const { path, entries, limit, lastFileName, hasMore } = listing
  const shown = entries.map(({ name, isDirectory, info }) =>
    entryJson({ fullPath: `${path}/${name}`, isDirectory, info }),
  )
  const json = {
    Version: context.version,
    Path: path,
    Entries: shown.length === 0 ? null : shown,
    Limit: limit,
    LastFileName: lastFileName,
    ShouldDisplayLoadMore: hasMore,
    EmptyFolder: shown.length === 0,
  }
  return jsonOutcome(200, json, request.query.pretty)
}
