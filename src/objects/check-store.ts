/**
 * The comparison of all names with all blobs, both ways, for `cairn fsck`: blobs that are missing or damaged and whose they are,
 * blobs that nothing names, and references that are counted wrong.
 */
import type { Clock } from '../base/clock.ts'
import { blobVolumeOf, groupMembers, isErasure } from '../base/erasure-id.ts'
import { type ErrorCode, toStoreError } from '../base/errors.ts'
import { formatFid } from '../base/fid.ts'
import { CHECK_DETAILS_MAX, SEARCHED_BLOBS_AT_ONCE } from '../base/limits.ts'
import type { Random } from '../base/random.ts'
import type { BlobStore, BlobVolume } from '../blobs/blob-store.ts'
import type { MetaStore } from '../meta/meta-store.ts'
import type { AnyScript } from '../meta/run-steps.ts'
import { BlobTable, type SizedBlob } from './content/blob-table.ts'
import { BLOB_ENTRY_BYTES, blobAt, unpackSegments } from './content/entries.ts'
import { type NameVisitor, type Owner, scanNames } from './content/name-scan.ts'
import { isLengthOf } from './content/sealed-blob.ts'
import { correctReferences } from './content/sweep-scripts.ts'
import { leaveAll } from './orphans.ts'

/** Scripts that write, for the thread that runs them. */
export const CHECK_SCRIPTS: readonly AnyScript[] = [correctReferences]

export interface CheckOptions {
  meta: MetaStore
  blobs: BlobStore
  clock: Clock
  random: Random
  /** Only here is what nothing names an orphan: others may keep blobs of their own elsewhere. */
  collection: string
  /** Blobs that were appended later may be on their way to their names. Absent: nobody writes. */
  appendedBeforeMs?: number
  /** Orphans become garbage, and references are counted right. What is missing stays named. Nobody else may write. */
  repair?: boolean
  /** Reads every blob that is named. */
  verify?: boolean
  onProgress?: (progress: CheckProgress) => void
  /** Default SEARCHED_BLOBS_AT_ONCE. */
  blobsAtOnce?: number
}

export interface CheckProgress {
  step: 'list' | 'compare' | 'verify'
  /** Blobs so far in this step. */
  blobs: number
}

/** Whose bytes are damaged. `content` is one that no object leads to. */
export type DamagedOwner =
  | { kind: 'object' | 'version'; bucketId: number; key: string; rank: number }
  | { kind: 'part'; uploadId: string; number: number }
  | { kind: 'content'; contentId: string }

export interface Damage {
  /** The blob, as a file id; undefined where a whole content is missing. */
  fid: string | undefined
  code: ErrorCode
  owner: DamagedOwner
}

export interface WrongReferences {
  contentId: string
  refs: number
  counted: number
}

export interface StoreCheck {
  /** Blobs of the collection, and all that rows name. */
  blobs: number
  named: number
  /** Up to CHECK_DETAILS_MAX of each; a blob that several objects share is told once for each of them. */
  missing: Damage[]
  corrupt: Damage[]
  orphaned: string[]
  wrongReferences: WrongReferences[]
  missingCount: number
  corruptCount: number
  orphanedCount: number
  orphanedBytes: number
  wrongReferencesCount: number
  /** Blobs with all their bytes, of whose shards some are lost, or were before they were repaired. */
  weakenedCount: number
}

/** Throws `unavailable` when a volume server does not answer, and what reading volumes and metadata throws. */
export async function checkStore(options: CheckOptions): Promise<StoreCheck> {
  return await new Check(options).run()
}

interface ContentCount {
  /** Undefined: there is no such content. */
  refs: number | undefined
  counted: number
  isGarbage: boolean
}

