/** A process without volumes, in a cluster of real ones: ids, blobs and listings over signed calls, whatever else guards the doors. */
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { BlobId, BlobVolume } from '../../src/blobs/blob-store.ts'
import { ClusterAuth } from '../../src/blobs/cluster-auth.ts'
import { ClusterClient } from '../../src/blobs/cluster-client.ts'
import { assignFromMasters } from '../../src/blobs/id-lease.ts'
import { LocalBlobStore } from '../../src/blobs/local-blob-store.ts'
import { MasterCalls, namedMasters } from '../../src/blobs/master-calls.ts'
import { RemoteBlobs } from '../../src/blobs/remote-blobs.ts'
import { RemoteListing } from '../../src/blobs/remote-listing.ts'
import { VolumeLocator } from '../../src/blobs/volume-locator.ts'
import { HttpClient } from '../../src/net/http-client.ts'
import { freePort, type RoleProcess, startRole } from '../support/cluster-processes.ts'
import { RealStore } from '../support/real-store.ts'
import { collect } from './blob-store-kit.ts'

const directory = mkdtempSync(join(tmpdir(), 'cairn-blob-cluster-'))
const secret = 'a secret of this test run only'
const processes: RoleProcess[] = []
const http = new HttpClient()
const none = new RealStore(mkdtempSync(join(directory, 'none-')))
let blobs: LocalBlobStore

before(async () => {
  const passwords = join(directory, 'passwords')
  writeFileSync(passwords, 'ada:secret\n')
  const guards = ['--basic-auth-file', passwords, '--jwt-signing-key', 'w', '--jwt-read-key', 'r']
  const flags = ['--cluster-secret', secret, ...guards]
  const master = await startRole('master', await freePort(), ['--data', join(directory, 'm'), ...flags])
  processes.push(master)
  for (const name of ['a', 'b']) {
    const own = [
      '--dir',
      join(directory, name),
      '--master',
      master.address,
      '--ballast',
      '0',
      '--workers',
      '1',
    ]
    processes.push(await startRole('volume', await freePort(), [...own, ...flags]))
  }
  const auth = new ClusterAuth({ secret: Buffer.from(secret), clock: systemClock, random: systemRandom })
  const client = new ClusterClient({ http, auth, scheme: 'http' })
  const nodeId = randomUUID()
  const masterCalls = new MasterCalls({ client, addresses: namedMasters([master.address]), nodeId })
  const locator = new VolumeLocator({ masterCalls, clock: systemClock })
  blobs = new LocalBlobStore({
    volumes: none.volumes,
    remote: new RemoteBlobs({ http, auth, scheme: 'http', find: locator.find }),
    listing: new RemoteListing({ client, masterCalls, nodeId }),
    assign: assignFromMasters({ masterCalls }),
    sync: 'batch',
    clock: systemClock,
    random: systemRandom,
    leaseCount: 16,
  })
})

after(async () => {
  for (const each of processes) await each.stop()
  http.close()
  await none.close()
  rmSync(directory, { recursive: true, force: true })
})

test('blobs go to the volumes of all servers, come back, are listed, and go', async () => {
  const contents = Array.from({ length: 100 }, (_, at) => randomBytes(at === 50 ? 3_000_000 : 10 * at))
  const ids = await Promise.all(contents.map((data) => blobs.write({ data, collection: '_objects' })))
  for (const [at, id] of ids.entries()) assert.ok((await blobs.read(id)).equals(contents[at]!), `blob ${at}`)
  const part = await collect(blobs.readRange(ids[50]!, 1_000_000, 2_000_000))
  assert.ok(part.equals(contents[50]!.subarray(1_000_000, 2_000_000)))
  await blobs.remove(ids.slice(0, 10))
  const volumes = (await blobs.volumes()).filter(({ collection }) => collection === '_objects')
  const entries = volumes.reduce((sum, each) => sum + each.entries, 0)
  assert.equal(entries, 110)
  assert.deepEqual(await listed(volumes), ids.slice(10).map(textOf).sort())
  await assert.rejects(blobs.list(999, 0)[Symbol.asyncIterator]().next(), { code: 'unavailable' })
})

async function listed(volumes: BlobVolume[]): Promise<string[]> {
  const found: string[] = []
  for (const { volumeId } of volumes) {
    for await (const batch of blobs.list(volumeId, 0)) found.push(...batch.map(({ id }) => textOf(id)))
  }
  return found.sort()
}

function textOf({
  volumeId,
  keyHigh,
  keyLow,
  cookie,
}: BlobId | { [K in keyof BlobId]: BlobId[K] | undefined }): string {
  return [volumeId, keyHigh, keyLow, cookie].join(' ')
}
