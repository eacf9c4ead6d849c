/**
 * Libraries that many programs are built on: object_store of Rust, Apache Libcloud, s3fs for Python, version 2 of the SDK of AWS for
 * JavaScript, minio for it, aws4fetch.
 */
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { type ClientKit, PROGRAMS, startClients } from './client-kit.ts'

const skip = noClients('python') || noClients('other-python') || noClients('other-javascript')

describe('other libraries', { skip }, () => {
  let kit: ClientKit
  before(async () => {
    kit = await startClients(join(clientDirectory('python'), 'bin'))
  })
  after(() => kit?.close())

  test('obstore', async () => {
    await kit.run('python', [join(PROGRAMS, 'obstore_client.py')])
  })

  for (const group of ['libcloud', 's3fs']) {
    test(`${group} for Python`, async () => {
      const python = join(clientDirectory('other-python'), 'bin', 'python')
      await kit.run(python, [join(PROGRAMS, 'other_python.py'), group])
    })
  }

  for (const group of ['aws-sdk', 'minio', 'aws4fetch']) {
    test(`${group} for JavaScript`, async () => {
      const words = [join(PROGRAMS, 'other-javascript.ts'), clientDirectory('other-javascript'), group]
      await kit.run(process.execPath, words)
    })
  }
})
