/** The command line of AWS, with its default settings: the commands that people type. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noClients } from '../../script/clients.ts'
import { type AwsKit, startAws } from './aws-kit.ts'
import type { ClientKit } from './client-kit.ts'

describe('awscli', { skip: noClients('python') }, () => {
  let kit: ClientKit
  let aws: AwsKit['aws']

  before(async () => {
    const started = await startAws()
    kit = started.kit
    aws = started.aws
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

  test('a presigned link is read by curl', async () => {
    kit.file('signed', 5000)
    await aws('s3', 'cp', 'signed', 's3://mybucket/a b/signed+', '--metadata', 'who=me')
    const link = (await aws('s3', 'presign', 's3://mybucket/a b/signed+', '--expires-in', '60')).trim()
    await kit.run('curl', ['--fail', '--silent', '--show-error', '--output', 'signed.back', link])
    assert.deepEqual(readFileSync(join(kit.home, 'signed.back')), readFileSync(join(kit.home, 'signed')))
    await kit.run('curl', ['--fail', '--silent', link.replace('signed%2B', 'other')], { code: 22 })
  })

  test('a bucket that holds something is removed by force only', async () => {
    await aws('s3', 'mb', 's3://another')
    kit.file('left', 100)
    await aws('s3', 'cp', 'left', 's3://another/left')
    await assert.rejects(aws('s3', 'rb', 's3://another'), /BucketNotEmpty/)
    await aws('s3', 'rb', '--force', 's3://another')
    await assert.rejects(aws('s3', 'ls', 's3://another'), /NoSuchBucket/)
  })
})
