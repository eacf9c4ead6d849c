/** What looking for records behind damage costs, and what a sector that the disk cannot read does to it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimDisk } from '../../test/sim/sim-disk.ts'
import { randomOf } from '../../test/support/seeds.ts'
import { bytesNeedle, encodeNeedle, needleSize, recordLength, recordSeed, sealRecord } from './needle.ts'
import { RecordScanner } from './record-scanner.ts'

const [KIB, MIB, SALT] = [1024, 1024 * 1024, 5]

function record(offsetUnits: number, key: number, dataBytes: number): Buffer {
  const needle = bytesNeedle({ keyHigh: 0, keyLow: key, cookie: 1 }, randomOf(key).bytes(dataBytes))
  const bytes = Buffer.alloc(recordLength(needleSize(needle)))
  const seal = { seed: recordSeed(SALT, offsetUnits), appendNsHigh: 1, appendNsLow: key }
  sealRecord(bytes, encodeNeedle(needle, bytes), seal)
  return bytes
}

function scannerOf(bytes: Buffer): { disk: SimDisk; scanner: RecordScanner } {
  const disk = new SimDisk(1)
  disk.putDirectory('/d')
  disk.putFile('/d/1.dat', bytes)
  const handle = disk.open('/d/1.dat', 'r')
  return { disk, scanner: new RecordScanner(disk, { handle, fileSalt: SALT, endBytes: bytes.length }) }
}

test('a search through random bytes reads little more than them, however much is behind', () => {
  const bytes = Buffer.alloc(40 * MIB)
  randomOf(1)
    .bytes(256 * KIB)
    .copy(bytes)
  record(32 * KIB, 7, 100).copy(bytes, 256 * KIB)
  const { disk, scanner } = scannerOf(bytes)
  assert.equal(scanner.search(1), 32 * KIB)
  const read = disk.log.reduce((sum, call) => sum + (call.kind === 'read' ? call.length : 0), 0)
  assert.ok(read < 8 * MIB, `${read} bytes were read`)
})

/** Three records, the second one of `dataBytes`, in which the disk cannot read the byte at `dead` of the file. */
function withDeadByte(dataBytes: number, dead: (second: number) => number) {
  const first = record(1, 1, 5000)
  const secondAt = 8 + first.length
  const second = record(secondAt / 8, 2, dataBytes)
  const thirdAt = secondAt + second.length
  const third = record(thirdAt / 8, 3, 9000)
  const made = scannerOf(Buffer.concat([Buffer.alloc(8), first, second, third]))
  const rule = { kinds: ['read'], byte: dead(secondAt), forever: true } as const
  made.disk.failCall(1, 'EIO', rule)
  return { ...made, secondAt, thirdAt, lengthBytes: second.length }
}

test('a sector that cannot be read is damage of the record that it is in, and of no other', () => {
  for (const dataBytes of [20 * KIB, 5 * MIB]) {
    const made = withDeadByte(dataBytes, (second) => second + 10 * KIB)
    assert.ok(made.scanner.check(1).ok)
    const found = made.scanner.check(made.secondAt / 8)
    assert.ok(!found.ok && found.isUnreadable)
    assert.equal(found.lengthBytes, made.lengthBytes, 'its frame is whole')
    assert.equal(found.header?.keyLow, 2)
    assert.ok(made.scanner.check(made.thirdAt / 8).ok)
    assert.ok(made.scanner.hasUnreadable(made.secondAt))
    assert.ok(!made.scanner.hasUnreadable(made.thirdAt))
  }
})

test('a sector that cannot be read at the start of a record: the search finds the next one', () => {
  const made = withDeadByte(20 * KIB, (second) => second + 2)
  const found = made.scanner.check(made.secondAt / 8)
  assert.ok(!found.ok && found.isUnreadable)
  assert.equal(found.lengthBytes, undefined)
  assert.equal(made.scanner.headerAt(made.secondAt / 8), undefined)
  assert.equal(made.scanner.search(made.secondAt / 8 + 1), made.thirdAt / 8)
})

test('a disk that cannot read anything is no disk with bad sectors', () => {
  const { disk, scanner } = scannerOf(Buffer.alloc(20 * MIB))
  disk.failCall(1, 'EIO', { kinds: ['read'], forever: true })
  assert.throws(() => scanner.search(1), { code: 'io_error' })
})
