/** Whether the rows about bytes agree with each other and with the blobs that are there: nothing lost, nothing leaked. */

import { formatFid } from '../../src/base/fid.ts'
import { query, type Row, type Script, type Steps } from '../../src/meta/meta-store.ts'
import type { ContentKit } from './content-kit.ts'

interface Tables {
  rows: Row[]
  parts: Row[]
  uploads: Row[]
  contents: Row[]
  pages: Row[]
  garbage: Row[]
  usage: Row[]
}

const readAll: Script<null, Tables> = {
  name: 'test.readAll',
  *steps(): Steps<Tables> {
    const columns = 'bucket_id, size, content_id, blobs, flags'
    return {
      rows: [
        ...(yield query(`select ${columns} from object`)),
        ...(yield query(`select ${columns} from version`)),
      ],
      parts: yield query(
        'select p.upload_id, p.size, p.content_id, u.bucket_id from part p join upload u on u.upload_id = p.upload_id',
      ),
      uploads: yield query('select upload_id from upload'),
      contents: yield query('select content_id, bucket_id, refs, size, kind, sha256 from content'),
      pages: yield query('select content_id, page, entries from content_page'),
      garbage: yield query('select due_ms, blobs, content_id from garbage'),
      usage: yield query(
        'select bucket_id, sum(objects) as objects, sum(bytes) as bytes from bucket_usage group by bucket_id',
      ),
    }
  },
}

export interface Audit {
  problems: string[]
  /** Blobs that rows of objects, versions and parts lead to; and those that only garbage names. */
  named: number
  garbage: number
  contents: number
}

const hex = (bytes: unknown) => Buffer.from(bytes as Uint8Array).toString('hex')

export async function audit(kit: ContentKit): Promise<Audit> {
  const tables = await kit.meta.read(readAll, null)
  const problems: string[] = []
  const refs = new Map<string, number>()
  const refer = (id: unknown) => void refs.set(hex(id), (refs.get(hex(id)) ?? 0) + 1)
  for (const { content_id } of [...tables.rows, ...tables.parts]) if (content_id !== null) refer(content_id)
  const pages = new Map<string, Buffer[]>()
  for (const { content_id, page, entries } of tables.pages) {
    const list = pages.get(hex(content_id)) ?? []
    list[page as number] = Buffer.from(entries as Uint8Array)
    pages.set(hex(content_id), list)
  }
  const contents = new Map(tables.contents.map((row) => [hex(row.content_id), row]))
  const named = new Set<string>()
  const nameBlobs = (blobs: Buffer, owner: string) => {
    let bytes = 0
    for (let at = 0; at < blobs.length; at += 20) {
      const id = fidOf(blobs, at)
      if (named.has(id)) problems.push(`blob ${id} is named twice`)
      if (!kit.blobs.live.has(id)) problems.push(`blob ${id} of ${owner} is gone`)
      named.add(id)
      bytes += blobs.readUInt32BE(at + 16)
    }
    return bytes
  }
  for (const row of tables.rows) {
    if (row.blobs === null) continue
    const bytes = nameBlobs(Buffer.from(row.blobs as Uint8Array), 'a row')
    if (bytes !== row.size) problems.push(`a row of ${row.size} bytes has blobs of ${bytes}`)
  }
  const due = new Set(
    tables.garbage.filter((row) => row.content_id !== null).map((row) => hex(row.content_id)),
  )
  for (const [id, row] of contents) {
    const entries = Buffer.concat(pages.get(id) ?? [])
    if (row.refs === 0) {
      if (!due.has(id)) problems.push(`content ${id} without references is no garbage`)
      // What the collector has let go already is not counted any more; the test looks at the others.
    }
    let bytes = 0
    if (row.kind === 1 && row.refs !== 0) bytes = nameBlobs(entries, `content ${id}`)
    if (row.kind === 2)
      for (let at = 0; at < entries.length; at += 32) {
        const target = entries.subarray(at, at + 16).toString('hex')
        refer(entries.subarray(at, at + 16))
        bytes += Number(entries.readBigUInt64BE(at + 24))
        const end = entries.readBigUInt64BE(at + 16) + entries.readBigUInt64BE(at + 24)
        const inner = contents.get(target)
        if (inner === undefined || inner.kind !== 1 || BigInt(inner.size as number) < end)
          problems.push(`a segment of ${id} leads nowhere`)
      }
    if (row.refs !== 0 && bytes !== row.size) problems.push(`content ${id} of ${row.size} bytes has ${bytes}`)
  }
  for (const [id, row] of contents)
    if (row.refs !== (refs.get(id) ?? 0))
      problems.push(`content ${id}: refs ${row.refs}, not ${refs.get(id) ?? 0}`)
  for (const id of refs.keys()) if (!contents.has(id)) problems.push(`content ${id} is not there`)
  const uploads = new Set(tables.uploads.map(({ upload_id }) => hex(upload_id)))
  for (const { upload_id } of tables.parts)
    if (!uploads.has(hex(upload_id))) problems.push('a part without its upload')
  const unwanted = garbageBlobs(tables, contents, pages)
  for (const id of kit.blobs.live.keys())
    if (!named.has(id) && !unwanted.has(id)) problems.push(`blob ${id} is leaked`)
  for (const id of unwanted) if (named.has(id)) problems.push(`blob ${id} is both garbage and named`)
  problems.push(...usageProblems(tables))
  return { problems, named: named.size, garbage: unwanted.size, contents: contents.size }
}

function garbageBlobs(tables: Tables, contents: Map<string, Row>, pages: Map<string, Buffer[]>): Set<string> {
  const found = new Set<string>()
  const add = (blobs: Buffer) => {
    for (let at = 0; at < blobs.length; at += 20) found.add(fidOf(blobs, at))
  }
  for (const { blobs } of tables.garbage) if (blobs !== null) add(Buffer.from(blobs as Uint8Array))
  for (const [id, row] of contents)
    if (row.refs === 0 && row.kind === 1)
      for (const page of pages.get(id) ?? []) if (page !== undefined) add(page)
  return found
}

function usageProblems(tables: Tables): string[] {
  const counted = new Map<number, { objects: number; bytes: number }>()
  for (const { bucket_id, size, flags } of [...tables.rows, ...tables.parts]) {
    if (((flags as number | undefined) ?? 0) & 2) continue
    const sums = counted.get(bucket_id as number) ?? { objects: 0, bytes: 0 }
    counted.set(bucket_id as number, { objects: sums.objects + 1, bytes: sums.bytes + (size as number) })
  }
  return tables.usage.flatMap(({ bucket_id, objects, bytes }) => {
    const sums = counted.get(bucket_id as number) ?? { objects: 0, bytes: 0 }
    if (Number(objects) === sums.objects && Number(bytes) === sums.bytes) return []
    return [`usage ${objects}/${bytes}, not ${sums.objects}/${sums.bytes}`]
  })
}

function fidOf(blobs: Buffer, at: number): string {
  const [volumeId, keyHigh, keyLow, cookie] = [0, 4, 8, 12].map((offset) => blobs.readUInt32BE(at + offset))
  return formatFid({ volumeId: volumeId!, keyHigh: keyHigh!, keyLow: keyLow!, cookie: cookie! })
}
