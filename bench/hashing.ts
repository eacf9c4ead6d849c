/** How often a second one core computes MD5 and SHA-256 of so many bytes, whenever the parent process asks. */
import { hash } from 'node:crypto'
import process from 'node:process'

process.on('message', ({ seconds, sizeBytes }: { seconds: number; sizeBytes: number }) => {
  const bytes = Buffer.alloc(sizeBytes, 7)
  const start = performance.now()
  let count = 0
  while (performance.now() - start < seconds * 1_000) {
    hash('md5', bytes, 'buffer')
    hash('sha256', bytes, 'buffer')
    count++
  }
  process.send!((count * 1_000) / (performance.now() - start))
})
