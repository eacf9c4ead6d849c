/** Data keys: who can unwrap them, and with which generation they are wrapped. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INSTALLATION_KEY_WAIT_MS } from '../base/limits.ts'
import { systemRandom } from '../base/random.ts'
import type { BlobId } from '../blobs/blob-store.ts'
import { type DataKey, type InstallationKey, ObjectKeys } from './object-keys.ts'
import type { Bucket, BucketConfig } from './object-store.ts'

const random = systemRandom
const ID: BlobId = { volumeId: 1, keyHigh: 0, keyLow: 2, cookie: 3 }
const generation = (id: string, createdMs: number): InstallationKey => ({
  ...{ id, createdMs },
  secret: random.bytes(32),
})

function keysAt(nowMs: number, ...keys: InstallationKey[]): ObjectKeys {
  const clock = { nowMs: () => nowMs } as ConstructorParameters<typeof ObjectKeys>[0]['clock']
  return new ObjectKeys({ clock, random, keys })
}

function bucketWith(encryption?: object): Bucket {
  const configs = new Map<BucketConfig, string>()
  if (encryption !== undefined) configs.set('encryption', JSON.stringify(encryption))
  return { configs } as unknown as Bucket
}

const isSame = (one: DataKey | undefined, other: DataKey | undefined) =>
  one!.blobKey(ID).equals(other!.blobKey(ID))

test('keys of clients: only the very same one opens', () => {
  const keys = keysAt(0)
  const customerKey = random.bytes(32)
  const made = keys.make({ customerKey })
  assert.equal(made.stored.kind, 'SSE-C')
  assert.ok(isSame(keys.open(made.stored, customerKey), made))
  assert.throws(() => keys.open(made.stored, undefined), { code: 'key_required' })
  assert.throws(() => keys.open(made.stored, random.bytes(32)), { code: 'wrong_key' })
  assert.throws(() => keys.open(made.stored, customerKey.subarray(1)), { code: 'wrong_key' })
  assert.throws(() => keys.open(undefined, customerKey), { code: 'key_not_needed' })
  assert.equal(keys.open(undefined, undefined), undefined)
  assert.ok(!isSame(keys.make({ customerKey }), made), 'each object has a key of its own')
  assert.notEqual(made.etagOf(Buffer.alloc(16)), '0'.repeat(32))
})

test('each blob has a key of its own', () => {
  const key = keysAt(0, generation('a', 0)).make({ managed: true })
  const others = [
    { ...ID, volumeId: 2 },
    { ...ID, keyHigh: 1 },
    { ...ID, keyLow: 1 },
    { ...ID, cookie: 1 },
  ]
  for (const other of others) assert.ok(!key.blobKey(other).equals(key.blobKey(ID)))
  assert.equal(key.etagOf(Buffer.alloc(16)), '0'.repeat(32))
})

test('the newest generation wraps, once every process had time to learn of it; all of them unwrap', () => {
  const [first, second] = [generation('a', 0), generation('b', 1_000)]
  const before = keysAt(1_000 + INSTALLATION_KEY_WAIT_MS - 1, first, second)
  const after = keysAt(1_000 + INSTALLATION_KEY_WAIT_MS, first, second)
  const old = before.make({ managed: true })
  const made = after.make({ managed: true })
  assert.deepEqual([old.stored.keyId, made.stored.keyId], ['a', 'b'])
  assert.ok(isSame(after.open(old.stored, undefined), old))
  assert.ok(isSame(before.open(made.stored, undefined), made))
  const onlyFirst = keysAt(0, first)
  assert.throws(() => onlyFirst.open(made.stored, undefined), { code: 'unavailable' })
  onlyFirst.replace([first, second])
  assert.ok(isSame(onlyFirst.open(made.stored, undefined), made))
  const damaged = { ...made.stored, key: old.stored.key }
  assert.throws(() => after.open(damaged, undefined), { code: 'corrupt' })
  assert.throws(() => after.open(made.stored, random.bytes(32)), { code: 'key_not_needed' })
  assert.equal(keysAt(0, second).make({ managed: true }).stored.keyId, 'b', 'the first one is used at once')
  assert.throws(() => keysAt(0).make({ managed: true }), { code: 'unsupported' })
})

test('what buckets say', () => {
  const keys = keysAt(0, generation('a', 0))
  const customerKey = random.bytes(32)
  const kindIn = (rules: object | undefined, asked?: { customerKey: Buffer } | { managed: true }) =>
    keys.forNew(bucketWith(rules), asked)?.stored.kind
  assert.equal(kindIn(undefined), undefined)
  assert.equal(kindIn(undefined, { managed: true }), 'SSE-S3')
  assert.equal(kindIn({ algorithm: 'AES256' }), 'SSE-S3')
  assert.equal(kindIn({ algorithm: 'AES256' }, { customerKey }), 'SSE-C')
  assert.equal(kindIn({ blocksCustomerKeys: true }), undefined)
  assert.throws(() => kindIn({ blocksCustomerKeys: true }, { customerKey }), { code: 'forbidden' })
  assert.throws(() => kindIn({ algorithm: 'aws:kms' }), { code: 'unsupported' })
  assert.equal(kindIn({ algorithm: 'aws:kms' }, { managed: true }), 'SSE-S3')
})

test('what is stored stays readable', () => {
  const secret = Buffer.alloc(32, 3)
  const keys = keysAt(0, { id: '0123456789abcdef', createdMs: 0, secret })
  const id: BlobId = { volumeId: 1, keyHigh: 2, keyLow: 3, cookie: 4 }
  const managed = {
    kind: 'SSE-S3',
    keyId: '0123456789abcdef',
    key: 'Mt7PeqaZ2QxscBZxt4VedY0oej8glm+1VxXvQfE9ZZJdlawi+Cjubvs55/zNCkfmsaaGmxhtdnRnTBqTUg1cUA==',
  } as const
  const blobKey = keys.open(managed, undefined)!.blobKey(id).toString('hex')
  assert.equal(blobKey, 'd6b6d454c4a99b9d8c15d9c3b4d0531c1766a94591aab9f73cb39ffb7b030cdf')
  const own = {
    kind: 'SSE-C',
    key: 'JdE9JgxH3is3L0TtTSTJqXQd9C9wL2t1krC8oPo6Oe7lAfR6OQj2UnzmsVaRfw55tSIo98f1SUO1245d3qJJxg==',
  } as const
  const dataKey = keys.open(own, Buffer.alloc(32, 4))!
  const ownBlobKey = dataKey.blobKey(id).toString('hex')
  assert.equal(ownBlobKey, '668f26606ddb4d2810e10604d8f1d981da8aa8d4b32098d3dec1c0b1fc4e1819')
  assert.equal(dataKey.etagOf(Buffer.alloc(16, 5)), 'c89e6d59bab4418f80cafdca6004f874')
})
