/** What needs TLS: encryption as boto3 and awscli ask for it, because clients' keys come no other way, and s3cmd with its defaults. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clientDirectory, noClients } from '../../script/clients.ts'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { TEST_TLS_CERT, TEST_TLS_KEY } from '../support/tls-files.ts'
import { type ClientKit, digestOf, MIB, makeBucket, PROGRAMS, startClients } from './client-kit.ts'

describe('encryption', { skip: noClients('python') }, () => {
  const files = mkdtempSync(join(tmpdir(), 'cairn-tls-'))
  let kit: ClientKit
  let env: Record<string, string>
  before(async () => {
    const [cert, key] = [join(files, 'cert.pem'), join(files, 'key.pem')]
    writeFileSync(cert, TEST_TLS_CERT)
    writeFileSync(key, TEST_TLS_KEY)
    kit = await startClients(join(clientDirectory('python'), 'bin'), ['--tls-cert', cert, '--tls-key', key])
    env = { AWS_CA_BUNDLE: cert, AWS_ENDPOINT_URL: kit.endpoint }
  })
  after(async () => {
    await kit?.close()
    rmSync(files, { recursive: true, force: true })
  })

  test('boto3', async () => {
    await kit.run('python', [join(PROGRAMS, 'boto3_client.py'), 'encryption'], { env })
  })

  test('awscli', async () => {
    await makeBucket(kit, 'cli')
    const aws = (...words: string[]) => kit.run('aws', words, { env })
    const path = kit.file('large', 12 * MIB)
    writeFileSync(join(kit.home, 'own.key'), randomBytes(32))
    const own = ['--sse-c', 'AES256', '--sse-c-key', 'fileb://own.key']
    await aws('s3', 'cp', 'large', 's3://cli/own', ...own)
    await aws('s3', 'cp', 's3://cli/own', 'back', ...own)
    assert.equal(await digestOf(join(kit.home, 'back')), await digestOf(path))
    await aws('s3', 'cp', 'large', 's3://cli/managed', '--sse', 'AES256')
    const head = await aws('s3api', 'head-object', '--bucket', 'cli', '--key', 'managed')
    assert.equal(JSON.parse(head.stdout).ServerSideEncryption, 'AES256')
    const refused = await kit.run('aws', ['s3', 'cp', 's3://cli/own', 'none'], { env, code: 1 })
    assert.match(refused.stderr, /\(400\)/)
  })

  test('s3cmd with six settings and its own default, which is TLS', async () => {
    const settings = {
      host_base: `http://${kit.server.s3}/`,
      host_bucket: `http://${kit.server.s3}/`,
      access_key: ROOT_KEY.accessKeyId,
      secret_key: ROOT_KEY.secretAccessKey,
      signature_v2: 'False',
      bucket_location: 'us-east-1',
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
    writeFileSync(join(kit.home, '.s3cfg'), lines.join(''))
    writeFileSync(join(kit.home, 'some-file.xml'), '<some/>')
    const s3cmd = async (...words: string[]) =>
      (await kit.run('s3cmd', words, { env: { SSL_CERT_FILE: env.AWS_CA_BUNDLE! } })).stdout
    await s3cmd('mb', 's3://www.just4fun.com')
    assert.match(await s3cmd('ls'), / s3:\/\/www\.just4fun\.com\n/)
    await s3cmd('put', 'some-file.xml', 's3://www.just4fun.com/somefile.xml')
    assert.match(await s3cmd('ls', 's3://www.just4fun.com'), / 7 +s3:.*\/somefile\.xml\n$/)
    await s3cmd('get', 's3://www.just4fun.com/somefile.xml', 'back.xml')
    assert.equal(readFileSync(join(kit.home, 'back.xml'), 'utf8'), '<some/>')
  })
})
