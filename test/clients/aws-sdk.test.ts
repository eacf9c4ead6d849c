/** The SDK of AWS for JavaScript, version 3, with its default settings: checksums in trailers, streams, parts, conditions, pages. */
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { type ClientKit, PROGRAMS, startClients } from './client-kit.ts'

describe('@aws-sdk/client-s3', { skip: noClients('javascript') }, () => {
  let kit: ClientKit
  before(async () => {
    kit = await startClients()
  })
  after(() => kit?.close())

  for (const group of ['objects', 'streams', 'multipart', 'conditions', 'pages', 'links']) {
    test(group, async () => {
      const words = [join(PROGRAMS, 'aws-sdk.ts'), clientDirectory('javascript'), group]
      await kit.run(process.execPath, words)
    })
  }
})
