import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { postBatch, readBatch, type WriteCall } from './messages.ts'

test('calls come as they were sent', async () => {
  const pool = Buffer.from('\u0000\u0001\u007f\u0080ÿ and more', 'latin1')
  const args = {
    bytes: pool.subarray(1, 5),
    plain: new Uint8Array([0, 255]),
    empty: Buffer.alloc(0),
    long: Buffer.alloc(100_000, 'é'),
    texts: ['', '\u0000', '\u0000ab', '\u0001', '\u0001\u0000', '\u0002', 'é€😀', '\ud800'],
    values: [null, undefined, true, -0, 1.5, 2 ** 52, 10n],
    nested: { rows: [{ key: Buffer.from('k'), none: undefined }], none: [] },
    pairs: new Map([['a', 1]]),
    ['__proto__']: { bytes: Buffer.from('own') },
  }
  const sent: WriteCall[] = [
    [1, 'objects.put', args, 7],
    [2, 'meta.ping', null, 0],
  ]
  const before = structuredClone(args.texts)
  const { port1, port2 } = new MessageChannel()
  try {
    postBatch(port1, sent)
    const [message] = await once(port2, 'message')
    const [first, second] = readBatch<WriteCall>(message)
    assert.deepEqual(second, sent[1])
    const came = first![2] as typeof args
    assert.deepEqual(came, { ...args, plain: Buffer.from(args.plain) })
    assert.ok(Buffer.isBuffer(came.bytes) && Buffer.isBuffer(came.nested.rows[0]!.key))
    assert.ok(Object.hasOwn(came, '__proto__') && Object.getPrototypeOf(came) === Object.prototype)
    // What was sent is the sender's own still.
    assert.deepEqual(args.texts, before)
    assert.ok(args.bytes.buffer === pool.buffer)
  } finally {
    port1.close()
  }
})
