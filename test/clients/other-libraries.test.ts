/** Libraries that many programs are built on: object_store of Rust, version 2 of the SDK of AWS for JavaScript, minio for it. */
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { type ClientKit, PROGRAMS, startClients } from './client-kit.ts'

describe('other libraries', { skip: noClients('python') || noClients('other-javascript') }, () => {
  let kit: ClientKit
  before(async () => {
    kit = await startClients(join(clientDirectory('python'), 'bin'))
  })
  after(() => kit?.close())

  test('obstore', async () => {
    await kit.run('python', [join(PROGRAMS, 'obstore_client.py')])
  })

  for (const group of ['aws-sdk', 'minio']) {
    test(`${group} for JavaScript`, async () => {
      const words = [join(PROGRAMS, 'other-javascript.ts'), clientDirectory('other-javascript'), group]
      await kit.run(process.execPath, words)
    })
  }
})
