/** Redundancy on fewer than six directories, and on more of them as time goes by. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startServer } from '../support/cairn-process.ts'
import { temporaryDirectory } from '../support/real-store.ts'

async function put(door: string, name: string): Promise<void> {
  const digest = createHash('sha256').update(name).digest('base64')
  const headers = { Digest: `SHA-256=${digest}` }
  const reply = await fetch(`http://${door}/objects/${name}`, { method: 'PUT', headers, body: name })
  assert.equal(reply.status, 200, `${name}: ${await reply.text()}`)
}

async function assertThere(door: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const reply = await fetch(`http://${door}/objects/${name}`)
    assert.equal(await reply.text(), name)
    assert.equal(reply.status, 200)
  }
}

test('one directory, then two, then eight: what is there is read, and new groups spread once there are six', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const disks = Array.from({ length: 8 }, (_, at) => join(path, `d${at + 1}`))
  const start = async (count: number, flags: string[] = []) => {
    const server = await startServer(disks.slice(0, count).join(','), flags)
    t.after(() => server.kill())
    return server
  }
  const one = await start(1)
  await put(one.objects, 'first')
  await one.stop()
  const two = await start(2)
  await assertThere(two.objects, ['first'])
  await put(two.objects, 'second')
  await two.stop()
  assert.deepEqual(globSync(join(disks[1]!, 'shards*')), [])
  const all = await start(8, ['--bucket-redundancy', 'objects=rs-2-1'])
  await assertThere(all.objects, ['first', 'second'])
  await put(all.objects, 'third')
  await assertThere(all.objects, ['first', 'second', 'third'])
  const onDisks = disks.flatMap((disk) => globSync(join(disk, '_objects_*.dat')))
  assert.equal(onDisks.filter((dat) => /_\d{10}\.dat$/.test(dat)).length, 3)
  await all.stop()
})

test('three directories have two shards each, and any of them may be lost', async (t) => {
  const { path, remove } = temporaryDirectory()
  t.after(remove)
  const disks = ['a', 'b', 'c'].map((name) => join(path, name))
  const server = await startServer(disks.join(','), ['--redundancy', 'rs-4-2'])
  t.after(() => server.kill())
  await put(server.objects, 'object')
  for (const disk of disks) assert.equal(globSync(join(disk, 'shards*', '_objects_*.dat')).length, 2, disk)
  for (const shards of globSync(join(disks[1]!, 'shards*'))) rmSync(shards, { recursive: true })
  await assertThere(server.objects, ['object'])
  await server.stop()
})
