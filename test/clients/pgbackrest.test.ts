/** pgBackRest, which speaks TLS only: a database and its log are kept in a bucket, and come back to where they were at a name. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'
import { TEST_TLS_CERT, TEST_TLS_KEY } from '../support/tls-files.ts'
import { type ClientKit, makeBucket, noPrograms, startClients } from './client-kit.ts'

describe('pgBackRest', { skip: noPrograms('pgbackrest', 'curl') || noPostgres }, () => {
  const certificate = mkdtempSync(join(tmpdir(), 'cairn-tls-'))
  let kit: ClientKit
  let postgres: PostgresServer

  before(async () => {
    const [cert, key] = [join(certificate, 'cert.pem'), join(certificate, 'key.pem')]
    writeFileSync(cert, TEST_TLS_CERT)
    writeFileSync(key, TEST_TLS_KEY)
    kit = await startClients(undefined, ['--tls-cert', cert, '--tls-key', key])
    await makeBucket(kit, 'backups')
    postgres = await PostgresServer.start((directory) => [
      'archive_mode=on',
      `archive_command=pgbackrest --config=${directory}/pgbackrest.conf --stanza=main archive-push %p`,
    ])
    writeFileSync(join(postgres.directory, 'pgbackrest.conf'), settings(kit, postgres), { mode: 0o644 })
  })
  after(async () => {
    await postgres?.end()
    await kit?.close()
    rmSync(certificate, { recursive: true, force: true })
  })

  /** As the user whose database it is. */
  const run = (program: string, ...words: string[]) => {
    const user = process.getuid?.() === 0 ? ['/sbin/runuser', '-u', 'postgres', '--'] : []
    const [first, ...rest] = [...user, program, ...words] as [string, ...string[]]
    return kit.run(first, rest, { cwd: postgres.directory })
  }
  const pgbackrest = async (...words: string[]) => {
    const flags = [`--config=${postgres.directory}/pgbackrest.conf`, '--stanza=main']
    return (await run('pgbackrest', ...flags, ...words)).stdout
  }
  const count = async () => (await postgres.admin('select count(*)::int as rows from numbers'))[0]!.rows

  test('full and incremental backups, the log, a restore to a name in it, and a backup that is let go', async () => {
    await pgbackrest('stanza-create')
    await postgres.admin('create table numbers as select md5(i::text) from generate_series(1, 50000) i')
    await pgbackrest('--type=full', 'backup')
    await postgres.admin("insert into numbers values ('kept')")
    await pgbackrest('--type=incr', 'backup')
    await postgres.admin("insert into numbers values ('kept in the log')")
    await postgres.admin("select pg_create_restore_point('before')")
    await postgres.admin('delete from numbers')
    await postgres.admin('select pg_switch_wal()')
    await pgbackrest('verify')

    await postgres.stop('SIGINT')
    rmSync(postgres.data, { recursive: true })
    await run('mkdir', '--mode=0700', postgres.data)
    await pgbackrest('--type=name', '--target=before', '--target-action=promote', 'restore')
    await postgres.run()
    assert.equal(await count(), 50_002)

    const labels = async (): Promise<string[]> => {
      const [info] = JSON.parse(await pgbackrest('--output=json', 'info'))
      return info.backup.map(({ label }: { label: string }) => label)
    }
    const [full, increment] = await labels()
    await pgbackrest(`--set=${increment}`, 'expire')
    assert.deepEqual(await labels(), [full])
  })
})

function settings(kit: ClientKit, postgres: PostgresServer): string {
  const { directory, data, port } = postgres
  const [host, s3Port] = kit.server.s3.split(':')
  const own = ['lock', 'log', 'spool'].map((name) => `${name}-path=${directory}/${name}\n`)
  return `[global]
repo1-type=s3
repo1-path=/of/main
repo1-s3-bucket=backups
repo1-s3-endpoint=${host}
repo1-s3-region=us-east-1
repo1-s3-key=${ROOT_KEY.accessKeyId}
repo1-s3-key-secret=${ROOT_KEY.secretAccessKey}
repo1-s3-uri-style=path
repo1-storage-port=${s3Port}
repo1-storage-verify-tls=n
repo1-retention-full=1
repo1-bundle=y
compress-type=none
process-max=2
start-fast=y
log-level-console=warn
log-level-file=off
${own.join('')}
[main]
pg1-path=${data}
pg1-port=${port}
pg1-socket-path=${directory}
pg1-user=cairn
pg1-database=postgres
`
}
