/** The command line of AWS: each checksum that it can send. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noClients } from '../../script/clients.ts'
import { type AwsKit, startAws } from './aws-kit.ts'
import { type ClientKit, digestOf, MIB } from './client-kit.ts'

describe('awscli: checksums', { skip: noClients('python') }, () => {
  let kit: ClientKit
  let aws: AwsKit['aws']

  before(async () => {
    const started = await startAws()
    kit = started.kit
    aws = started.aws
  })
  after(() => kit?.close())

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
})
