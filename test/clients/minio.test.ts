/** The newest minio client for Python. */
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { type ClientKit, PROGRAMS, startClients } from './client-kit.ts'

describe('minio', { skip: noClients('python') }, () => {
  let kit: ClientKit
  before(async () => {
    kit = await startClients(join(clientDirectory('python'), 'bin'))
  })
  after(() => kit?.close())

  for (const group of ['objects', 'tags_and_versions', 'links']) {
    test(group.replaceAll('_', ' '), async () => {
      await kit.run('python', [join(PROGRAMS, 'minio7_client.py'), group])
    })
  }
})
