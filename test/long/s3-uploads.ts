/**
 * `npm run long -- s3-uploads [UPLOADS] [MIB]`: so many uploads at once (default 1,000 of 16 MiB), each read back; prints the
 * server's largest memory, and ends with an error when an upload fails or it is over 600 MiB.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { s3Uploads } from '../s3-faults/s3-uploads.ts'
import { startServer } from '../support/cairn-process.ts'

const [uploads = 1_000, mebibytes = 16] = process.argv.slice(2).map(Number)
// The first start after a change keeps what it compiles for later ones, which are measured: it takes more memory.
const data = mkdtempSync(join(tmpdir(), 'cairn-s3-uploads-first-'))
const first = await startServer(data)
await first.stop()
rmSync(data, { recursive: true, force: true })
const peakBytes = await s3Uploads({ uploads, bytesEach: mebibytes * 1024 * 1024 })
console.log(
  `${uploads} uploads of ${mebibytes} MiB at once: at most ${Math.round(peakBytes / 1024 / 1024)} MiB of memory`,
)
