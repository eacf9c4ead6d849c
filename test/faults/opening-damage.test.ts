/** Volumes of SeaweedFS and of ours whose files are damaged, cut short, or of which the disk cannot read a part: nothing is cut off that may be of use. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { saltFromRecords } from '../../src/disk/volume-salt.ts'
import { appendAsSeaweed, encodeEntry } from '../compat/seaweed-writer.ts'
import { SimDisk } from '../sim/sim-disk.ts'
import {
  asFound,
  emptySeaweed,
  keyFound,
  SEAWEED_RECORD_BYTES,
  seaweedFile,
  seaweedFiles,
  seaweedVolume,
  surveyOf,
} from '../support/seaweed-volume.ts'
import { DIRECTORY, readKey, SimStore, VOLUME } from '../support/sim-store.ts'

const path = (extension: string) => `${DIRECTORY}/${VOLUME}${extension}`
const COUNT = 100
/** Where the record of a key begins. */
const placeOf = (key: number) => 8 + SEAWEED_RECORD_BYTES * (key - 1)

function flipped(bytes: Buffer, at: number, mask: number): Buffer {
  bytes[at]! ^= mask
  return bytes
}

async function isSuspect(store: SimStore): Promise<boolean> {
  const [info] = (await store.engine.admin.status()).volumes
  return info!.readOnly && (await store.write(5000, 1, 10)) === 'read_only'
}

for (const known of [false, true]) {
  const whose = `SeaweedFS${known ? ', known to us' : ''}, without .idx`

  async function damaged(change: (bytes: Buffer) => Buffer | undefined): Promise<SimDisk> {
    const files = seaweedFiles(COUNT)
    if (!known) {
      const disk = seaweedVolume(new SimDisk(1), { dat: files.dat })
      disk.corrupt(path('.dat'), change)
      return disk
    }
    const disk = seaweedVolume(new SimDisk(1), files)
    await (await SimStore.open(disk)).stop()
    for (const extension of ['.sums', '.idx']) disk.dropFile(path(extension))
    disk.corrupt(path('.dat'), change)
    return disk
  }

  test(`${whose}: a damaged byte costs its own record`, async () => {
    for (const key of [1, 10, COUNT]) {
      const disk = await damaged((bytes) => flipped(bytes, placeOf(key) + 100, 1))
      const before = disk.contents(path('.dat'))
      const store = await SimStore.open(disk)
      const found = await surveyOf(store, COUNT)
      assert.deepEqual(asFound(found, 'damaged'), [key])
      assert.equal(asFound(found, 'whole').length, COUNT - 1)
      assert.ok(disk.contents(path('.dat')).equals(before))
      assert.equal(await store.write(5000, 1, 10), 'ok')
      await store.stop()
    }
  })

  test(`${whose}: a damaged length, and a block of zeros`, async () => {
    for (const change of [
      (bytes: Buffer) => flipped(bytes, placeOf(10) + 12, 0x80),
      (bytes: Buffer) => flipped(bytes, placeOf(10) + 14, 1),
      (bytes: Buffer) => void bytes.fill(0, placeOf(10) - 8, placeOf(10) + 40),
    ]) {
      const disk = await damaged(change)
      const before = disk.contents(path('.dat'))
      for (let round = 0; round < 2; round++) {
        const store = await SimStore.open(disk)
        const found = await surveyOf(store, COUNT)
        assert.ok(asFound(found, 'whole').length >= COUNT - 2, 'those behind it are there')
        assert.ok(await isSuspect(store))
        await store.stop()
        assert.ok(disk.contents(path('.dat')).equals(before), 'nothing is cut off or written over')
      }
    }
  })

  test(`${whose}: two damaged lengths, behind which no chain leads to the end`, async () => {
    const disk = await damaged((bytes) => {
      bytes[placeOf(10) + 12]! ^= 0x80
      bytes[placeOf(50) + 12]! ^= 0x80
      return bytes.subarray(0, bytes.length - 80)
    })
    const before = disk.contents(path('.dat'))
    for (let round = 0; round < 3; round++) {
      const store = await SimStore.open(disk)
      assert.deepEqual(asFound((await surveyOf(store, COUNT)).slice(0, 9), 'whole').length, 9)
      assert.ok(await isSuspect(store))
      await store.stop()
      assert.ok(disk.contents(path('.dat')).equals(before), 'nothing is cut off')
    }
  })

  test(`${whose}: the last record is cut off`, async () => {
    const disk = await damaged((bytes) => bytes.subarray(0, bytes.length - 80))
    const store = await SimStore.open(disk)
    assert.deepEqual(asFound(await surveyOf(store, COUNT), 'absent'), [COUNT])
    assert.equal(disk.contents(path('.dat')).length, placeOf(COUNT))
    assert.equal(await store.write(5000, 1, 10), 'ok')
    await store.stop()
  })
}