class Check {
  readonly #options: CheckOptions
  readonly #result: StoreCheck = {
    ...{ blobs: 0, named: 0, missing: [], corrupt: [], orphaned: [], wrongReferences: [] },
    ...{
      missingCount: 0,
      corruptCount: 0,
      orphanedCount: 0,
      orphanedBytes: 0,
      wrongReferencesCount: 0,
      weakenedCount: 0,
    },
  }
  /** What is wrong with blobs, by file id. */
  readonly #damage = new Map<string, ErrorCode>()
  readonly #missingContents = new Set<string>()
  readonly #weakened = new Set<string>()

  constructor(options: CheckOptions) {
    this.#options = options
  }

  async run(): Promise<StoreCheck> {
    const volumes = (await this.#options.blobs.volumes()).sort((a, b) => a.volumeId - b.volumeId)
    const known = new Set(volumes.map(idVolume))
    let table = new BlobTable()
    let block: BlobVolume[] = []
    let isFirst = true
    for (const [at, volume] of volumes.entries()) {
      await this.#list(volume, table)
      block.push(volume)
      const next = volumes[at + 1]
      const isFull = table.count >= (this.#options.blobsAtOnce ?? SEARCHED_BLOBS_AT_ONCE)
      // The volumes of an erasure group stay together.
      if (next !== undefined && (!isFull || idVolume(next) === idVolume(volume))) continue
      await this.#compare(table, block, isFirst ? known : undefined)
      table = new BlobTable()
      block = []
      isFirst = false
    }
    // Also where there is no volume at all.
    if (isFirst) await this.#compare(table, block, known)
    await this.#findOwners()
    this.#result.weakenedCount = this.#weakened.size
    return this.#result
  }

  async #list({ volumeId }: BlobVolume, table: BlobTable): Promise<void> {
    for await (const batch of this.#options.blobs.list(volumeId, 0)) {
      for (const { id, sizeBytes, appendedMs } of batch) {
        const { appendedBeforeMs = Number.POSITIVE_INFINITY } = this.#options
        if (id.cookie !== undefined)
          table.add({ ...id, cookie: id.cookie }, sizeBytes, appendedMs >= appendedBeforeMs)
      }
      this.#options.onProgress?.({ step: 'list', blobs: table.count })
    }
  }

  /** `known`: with the first block also what no volume can have, and the counts of references. */
  async #compare(
    table: BlobTable,
    block: BlobVolume[],
    known: ReadonlySet<number> | undefined,
  ): Promise<void> {
    const ids = new Set(block.map(idVolume))
    const suspects = await this.#named(table, (id) => ids.has(id) || known?.has(id) === false)
    for (const blob of suspects.unnamed()) await this.#look(blob)
    if (this.#options.verify) await this.#verify(table)
    if (known !== undefined) await this.#checkReferences()
    const own = new Set(block.filter((each) => each.collection === this.#options.collection).map(idVolume))
    await this.#orphans(table, own)
  }

  /** Marks what is named; gives what is named and not there, or not as it should be. */
  async #named(table: BlobTable, isMeant: (volumeId: number) => boolean): Promise<BlobTable> {
    const suspects = new BlobTable()
    let named = 0
    const ended = new EndedContents()
    await scanNames(this.#options, {
      content: (row) => ended.note(row),
      blobs(blobs, owner) {
        for (let at = 0; at < blobs.length / BLOB_ENTRY_BYTES; at++) {
          const blob = blobAt(blobs, at)
          if (!isMeant(blob.volumeId)) continue
          const isRight = table.name(blob, blob.sizeBytes) && table.timesOf(blob) >= volumesOf(blob)
          if (ended.has(owner)) continue
          named++
          if (!isRight) suspects.add(blob, blob.sizeBytes)
        }
      },
    })
    this.#result.named += named
    this.#options.onProgress?.({ step: 'compare', blobs: this.#result.named })
    return suspects
  }

  /** Reads a blob that was not listed as it should be: it may have been written, or moved, meanwhile. */
  async #look(blob: SizedBlob): Promise<void> {
    try {
      const { repair = false } = this.#options
      const { sizeBytes, shardsLost } = await this.#options.blobs.verify(blob, { repair })
      if (!isLengthOf(blob.sizeBytes, sizeBytes)) this.#damage.set(formatFid(blob), 'corrupt')
      else if (shardsLost > 0) this.#weakened.add(formatFid(blob))
    } catch (error) {
      this.#damage.set(formatFid(blob), toStoreError(error).code)
    }
  }

  async #verify(table: BlobTable): Promise<void> {
    let blobs = 0
    for (const blob of table.named()) {
      await this.#look(blob)
      if (++blobs % 1000 === 0) this.#options.onProgress?.({ step: 'verify', blobs })
    }
  }

  async #orphans(table: BlobTable, own: ReadonlySet<number>): Promise<void> {
    const result = this.#result
    const orphans = function* () {
      for (const blob of table.unnamed()) if (own.has(blob.volumeId)) yield blob
    }
    for (const blob of table.named()) if (own.has(blob.volumeId)) result.blobs++
    for (const blob of orphans()) {
      result.blobs++
      result.orphanedCount++
      result.orphanedBytes += blob.sizeBytes
      if (result.orphaned.length < CHECK_DETAILS_MAX) result.orphaned.push(formatFid(blob))
    }
    if (this.#options.repair) await leaveAll(this.#options, orphans(), this.#options.clock.nowMs())
  }

  async #checkReferences(): Promise<void> {
    const contents = new Map<string, ContentCount>()
    const at = (contentId: Buffer) => {
      const id = contentId.toString('hex')
      const found = contents.get(id) ?? { refs: undefined, counted: 0, isGarbage: false }
      contents.set(id, found)
      return found
    }
    await scanNames(this.#options, {
      blobs() {},
      reference(contentId, owner) {
        if (owner.kind === 'garbage') at(contentId).isGarbage = true
        else at(contentId).counted++
      },
      segments(entries) {
        for (const { contentId } of unpackSegments(entries)) at(contentId).counted++
      },
      content({ content_id, refs }) {
        at(content_id).refs = refs
      },
    })
    const { wrongReferences } = this.#result
    for (const [contentId, { refs, counted, isGarbage }] of contents) {
      if (refs === undefined) {
        // Of garbage another collector may have removed it a moment ago.
        if (counted > 0) this.#missingContents.add(contentId)
        continue
      }
      if (refs === counted && (refs > 0 || isGarbage)) continue
      this.#result.wrongReferencesCount++
      if (wrongReferences.length < CHECK_DETAILS_MAX) wrongReferences.push({ contentId, refs, counted })
      if (!this.#options.repair) continue
      const nowMs = this.#options.clock.nowMs()
      await this.#options.meta.write(correctReferences, {
        ...{ refs, counted, nowMs },
        contentId: Buffer.from(contentId, 'hex'),
      })
    }
  }

  /** Whose the damage is: of contents, that of all who lead to them. */
  async #findOwners(): Promise<void> {
    if (this.#damage.size === 0 && this.#missingContents.size === 0) return
    /** What is wrong with contents: file id and code. */
    const contents = new Map<string, { fid: string | undefined; code: ErrorCode }>()
    for (const id of this.#missingContents) contents.set(id, { fid: undefined, code: 'not_found' })
    // Segments name contents that are found to be damaged in the same pass, before or after them.
    for (let before = -1; before < contents.size; ) {
      before = contents.size
      await scanNames(this.#options, this.#contentVisitor(contents))
    }
    const reached = new Set<string>()
    await scanNames(this.#options, {
      blobs: (blobs, owner) => {
        if (owner.kind === 'content' || owner.kind === 'garbage') return
        for (const { fid, code } of this.#damagedIn(blobs)) this.#report(fid, code, owner)
      },
      reference: (contentId, owner) => {
        const id = contentId.toString('hex')
        const wrong = contents.get(id)
        if (wrong === undefined || owner.kind === 'garbage') return
        reached.add(id)
        this.#report(wrong.fid, wrong.code, owner)
      },
      segments(entries, contentId) {
        if (!contents.has(contentId.toString('hex'))) return
        for (const segment of unpackSegments(entries)) reached.add(segment.contentId.toString('hex'))
      },
    })
    for (const [id, { fid, code }] of contents)
      if (!reached.has(id)) this.#report(fid, code, { kind: 'content', contentId: Buffer.from(id, 'hex') })
  }

  #contentVisitor(contents: Map<string, { fid: string | undefined; code: ErrorCode }>): NameVisitor {
    const ended = new EndedContents()
    return {
      content: (row) => ended.note(row),
      blobs: (blobs, owner) => {
        if (owner.kind !== 'content' || ended.has(owner)) return
        const [wrong] = this.#damagedIn(blobs)
        if (wrong !== undefined) contents.set(owner.contentId.toString('hex'), wrong)
      },
      segments(entries, contentId) {
        if (ended.has({ kind: 'content', contentId })) return
        for (const segment of unpackSegments(entries)) {
          const wrong = contents.get(segment.contentId.toString('hex'))
          if (wrong !== undefined) contents.set(contentId.toString('hex'), wrong)
        }
      },
    }
  }

  *#damagedIn(blobs: Buffer): Generator<{ fid: string; code: ErrorCode }> {
    for (let at = 0; at < blobs.length / BLOB_ENTRY_BYTES; at++) {
      const fid = formatFid(blobAt(blobs, at))
      const code = this.#damage.get(fid)
      if (code !== undefined) yield { fid, code }
    }
  }

  #report(fid: string | undefined, code: ErrorCode, owner: Owner): void {
    const result = this.#result
    const isMissing = code === 'not_found' || code === 'volume_not_found' || code === 'unavailable'
    if (isMissing) result.missingCount++
    else result.corruptCount++
    const list = isMissing ? result.missing : result.corrupt
    if (list.length < CHECK_DETAILS_MAX) list.push({ fid, code, owner: damagedOwner(owner) })
  }
}

/** The volume that ids of its blobs name. */
const idVolume = ({ volumeId }: { volumeId: number }) => blobVolumeOf(volumeId)

/** Volumes that should have something of a blob. */
function volumesOf({ volumeId }: SizedBlob): number {
  return isErasure(volumeId) ? groupMembers(volumeId).length : 1
}

/** Contents that nothing refers to: the collector may have removed their blobs before their pages. */
class EndedContents {
  readonly #ids = new Set<string>()

  note({ content_id, refs }: { content_id: Buffer; refs: number }): void {
    if (refs === 0) this.#ids.add(content_id.toString('latin1'))
  }

  /** Also true of garbage itself. */
  has(owner: Owner): boolean {
    if (owner.kind === 'garbage') return true
    return owner.kind === 'content' && this.#ids.has(owner.contentId.toString('latin1'))
  }
}

function damagedOwner(owner: Owner): DamagedOwner {
  switch (owner.kind) {
    case 'object':
    case 'version':
      return { ...owner, key: owner.key.toString() }
    case 'part':
      return { ...owner, uploadId: owner.uploadId.toString('hex') }
    case 'content':
      return { ...owner, contentId: owner.contentId.toString('hex') }
    case 'garbage':
      throw new Error('garbage has no owner')
  }
}
