/** Uploads in steps: begun, broken off, gone on with, refused, and two at once. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { type DoorKit, digest, hash, startDoor } from './door-kit.ts'

const MIB = 1024 * 1024
const DAY_MS = 86_400_000
let door: DoorKit

before(async () => {
  door = await startDoor()
})

after(() => door.close())

function begin(name: string, headers: Record<string, string>): Promise<Response> {
  return fetch(door.url(`/objects/${name}`), { method: 'POST', headers })
}

/** Begins an upload; gives where it goes on. */
async function begun(name: string, bytes: Buffer, sizeBytes = bytes.length): Promise<string> {
  const reply = await begin(name, { digest: digest(bytes), size: String(sizeBytes) })
  assert.equal(reply.status, 201, await reply.text())
  const location = reply.headers.get('location')!
  assert.match(location, /^\/temp\/[\w.-]+$/)
  return location
}

async function received(location: string): Promise<number> {
  const reply = await fetch(door.url(location), { method: 'HEAD' })
  assert.equal(reply.status, 200)
  return Number(reply.headers.get('content-length'))
}

async function send(location: string, bytes: Buffer, first: number | undefined): Promise<number> {
  const headers: Record<string, string> = first === undefined ? {} : { range: `bytes=${first}-` }
  const reply = await fetch(door.url(location), { method: 'PUT', headers, body: new Uint8Array(bytes) })
  await reply.arrayBuffer()
  return reply.status
}

/** Announces more than it sends, and hangs up. */
function sendCut(location: string, bytes: Buffer, head: { first: number; announced: number }): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(door.url('/')).port), '127.0.0.1', () => {
      socket.write(
        `PUT ${location} HTTP/1.1\r\nHost: x\r\nRange: bytes=${head.first}-\r\nContent-Length: ${head.announced}\r\n\r\n`,
      )
      socket.end(bytes)
    })
    socket.resume()
    socket.once('error', () => {})
    socket.once('close', () => resolve())
  })
}

async function read(name: string): Promise<Buffer> {
  const reply = await fetch(door.url(`/objects/${name}`))
  assert.equal(reply.status, 200)
  return Buffer.from(await reply.arrayBuffer())
}

test('in several requests, of which one breaks off; then it is an object like any other', async () => {
  const bytes = randomBytes(20 * MIB + 3)
  const location = await begun('steps/large', bytes)
  assert.equal(await received(location), 0)
  assert.equal(await send(location, bytes.subarray(0, 5), undefined), 200)
  assert.equal(await received(location), 5)
  assert.equal((await door.get('/objects/steps/large'))[0], 404)
  const announced = bytes.length - 5
  await sendCut(location, bytes.subarray(5, 10 * MIB), { first: 5, announced })
  // What had come is kept, a moment after the connection broke.
  let kept = await received(location)
  for (const end = Date.now() + 10_000; kept < 10 * MIB && Date.now() < end; kept = await received(location))
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(kept, 10 * MIB)
  assert.equal(await send(location, bytes.subarray(kept), kept), 200)
  assert.ok((await read('steps/large')).equals(bytes))
  assert.ok((await read(encodeURIComponent(hash(bytes)))).equals(bytes))
  assert.equal((await fetch(door.url(location), { method: 'HEAD' })).status, 404)
  const [, lines] = await door.get('/versions/steps/large')
  const line = { name: 'steps/large', version: 1, size: bytes.length, hash: hash(bytes) }
  assert.deepEqual(JSON.parse(lines), line)
  const known = await begin('steps/known', { digest: digest(bytes), size: String(bytes.length) })
  assert.equal(known.status, 200)
  assert.ok((await read('steps/known')).equals(bytes))
})

test('small ones in one request, without bytes, and those whose bytes are here by the end', async () => {
  const bytes = randomBytes(1_000)
  const [first, second] = [await begun('small', bytes), await begun('small', bytes)]
  assert.equal(await send(first, bytes, 0), 200)
  assert.equal(await send(second, bytes, 0), 200)
  assert.ok((await read('small')).equals(bytes))
  assert.equal((await door.get('/versions/small'))[1].split('\n').length, 3)
  assert.equal((await begin('nothing', { digest: digest(''), size: '0' })).status, 200)
  assert.equal((await read('nothing')).length, 0)
})

test('what is wrong at the beginning: no Digest, no Size, another size than the known bytes have', async () => {
  const bytes = randomBytes(100)
  await door.put('known', bytes)
  const wrong: Record<string, string>[] = [
    { size: '100' },
    { digest: digest(bytes) },
    { digest: digest(bytes), size: '-1' },
    { digest: digest(bytes), size: 'x' },
    { digest: digest(bytes), size: '99' },
    { digest: digest('else'), size: '0' },
    { digest: 'SHA-256=x', size: '1' },
  ]
  for (const headers of wrong) assert.equal((await begin('wrong', headers)).status, 400)
  const huge = { digest: digest('else'), size: '999999999999999' }
  assert.equal((await begin('wrong', huge)).status, 413)
  assert.equal((await begin('wrong', { digest: digest(bytes), size: '100' })).status, 200)
})

test('what is wrong on the way: ranges that do not fit, too many bytes, others than were announced', async () => {
  const bytes = randomBytes(1_000)
  const location = await begun('ranges', bytes)
  assert.equal(await send(location, bytes.subarray(0, 400), 0), 200)
  for (const first of [0, 399, 401, 1_000]) assert.equal(await send(location, bytes, first), 416)
  const headers = { range: 'bytes=x' }
  assert.equal((await fetch(door.url(location), { method: 'PUT', headers, body: 'x' })).status, 400)
  assert.equal(await send(location, randomBytes(601), 400), 403)
  assert.equal(await received(location), 400)
  const chunked = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(700))
      controller.close()
    },
  })
  const request = { method: 'PUT', headers: { range: 'bytes=400-' }, body: chunked, duplex: 'half' } as const
  assert.equal((await fetch(door.url(location), request)).status, 403)
  const kept = await received(location)
  assert.ok(kept === 400 || kept === 1_000)
  assert.equal(await send(location, randomBytes(1_000 - kept), kept), 403)
  assert.equal((await fetch(door.url(location), { method: 'HEAD' })).status, 404)
  assert.equal((await door.get('/versions/ranges'))[1], '')
})

test('tokens: forged, of another installation, and expired', async () => {
  const bytes = randomBytes(10)
  const location = await begun('tokens', bytes)
  const [payload, mac] = location.slice('/temp/'.length).split('.') as [string, string]
  const words = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const forged = Buffer.from(JSON.stringify(['else', ...words.slice(1)])).toString('base64url')
  for (const token of [
    'x',
    'x.y',
    `${forged}.${mac}`,
    `${payload}.`,
    `${payload}.${mac}.x`,
    `${payload}.${mac}A`,
  ])
    assert.equal(await send(`/temp/${token}`, bytes, 0), 403, token)
  const other = await door.another({ secret: 'the secret of another installation' })
  assert.equal((await fetch(other.url(location), { method: 'HEAD' })).status, 403)
  door.clock.ms += DAY_MS
  assert.equal(await send(location, bytes, 0), 403)
  door.clock.ms -= DAY_MS
  assert.equal(await send(location, bytes, 0), 200)
})

test('of two that go on at the same place only one is heard', async () => {
  const bytes = randomBytes(9 * MIB)
  const location = await begun('both', bytes)
  const both = await Promise.all([send(location, bytes, 0), send(location, bytes, 0)])
  // The other one is told so, or finds that the upload has ended.
  assert.match(both.sort().join(), /^200,4(16|04)$/)
  assert.ok((await read('both')).equals(bytes))
})
