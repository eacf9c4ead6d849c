/** `cairn hashstore nameserver`: the directory tree of a hash store, and no files. One thread on the metadata layer. */
import { NO_BLOBS } from '../../blobs/no-blobs.ts'
import { ROOT_ACCOUNT_ID } from '../../iam/identities.ts'
import { isPostgresUrl, openMetaStore } from '../../meta/open-meta-store.ts'
import { inlineHashPool } from '../../objects/digests.ts'
import { UPLOAD_LOAD_BYTES, UploadLoad } from '../../objects/upload-load.ts'
import { HashstoreCounters } from '../../protocols/hashstore/hashstore-counters.ts'
import { HashstoreServer } from '../../protocols/hashstore/server.ts'
import { WritesUnderWay } from '../../protocols/hashstore/writes-under-way.ts'
import { defineCommand } from '../command.ts'
import { ownDirectories, untilAborted } from '../roles/directories.ts'
import { objectParts } from '../roles/object-parts.ts'

export const nameserver = defineCommand({
  name: 'nameserver',
  summary: 'Run a name server, which keeps the directory tree',
  settings: ['dir', 'host', 'port', 'metadata', 'headerTimeoutMs', 'idleTimeoutMs'],
  async run(config, { clock, random, log, signal }) {
    const { metadata, host, headerTimeoutMs, idleTimeoutMs } = config
    const local = metadata === '' ? config.dir.slice(0, 1) : [metadata]
    const directories = isPostgresUrl(metadata) ? undefined : ownDirectories(local, log)
    try {
      const meta = await openMetaStore(directories?.paths[0] ?? metadata, { clock, random })
      try {
        const load = new UploadLoad(new SharedArrayBuffer(UPLOAD_LOAD_BYTES))
        const parts = { meta, blobs: NO_BLOBS, load, hashPool: inlineHashPool, clock, random }
        const server = new HashstoreServer({
          objects: objectParts(parts).objects,
          namesOnly: true,
          counters: new HashstoreCounters(HashstoreCounters.share(1), 0),
          writes: new WritesUnderWay(WritesUnderWay.share()),
          owner: ROOT_ACCOUNT_ID,
          ...{ clock, log, headerTimeoutMs, idleTimeoutMs },
        })
        const port = await server.listen({ host, port: config.port })
        log.info({ nameserver: `${host}:${port}` }, 'ready')
        await untilAborted(signal)
        await server.close()
      } finally {
        await meta.close()
      }
    } finally {
      directories?.release()
    }
    return 0
  },
})
