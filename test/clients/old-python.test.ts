/** Clients that older applications still carry: boto 2.49 (signature version 2) and minio 6. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { type ClientKit, PROGRAMS, startClients } from './client-kit.ts'

describe('old Python clients', { skip: noClients('python-old') }, () => {
  let kit: ClientKit
  const python = (program: string, ...words: string[]) =>
    kit.run('python', [join(PROGRAMS, program), ...words])

  before(async () => {
    kit = await startClients(join(clientDirectory('python-old'), 'bin'), ['--s3-domain', 's3.test'])
  })
  after(() => kit?.close())

  for (const group of ['put_get_list', 'multipart', 'links_and_lists', 'buckets_by_host']) {
    test(`boto 2: ${group.replaceAll('_', ' ')}`, async () => {
      await python('boto2_client.py', group)
    })
  }

  test('minio 6: buckets, objects, links', async () => {
    await python('minio6_client.py')
  })

  test('minio 6: the printed command uploads what the policy allows', async () => {
    await kit.run('python', ['-c', MAKE_BUCKET])
    const { stdout } = await python('minio6_post_policy.py')
    assert.match(stdout, /^curl -X POST http.* -F file=@aa\.html\n$/)
    const statusOf = async (content: string, command = stdout) => {
      writeFileSync(join(kit.home, 'aa.html'), content)
      const shown = command.trim().replace('curl', 'curl --silent --output reply --write-out %{http_code}')
      return (await kit.run('sh', ['-c', shown])).stdout
    }
    assert.equal(await statusOf('<p>twenty bytes</p>'), '204')
    assert.equal(await statusOf('short'), '400')
    assert.equal(await statusOf('x'.repeat(1025)), '400')
    assert.equal(await statusOf('<p>twenty bytes</p>', stdout.replace('key=test.html', 'key=other')), '403')
    const { stdout: stored } = await kit.run('python', ['-c', READ_OBJECT])
    assert.equal(stored, '<p>twenty bytes</p>')
  })
})

const CONNECT = `
import os, sys
from minio import Minio
client = Minio(os.environ["ENDPOINT"].replace("http://", ""), os.environ["AWS_ACCESS_KEY_ID"],
  os.environ["AWS_SECRET_ACCESS_KEY"], secure=False)
`
const MAKE_BUCKET = `${CONNECT}client.make_bucket("test")`
const READ_OBJECT = `${CONNECT}sys.stdout.write(client.get_object("test", "test.html").read().decode())`
