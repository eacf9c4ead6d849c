/** The command line of AWS: large files in parts, by its own code and by AWS's C library, and folders in step. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noClients } from '../../script/clients.ts'
import { type AwsKit, startAws } from './aws-kit.ts'
import { type ClientKit, digestOf, MIB } from './client-kit.ts'

describe('awscli: transfers', { skip: noClients('python') }, () => {
  let kit: ClientKit
  let aws: AwsKit['aws']

  before(async () => {
    const started = await startAws()
    kit = started.kit
    aws = started.aws
  })
  after(() => kit?.close())

  test('100 MiB go up in parts and come back the same', async () => {
    const path = kit.file('large', 100 * MIB)
    await aws('s3', 'cp', 'large', 's3://mybucket/large', '--only-show-errors')
    const head = JSON.parse(await aws('s3api', 'head-object', '--bucket', 'mybucket', '--key', 'large'))
    assert.match(head.ETag, /-13"$/)
    await aws('s3', 'cp', 's3://mybucket/large', 'large.back', '--only-show-errors')
    assert.equal(await digestOf(join(kit.home, 'large.back')), await digestOf(path))
  })

  test("the transfer client of AWS's C library", async () => {
    kit.file('crt', 20 * MIB)
    const env = { AWS_CONFIG_FILE: join(kit.home, 'crt-config') }
    writeFileSync(env.AWS_CONFIG_FILE, '[default]\ns3 =\n  preferred_transfer_client = crt\n')
    const copy = (...words: string[]) =>
      kit.run('aws', ['--endpoint-url', kit.endpoint, 's3', 'cp', '--only-show-errors', ...words], { env })
    await copy('crt', 's3://mybucket/crt')
    await copy('s3://mybucket/crt', 'crt.back')
    assert.equal(await digestOf(join(kit.home, 'crt.back')), await digestOf(join(kit.home, 'crt')))
  })

  test('sync up, again, with --delete, and down', async () => {
    const names = ['a.txt', 'b/c d.txt', 'b/ü+%25&.txt', 'b/d/e.txt']
    for (const name of names) kit.file(`up/${name}`, 1000 + name.length)
    assert.equal((await aws('s3', 'sync', 'up', 's3://mybucket/synced')).match(/upload:/g)?.length, 4)
    assert.equal(await aws('s3', 'sync', 'up', 's3://mybucket/synced'), '')
    rmSync(join(kit.home, 'up', 'a.txt'))
    assert.match(await aws('s3', 'sync', '--delete', 'up', 's3://mybucket/synced'), /^delete: .*a\.txt\n$/)
    mkdirSync(join(kit.home, 'down'))
    await aws('s3', 'sync', 's3://mybucket/synced', 'down')
    const filesOf = (folder: string) => readdirSync(join(kit.home, folder), { recursive: true }).sort()
    assert.deepEqual(filesOf('down'), filesOf('up'))
    for (const name of names.slice(1)) {
      assert.equal(await digestOf(join(kit.home, 'down', name)), await digestOf(join(kit.home, 'up', name)))
    }
  })
})
