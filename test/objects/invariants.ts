/** What `docs/formats/metadata.md` says is always so, asked of the tables themselves. */
import assert from 'node:assert/strict'
import { type MetaStore, query, type Row, type Script, type Steps } from '../../src/meta/meta-store.ts'

const readRows: Script<string, Row[]> = {
  name: 'test.rows',
  *steps(sql): Steps<Row[]> {
    return yield query(sql)
  },
}

/** Each statement selects what must not be there. */
const NEVER: Record<string, string> = {
  'an object is newer than all versions of its key':
    'select o.key from object o join version v on v.bucket_id = o.bucket_id and v.key = o.key where v.rank <= o.rank',
  'an object is no delete marker': 'select key from object where (flags & 2) = 2',
  'without an object the newest version is a delete marker': `select key from version v where (flags & 2) = 0
     and rank = (select min(rank) from version w where w.bucket_id = v.bucket_id and w.key = v.key)
     and not exists (select 1 as one from object o where o.bucket_id = v.bucket_id and o.key = v.key)`,
  'a key has one null version': `select key from (select bucket_id, key from object where (flags & 1) = 1
     union all select bucket_id, key from version where (flags & 1) = 1) as nulls
     group by bucket_id, key having count(*) > 1`,
  'only buckets that keep versions have some':
    'select key from version v join bucket b on b.bucket_id = v.bucket_id where b.versioning = 0',
  'bytes are in one place': 'select key from object where blobs is not null and content_id is not null',
  'usage is what is there': `select bucket_id from bucket b where
     (select coalesce(sum(bytes), 0) from bucket_usage u where u.bucket_id = b.bucket_id) <>
     (select coalesce(sum(size), 0) from object o where o.bucket_id = b.bucket_id) +
     (select coalesce(sum(size), 0) from version v where v.bucket_id = b.bucket_id) +
     (select coalesce(sum(p.size), 0) from part p join upload w on w.upload_id = p.upload_id
       where w.bucket_id = b.bucket_id)`,
}

const REFS = `select content_id, sum(count) as count from (
    select content_id, 1 as count from object where content_id is not null
    union all select content_id, 1 as count from version where content_id is not null
    union all select content_id, 1 as count from part) as named group by content_id`

/** Throws where one does not hold. */
export async function checkInvariants(meta: MetaStore): Promise<void> {
  for (const [name, sql] of Object.entries(NEVER))
    assert.deepEqual(await meta.read({ ...readRows, name: `test.${name}` }, sql), [], name)
  await checkReferences(meta)
}

async function checkReferences(meta: MetaStore): Promise<void> {
  const named = new Map<string, number>()
  const hex = (value: unknown) => (value as Buffer).toString('hex')
  const add = (id: string, count: number) => named.set(id, (named.get(id) ?? 0) + count)
  for (const { content_id, count } of await meta.read(readRows, REFS)) add(hex(content_id), count as number)
  const pages =
    'select p.entries from content_page p join content c on c.content_id = p.content_id where c.kind = 2'
  for (const { entries } of await meta.read(readRows, pages)) {
    const bytes = entries as Buffer
    for (let at = 0; at < bytes.length; at += 32) add(hex(bytes.subarray(at, at + 16)), 1)
  }
  const contents = await meta.read(readRows, 'select content_id, refs from content')
  for (const { content_id, refs } of contents) {
    const id = hex(content_id)
    assert.equal(refs, named.get(id) ?? 0, `references to content ${id}`)
    named.delete(id)
  }
  assert.deepEqual([...named], [], 'contents that are named are there')
  const garbage = await meta.read(readRows, 'select content_id from garbage where content_id is not null')
  const waiting = new Set(garbage.map((row) => hex(row.content_id)))
  for (const { content_id, refs } of contents)
    assert.equal(refs === 0, waiting.has(hex(content_id)), 'what nothing refers to is garbage')
}