/** Twenty files of ours of 3000 bytes; all of them covered by a checkpoint, or none. */
async function ours(options: { stopped: boolean }): Promise<{ disk: SimDisk; store: SimStore }> {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  for (let key = 1; key <= 20; key++) await store.write(key, 1, 3000)
  if (options.stopped) await store.stop()
  return { disk: disk.copy(), store }
}

async function countsOf(store: SimStore): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let key = 1; key <= 20; key++) {
    let found: string
    try {
      const read = await readKey(store.volume(), key)
      found = read === 'damaged' ? read : read === undefined ? 'absent' : 'whole'
    } catch {
      found = 'unreadable'
    }
    counts[found] = (counts[found] ?? 0) + 1
  }
  return counts
}

for (const [where, lose, stopped] of [
  ['in the tail', [], false],
  ['with .sums lost', ['.sums'], true],
  ['with .sums and .idx lost', ['.sums', '.idx'], true],
] as const) {
  test(`a dead sector of .dat ${where}`, async () => {
    const { disk: base } = await ours({ stopped })
    const sizeBytes = base.contents(path('.dat')).length
    for (const byte of [9, 30_000, 40_000, sizeBytes - 1]) {
      const disk = base.copy()
      for (const extension of lose) disk.dropFile(path(extension))
      const before = disk.contents(path('.dat'))
      disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.dat$/, byte, forever: true })
      const store = await SimStore.open(disk)
      const counts = await countsOf(store)
      // A piece that cannot be read may have the end of the record before, and the header of the one behind.
      assert.ok((counts.whole ?? 0) >= 17, `byte ${byte}: ${JSON.stringify(counts)}`)
      if (lose.length < 2) assert.equal(counts.absent, undefined, 'it is not taken for absent')
      else if (counts.absent) assert.ok(await isSuspect(store))
      await store.stop()
      const after = disk.contents(path('.dat'))
      assert.ok(after.subarray(0, before.length).equals(before), `byte ${byte}: nothing is lost of .dat`)
    }
  })
}

for (const extension of ['.idx', '.sums', '.cairn']) {
  test(`a dead sector of ${extension}`, async () => {
    const { disk } = await ours({ stopped: true })
    const rule = { kinds: ['read'], path: new RegExp(`/1\\${extension}$`), byte: 20, forever: true } as const
    disk.failCall(1, 'EIO', rule)
    const store = await SimStore.open(disk)
    assert.deepEqual(await countsOf(store), { whole: 20 })
    assert.equal(await store.write(30, 1, 100), 'ok')
  })
}

test('a dead sector where the salt is looked for', async () => {
  const { disk } = await ours({ stopped: true })
  disk.dropFile(path('.cairn'))
  disk.failCall(1, 'EIO', { kinds: ['read'], path: /\.dat$/, byte: 10, forever: true })
  const store = await SimStore.open(disk)
  assert.deepEqual(await countsOf(store), { whole: 19, unreadable: 1 })
})

test('of records without trailer no body is read to find the salt', () => {
  let files = emptySeaweed()
  for (let key = 1; key <= 10; key++) files = appendAsSeaweed(files, seaweedFile(key, 1, 1024 * 1024))
  const disk = seaweedVolume(new SimDisk(1), files)
  const handle = disk.open(path('.dat'), 'r')
  assert.equal(saltFromRecords(disk, handle, 0), undefined)
  const read = disk.log.reduce((sum, call) => sum + (call.kind === 'read' ? call.length : 0), 0)
  assert.ok(read < 1024 * 1024, `${read} bytes were read`)
})

