/**
 * `npm run long -- rename [FILES [ENGINE]]`: a directory of 100,000 files is renamed three times through the filer, on SQLite and on
 * PostgreSQL, or on `sqlite` or `postgres` alone, while others list it and look for its files: each sees all of it under one name.
 */
import { renameBesideReaders } from '../filer/rename-load.ts'
import { noPostgres, PostgresServer } from '../support/postgres.ts'

const files = Number(process.argv[2] ?? 100_000)
const only = process.argv[3]

async function run(engine: string, options: { metadata?: string }): Promise<void> {
  const { listings, finds } = await renameBesideReaders(files, options)
  console.log(`${engine}: ${files} files renamed three times, beside ${listings} listings and ${finds} finds`)
}

if (only !== 'postgres') await run('SQLite', {})
if (only !== 'sqlite' && noPostgres === false) {
  const postgres = await PostgresServer.start()
  try {
    await run('PostgreSQL', { metadata: await postgres.createDatabase('rename') })
  } finally {
    await postgres.end()
  }
} else if (noPostgres) console.log(`PostgreSQL: left out, ${noPostgres}`)
