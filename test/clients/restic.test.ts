/** restic: a repository in a bucket, two backups, and one that is restored, checked and pruned. */
import assert from 'node:assert/strict'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ClientKit, digestOf, MIB, noPrograms, startClients } from './client-kit.ts'

describe('restic', { skip: noPrograms('restic') }, () => {
  let kit: ClientKit
  const restic = async (...words: string[]) => {
    const env = { RESTIC_REPOSITORY: `s3:${kit.endpoint}/backups/of me`, RESTIC_PASSWORD: 'a password' }
    return (await kit.run('restic', words, { env })).stdout
  }
  const filesOf = (folder: string) =>
    (readdirSync(folder, { recursive: true }) as string[])
      .filter((name) => statSync(join(folder, name)).isFile())
      .sort()

  before(async () => {
    kit = await startClients()
  })
  after(() => kit?.close())

  test('init, backup, check, restore, forget and prune', async () => {
    for (let i = 0; i < 100; i++) kit.file(`home/${i % 5}/file ${i}`, 1000 + i)
    kit.file('home/large', 12 * MIB)
    await restic('init')
    await restic('backup', 'home')
    rmSync(join(kit.home, 'home/0'), { recursive: true })
    kit.file('home/later', 2 * MIB)
    await restic('backup', 'home')
    assert.match(await restic('check', '--read-data'), /no errors were found/)
    await restic('restore', 'latest', '--target', 'restored')
    const [from, restored] = [join(kit.home, 'home'), join(kit.home, 'restored', 'home')]
    assert.deepEqual(filesOf(restored), filesOf(from))
    for (const name of ['large', 'later', '3/file 8'])
      assert.equal(await digestOf(join(restored, name)), await digestOf(join(from, name)))
    await restic('forget', '--keep-last', '1', '--prune')
    assert.equal(JSON.parse(await restic('snapshots', '--json')).length, 1)
  })
})