test('a lost .cairn of a volume that SeaweedFS wrote first', async () => {
  const disk = seaweedVolume(new SimDisk(1), seaweedFiles(COUNT))
  const first = await SimStore.open(disk)
  await first.write(1000, 1, 300)
  await first.stop()
  disk.dropFile(path('.cairn'))
  const store = await SimStore.open(disk)
  assert.equal(asFound(await surveyOf(store, COUNT), 'whole').length, COUNT)
  assert.notEqual(await readKey(store.volume(), 1000), 'damaged')
  await store.stop()
})

/** A file 5 that was overwritten by an upload that failed: its record is there, `.idx` never had it. */
function withFailedUpload() {
  const files = seaweedFiles(20)
  const failed = appendAsSeaweed(files, seaweedFile(5, 900))
  return appendAsSeaweed({ dat: failed.dat, idx: files.idx }, seaweedFile(21))
}

test('a record that .idx never had stays without effect when .sums is lost', async () => {
  const disk = seaweedVolume(new SimDisk(1), withFailedUpload())
  await (await SimStore.open(disk)).stop()
  disk.dropFile(path('.sums'))
  const before = disk.contents(path('.dat'))
  const store = await SimStore.open(disk)
  assert.equal(await keyFound(store, 5), 'whole')
  await store.stop()
  assert.ok(disk.contents(path('.dat')).equals(before), 'its bytes are left alone')
})

test('power loss at any moment of the first opening of a volume of SeaweedFS', async () => {
  for (let nth = 1; ; nth++) {
    const disk = seaweedVolume(new SimDisk(nth), withFailedUpload())
    disk.failCall(nth, 'EIO', { path: /\/1\./, forever: true })
    await SimStore.open(disk)
    const failed = disk.log.some((call) => call.failed !== undefined)
    disk.heal()
    const store = await SimStore.open(disk.kill())
    assert.equal(await keyFound(store, 5), 'whole', `call ${nth}`)
    const found = await surveyOf(store, 21)
    assert.equal(asFound(found, 'whole').length, 21, `call ${nth}`)
    if (!failed) break
  }
})

test('two keys at one place, .sums lost, the record there damaged', async () => {
  let files = appendAsSeaweed(emptySeaweed(), seaweedFile(1))
  files = appendAsSeaweed(files, seaweedFile(3, 1))
  const place = files.dat.length
  const size = SEAWEED_RECORD_BYTES - 32
  // What a crash left: the entry of a record that was not written.
  files.idx = Buffer.concat([files.idx, encodeEntry(2n, place, size)])
  files = appendAsSeaweed(files, seaweedFile(3, 2))
  files = appendAsSeaweed(files, seaweedFile(4))
  for (const at of [100, 2]) {
    const disk = seaweedVolume(new SimDisk(1), files)
    await (await SimStore.open(disk)).stop()
    disk.dropFile(path('.sums'))
    disk.flip(path('.dat'), place + at, 1)
    if (at === 2) disk.flip(path('.dat'), place + 100, 1)
    const store = await SimStore.open(disk)
    assert.equal(await keyFound(store, 3, 2), 'damaged')
    assert.equal(await keyFound(store, 4), 'whole')
    await store.stop()
  }
})

test('a torn empty file over a file, and .idx not on disk yet', async () => {
  const disk = new SimDisk(1)
  disk.putDirectory(DIRECTORY)
  const store = await SimStore.open(disk)
  await store.create()
  await store.write(1, 1, 500)
  store.engine.clock.advance(9_000)
  await store.writeUnsynced(1, 2, 0)
  const after = disk.kill()
  const dat = Buffer.from(after.contents(path('.dat')))
  after.putFile(path('.dat'), dat.fill(0, dat.length - 8))
  after.putFile(path('.idx'), Buffer.alloc(0))
  const again = await SimStore.open(after, { history: store.history })
  await again.checkReads('torn at its byte 24')
  await again.stop()
})

test('a .dat that is shorter than what was synced brings nothing back, and takes no writes', async () => {
  const { disk } = await ours({ stopped: true })
  const first = await SimStore.open(disk)
  await first.remove(3)
  await first.write(4, 2, 700)
  await first.stop()
  disk.corrupt(path('.dat'), (bytes) => bytes.subarray(0, bytes.length - 1500))
  for (let round = 0; round < 2; round++) {
    const store = await SimStore.open(disk)
    assert.equal(await readKey(store.volume(), 3), undefined)
    assert.equal(await readKey(store.volume(), 4), 'damaged')
    assert.ok(await isSuspect(store))
    await store.stop()
  }
})
