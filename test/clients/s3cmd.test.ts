/** s3cmd with a path-like host_bucket in ~/.s3cfg, once for each version of signatures. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { type ClientKit, digestOf, MIB, startClients } from './client-kit.ts'

const DOCUMENT = '<?xml version="1.0"?>\n<some/>\n'

describe('s3cmd', { skip: noClients('python') }, () => {
  let kit: ClientKit
  const s3cmd = async (...words: string[]) => (await kit.run('s3cmd', ['--no-progress', ...words])).stdout

  before(async () => {
    kit = await startClients(join(clientDirectory('python'), 'bin'))
  })
  after(() => kit?.close())

  /** Hosts as URLs and without TLS switched off by hand: the form of the many pages that explain s3cmd with other stores. */
  function configure(signatureV2: 'True' | 'False', host: string): void {
    const lines = [
      '[default]',
      `host_base = ${host}`,
      `host_bucket = ${host}`,
      `access_key = ${ROOT_KEY.accessKeyId}`,
      `secret_key = ${ROOT_KEY.secretAccessKey}`,
      `signature_v2 = ${signatureV2}`,
      'bucket_location = us-east-1',
      'use_https = False',
    ]
    writeFileSync(join(kit.home, '.s3cfg'), `${lines.join('\n')}\n`)
  }

  for (const signatureV2 of ['False', 'True'] as const) {
    test(`signature_v2 = ${signatureV2}: mb, ls, put, get, info, sync, del, rb`, async () => {
      configure(signatureV2, kit.server.s3)
      const bucket = `s3://www.just4fun-${signatureV2.toLowerCase()}.com`
      await s3cmd('mb', bucket)
      assert.ok((await s3cmd('ls')).includes(bucket))
      writeFileSync(join(kit.home, 'some-file.xml'), DOCUMENT)
      await s3cmd('put', 'some-file.xml', `${bucket}/somefile.xml`)
      assert.match(await s3cmd('ls', bucket), / 30 +s3:.*\/somefile\.xml\n$/)
      await s3cmd('get', `${bucket}/somefile.xml`, 'back.xml')
      assert.equal(readFileSync(join(kit.home, 'back.xml'), 'utf8'), DOCUMENT)
      rmSync(join(kit.home, 'back.xml'))
      const info = await s3cmd('info', `${bucket}/somefile.xml`)
      assert.match(info, /File size: 30/)
      assert.match(info, /MIME type: (application|text)\/xml/)
      assert.match(info, /ACL:.*FULL_CONTROL/)
      assert.match(await s3cmd('info', bucket), /Location: +us-east-1/)
      await s3cmd('cp', `${bucket}/somefile.xml`, `${bucket}/a b/cöpy+.xml`)
      await s3cmd('mv', `${bucket}/a b/cöpy+.xml`, `${bucket}/moved.xml`)
      await s3cmd('del', `${bucket}/moved.xml`)
      await s3cmd('rb', '--force', '--recursive', bucket)
      assert.ok(!(await s3cmd('ls')).includes(bucket))
    })

    test(`signature_v2 = ${signatureV2}: multipart, and sync up and down`, async () => {
      configure(signatureV2, kit.server.s3)
      const bucket = `s3://synced-${signatureV2.toLowerCase()}`
      await s3cmd('mb', bucket)
      const large = kit.file('large', 11 * MIB)
      await s3cmd('put', '--multipart-chunk-size-mb=5', 'large', `${bucket}/large`)
      await s3cmd('get', '--force', `${bucket}/large`, 'large.back')
      assert.equal(await digestOf(join(kit.home, 'large.back')), await digestOf(large))
      for (const name of ['a.txt', 'b/c d.txt', 'b/ü+%25&.txt']) kit.file(`up/${name}`, 1000 + name.length)
      await s3cmd('sync', 'up/', `${bucket}/up/`)
      assert.doesNotMatch(await s3cmd('sync', 'up/', `${bucket}/up/`), /upload/)
      await s3cmd('sync', `${bucket}/up/`, `down-${signatureV2}/`)
      const filesOf = (folder: string) => readdirSync(join(kit.home, folder), { recursive: true }).sort()
      assert.deepEqual(filesOf(`down-${signatureV2}`), filesOf('up'))
      assert.match(await s3cmd('du', `${bucket}/up/`), /^ *30\d\d +3 objects/)
    })
  }

  test('hosts written as URLs', async () => {
    for (const signatureV2 of ['False', 'True'] as const) {
      configure(signatureV2, `${kit.endpoint}/`)
      const bucket = `s3://by-url-${signatureV2.toLowerCase()}`
      writeFileSync(join(kit.home, 'by-url.xml'), DOCUMENT)
      await s3cmd('mb', bucket)
      await s3cmd('put', 'by-url.xml', `${bucket}/somefile.xml`)
      assert.match(await s3cmd('ls', bucket), /somefile\.xml/)
      await s3cmd('get', '--force', `${bucket}/somefile.xml`, 'by-url.back')
      assert.equal(readFileSync(join(kit.home, 'by-url.back'), 'utf8'), DOCUMENT)
    }
  })
})
