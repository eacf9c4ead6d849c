/** The cluster secret: forged, changed, late and repeated messages are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { CLUSTER_CLOCK_SKEW_MS_MAX, CLUSTER_NONCES_MAX } from '../base/limits.ts'
import { seededRandom } from '../base/random.ts'
import { ClusterAuth, type ClusterMessage } from './cluster-auth.ts'

function handClock(startMs: number): Clock & { add(ms: number): void; skew(ms: number): void } {
  let [wall, monotonic] = [startMs, 5]
  return {
    add(ms) {
      wall += ms
      monotonic += ms
    },
    skew(ms) {
      wall += ms
    },
    nowMs: () => wall,
    monotonicMs: () => monotonic,
    after: () => () => {},
    every: () => () => {},
    sleep: () => Promise.resolve(),
    soon: () => {},
  }
}

const secret = Buffer.from('0123456789abcdef0123456789abcdef')
const message: ClusterMessage = {
  method: 'POST',
  path: '/cluster/heartbeat?a=1',
  body: Buffer.from('{"x":1}'),
}

function pair() {
  const clock = handClock(1_800_000_000_000)
  const sender = new ClusterAuth({ secret, clock, random: seededRandom(1) })
  const receiver = new ClusterAuth({ secret, clock, random: seededRandom(2) })
  return { clock, sender, receiver }
}

test('a signed message is accepted once', () => {
  const { sender, receiver } = pair()
  const header = sender.sign(message)
  receiver.verify(message, header)
  assert.throws(() => receiver.verify(message, header), { code: 'unauthorized', message: /already received/ })
  receiver.verify(message, sender.sign(message))
})

test('any change is refused', () => {
  const { clock, sender, receiver } = pair()
  const header = sender.sign(message)
  const changed: ClusterMessage[] = [
    { ...message, method: 'GET' },
    { ...message, path: '/cluster/heartbeat?a=2' },
  ]
  for (const each of changed) assert.throws(() => receiver.verify(each, header), /wrong cluster secret/)
  const later = header.replace(/time=(\d+)/, (_, time) => `time=${Number(time) + 1}`)
  assert.throws(() => receiver.verify(message, later), /wrong cluster secret/)
  const otherNonce = header.replace(/nonce=./, (text) => (text.endsWith('0') ? 'nonce=1' : 'nonce=0'))
  assert.throws(() => receiver.verify(message, otherNonce), /wrong cluster secret/)
  const other = new ClusterAuth({ secret: Buffer.alloc(32, 7), clock, random: seededRandom(3) })
  assert.throws(() => receiver.verify(message, other.sign(message)), /wrong cluster secret/)
  const otherBody = header.replace(/body=./, (text) => (text.endsWith('0') ? 'body=1' : 'body=0'))
  assert.throws(() => receiver.verify(message, otherBody), /wrong cluster secret/)
  receiver.verify(message, header)
})

test('the head is verified before the body is there, and the body then', () => {
  const { sender, receiver } = pair()
  for (const body of [Buffer.from('{"x":2}'), Buffer.alloc(0)]) {
    const checkBody = receiver.verifyHead(message, sender.sign(message))
    assert.throws(() => checkBody(body), { code: 'unauthorized', message: /not the one that was signed/ })
    assert.throws(
      () => receiver.verify({ ...message, body }, sender.sign(message)),
      /not the one that was signed/,
    )
    checkBody(message.body)
  }
})

test('a missing or malformed header is refused', () => {
  const { sender, receiver } = pair()
  const header = sender.sign(message)
  for (const wrong of [
    undefined,
    '',
    'Bearer x',
    'Basic eDp5',
    header.slice(0, -1),
    `${header} `,
    header.toLowerCase(),
  ]) {
    assert.throws(() => receiver.verify(message, wrong), {
      code: 'unauthorized',
      message: /needs the cluster secret/,
    })
  }
})

test('a late or early message is refused, whatever its nonce', () => {
  for (const direction of [1, -1]) {
    const { clock, sender, receiver } = pair()
    const header = sender.sign(message)
    clock.skew(direction * (CLUSTER_CLOCK_SKEW_MS_MAX + 1))
    assert.throws(() => receiver.verify(message, header), /clocks differ/)
    clock.skew(direction * -1)
    receiver.verify(message, header)
  }
})

test('nonces are forgotten only when their message is too old', () => {
  const { clock, sender, receiver } = pair()
  const header = sender.sign(message)
  receiver.verify(message, header)
  clock.add(2 * CLUSTER_CLOCK_SKEW_MS_MAX + 2)
  assert.throws(() => receiver.verify(message, header), /clocks differ/)
  receiver.verify(message, sender.sign(message))
})

test('the nonce store is bounded and refuses rather than forgets', () => {
  const { clock, sender, receiver } = pair()
  const small = { method: 'POST', path: '/', body: Buffer.alloc(0) }
  for (let i = 0; i < CLUSTER_NONCES_MAX; i++) receiver.verify(small, sender.sign(small))
  assert.throws(() => receiver.verify(small, sender.sign(small)), { code: 'too_many_requests' })
  clock.add(2 * CLUSTER_CLOCK_SKEW_MS_MAX + 2)
  receiver.verify(small, sender.sign(small))
})

test('a short secret is a bug of the caller', () => {
  const { clock } = pair()
  assert.throws(
    () => new ClusterAuth({ secret: Buffer.from('short'), clock, random: seededRandom(1) }),
    /too short/,
  )
})
