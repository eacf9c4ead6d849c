/** The command line of AWS, with its default settings: the commands that people type, and each checksum it can send. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { type ClientKit, digestOf, MIB, startClients } from './client-kit.ts'

describe('awscli', { skip: noClients('python') }, () => {
  let kit: ClientKit
  const aws = async (...words: string[]) =>
    (await kit.run('aws', ['--endpoint-url', kit.endpoint, ...words])).stdout

  before(async () => {
    kit = await startClients(join(clientDirectory('python'), 'bin'))
    await aws('s3', 'mb', 's3://mybucket')
  })
  after(() => kit?.close())

  test('configure, ls, cp, list-objects, rm', async () => {
    await kit.run('aws', ['configure', 'set', 'default.s3.signature_version', 's3v4'])
    writeFileSync(join(kit.home, 'aa.html'), '<p>aa</p>')
    await aws('s3', 'cp', 'aa.html', 's3://mybucket')
    assert.match(await aws('s3', 'ls'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d mybucket\n$/)
    assert.match(await aws('s3', 'ls', 's3://mybucket'), / 9 aa\.html\n$/)
    const query = ['--query', 'Contents[].[Key,Size]', '--output', 'json']
    const listed = JSON.parse(await aws('s3api', 'list-objects', '--bucket', 'mybucket', ...query))
    assert.deepEqual(listed, [['aa.html', 9]])
    const head = JSON.parse(await aws('s3api', 'head-object', '--bucket', 'mybucket', '--key', 'aa.html'))
    assert.equal(head.ContentType, 'text/html')
    await aws('s3', 'mv', 's3://mybucket/aa.html', 's3://mybucket/folder/bb.html')
    assert.equal(await aws('s3', 'cp', 's3://mybucket/folder/bb.html', '-'), '<p>aa</p>')
    await aws('s3', 'rm', 's3://mybucket/folder', '--recursive')
    assert.equal(await aws('s3', 'ls', 's3://mybucket'), '')
  })

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

  test('a presigned link is read by curl', async () => {
    kit.file('signed', 5000)
    await aws('s3', 'cp', 'signed', 's3://mybucket/a b/signed+', '--metadata', 'who=me')
    const link = (await aws('s3', 'presign', 's3://mybucket/a b/signed+', '--expires-in', '60')).trim()
    await kit.run('curl', ['--fail', '--silent', '--show-error', '--output', 'signed.back', link])
    assert.deepEqual(readFileSync(join(kit.home, 'signed.back')), readFileSync(join(kit.home, 'signed')))
    await kit.run('curl', ['--fail', '--silent', link.replace('signed%2B', 'other')], { code: 22 })
  })

  test('every checksum that it can send is verified, kept and checked again by it', async () => {
    kit.file('sums', 20_000)
    const algorithms = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']
    for (const algorithm of algorithms) {
      const place = ['--bucket', 'mybucket', '--key', `sums/${algorithm}`]
      const put = await aws(
        's3api',
        'put-object',
        ...place,
        '--body',
        'sums',
        '--checksum-algorithm',
        algorithm,
      )
      assert.ok(JSON.parse(put)[`Checksum${algorithm}`])
    }
    const list = await aws('s3api', 'list-objects-v2', '--bucket', 'mybucket', '--prefix', 'sums/')
    const kept = JSON.parse(list).Contents.map(
      (each: { ChecksumAlgorithm: string[] }) => each.ChecksumAlgorithm,
    )
    assert.deepEqual(kept.flat(), algorithms)
    // A download asks for the checksum, and fails where it is wrong.
    await aws('s3', 'cp', '--recursive', '--only-show-errors', 's3://mybucket/sums/', 'sums.back')
    for (const algorithm of algorithms)
      assert.equal(
        await digestOf(join(kit.home, 'sums.back', algorithm)),
        await digestOf(join(kit.home, 'sums')),
      )
    const parts = ['--only-show-errors', '--checksum-algorithm', 'SHA256']
    kit.file('sums-parts', 9 * MIB)
    await aws('s3', 'cp', 'sums-parts', 's3://mybucket/sums-parts', ...parts)
    const place = ['--bucket', 'mybucket', '--key', 'sums-parts']
    const asked = ['--object-attributes', 'Checksum', 'ObjectParts', 'ObjectSize', 'ETag']
    const attributes = JSON.parse(await aws('s3api', 'get-object-attributes', ...place, ...asked))
    assert.equal(attributes.ObjectSize, 9 * MIB)
    assert.equal(attributes.ObjectParts.TotalPartsCount, 2)
    assert.equal(attributes.Checksum.ChecksumType, 'COMPOSITE')
  })

  test('a bucket that holds something is removed by force only', async () => {
    await aws('s3', 'mb', 's3://another')
    await aws('s3', 'cp', 's3://mybucket/sums/SHA1', 's3://another/copy')
    await assert.rejects(aws('s3', 'rb', 's3://another'), /BucketNotEmpty/)
    await aws('s3', 'rb', '--force', 's3://another')
    await assert.rejects(aws('s3', 'ls', 's3://another'), /NoSuchBucket/)
  })
})
