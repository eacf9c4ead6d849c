/** boto3 with its default settings, each group of calls in a process of its own. */
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { type ClientKit, PROGRAMS, startClients } from './client-kit.ts'

const GROUPS = [
  'put_get_list',
  'versions',
  'tagging_and_copy',
  'multipart',
  'conditions',
  'presigned',
  'settings',
  'threads',
]

describe('boto3', { skip: noClients('python') }, () => {
  let kit: ClientKit
  before(async () => {
    kit = await startClients(join(clientDirectory('python'), 'bin'))
  })
  after(() => kit?.close())

  for (const group of GROUPS) {
    test(group.replaceAll('_', ' '), async () => {
      await kit.run('python', [join(PROGRAMS, 'boto3_client.py'), group])
    })
  }
})
