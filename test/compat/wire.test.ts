/**
 * The replies of SeaweedFS's master and volume server, byte for byte: status, body, and the headers that its clients read. A real
 * server answers; what differs from run to run (ids, ports, times) is put in where it belongs.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { type Ask, ask, form, type Reply } from '../volume-server/volume-server-kit.ts'

let [server, directory]: [ServerProcess | undefined, string] = [undefined, '']
let fid = ''

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cairn-wire-'))
  server = await startServer(join(directory, 'data'))
  fid = String((await master('/dir/assign')).json().fid)
})
after(async () => {
  await server?.stop()
  rmSync(directory, { recursive: true, force: true })
})

const portOf = (address: string) => Number(address.split(':').at(-1))
const master = (path: string, request: Partial<Ask> = {}) => ask(portOf(server!.master), { path, ...request })
const volume = (path: string, request: Partial<Ask> = {}) => ask(portOf(server!.volume), { path, ...request })

/** A name of a header and its value; undefined: it is not there. */
type Wanted = Record<string, string | undefined>

function assertReply(reply: Reply, status: number, body: string, headers: Wanted = {}): void {
  assert.deepEqual([reply.status, reply.text], [status, body])
  for (const [name, value] of Object.entries(headers)) assert.equal(reply.headers[name], value, name)
  assert.match(String(reply.headers['x-amz-request-id']), /^[0-9A-F]+$/)
  if (body.startsWith('{')) {
    assert.equal(reply.headers['content-type'], 'application/json')
    assert.equal(reply.headers['x-content-type-options'], 'nosniff')
  }
}

test('the master: assign, lookup, grow, vacuum, collections, cluster', async () => {
  const address = server!.volume
  const assigned = await master('/dir/assign?count=3')
  const { fid: first } = assigned.json() as { fid: string }
  assert.match(first, /^[1-9]\d*,([0-9a-f]{2})+[0-9a-f]{8}$/)
  assertReply(assigned, 200, `{"fid":"${first}","url":"${address}","publicUrl":"${address}","count":3}`)
  const cases: [path: string, status: number, body: string][] = [
    ['/dir/assign?replication=999', 406, '{"error":"unexpected replication type: 999"}'],
    ['/dir/assign?dataCenter=mars', 400, '{"error":"data center mars not found in topology"}'],
    [
      '/dir/lookup?volumeId=77',
      404,
      '{"volumeId":"77","volumeOrFileId":"77","error":"volume id 77 not found"}',
    ],
    ['/dir/lookup?volumeId=x', 404, '{"volumeId":"x","volumeOrFileId":"x","error":"Unknown volume id x"}'],
    ['/vol/grow?count=2', 200, '{"count":2}'],
    ['/vol/grow?count=x', 406, '{"error":"can not parse parameter count x"}'],
    ['/vol/vacuum?garbageThreshold=x', 406, '{"error":"garbageThreshold x is not a valid float number"}'],
    ['/col/delete?collection=x', 400, '{"error":"collection x does not exist"}'],
    ['/submit', 405, '{"error":"Only submit via POST!"}'],
    ['/77,01637037d6', 404, '{"error":"volume id 77 not found"}'],
    ['/cluster/healthz', 200, ''],
    ['/healthz', 200, ''],
    ['/readyz', 200, ''],
  ]
  for (const [path, status, body] of cases) assertReply(await master(path), status, body)
  const id = fid.split(',')[0]
  assertReply(
    await master(`/dir/lookup?volumeId=${id}`),
    200,
    `{"volumeId":"${id}","volumeOrFileId":"${id}","locations":[{"url":"${address}","publicUrl":"${address}","dataCenter":"DefaultDataCenter"}]}`,
  )
  const found = await master('/cluster/status')
  const { MaxVolumeId } = found.json() as { MaxVolumeId: number }
  assertReply(found, 200, `{"IsLeader":true,"Leader":"${server!.master}","MaxVolumeId":${MaxVolumeId}}`)
  assertReply(await master(`/${fid}?a=b`), 308, '', { location: `http://${address}/${fid}?a=b` })
  assert.equal(
    (await master('/col/delete?collection=x&pretty=y')).text,
    '{\n  "error": "collection x does not exist"\n}',
  )
})

test('submit', async () => {
  const { headers, body } = form({ content: 'hello world', filename: 'h.txt', mime: 'text/plain' })
  const reply = await master('/submit', { method: 'POST', headers, body })
  const { fid: id } = reply.json() as { fid: string }
  assertReply(
    reply,
    201,
    `{"eTag":"c99465aa","fid":"${id}","fileName":"h.txt","fileUrl":"${server!.volume}/${id}","size":11}`,
  )
})

test('the volume server: a file from POST to DELETE', async () => {
  const file = form({ content: 'hello world', filename: 'h.txt', mime: 'text/plain' })
  const post = (path: string, headers: Record<string, string> = {}) =>
    volume(path, { method: 'POST', body: file.body, headers: { ...file.headers, ...headers } })
  const etag = '"c99465aa"'
  const stored = '{"name":"h.txt","size":11,"eTag":"c99465aa","mime":"text/plain"}'
  assertReply(await post(`/${fid}`, { 'Seaweed-Owner': 'bob' }), 201, stored, { etag, 'content-md5': '' })
  assertReply(await post(`/${fid}`, { 'Seaweed-Owner': 'bob' }), 204, '', { etag })
  const md5 = 'XrY7u+Ae7tCTyyK7j1rNww=='
  assertReply(
    await post(`/${fid}_1`, { 'Content-MD5': md5 }),
    201,
    `${stored.slice(0, -1)},"contentMd5":"${md5}"}`,
    { etag, 'content-md5': md5 },
  )
  const shown = {
    etag,
    owner: 'bob',
    'seaweed-owner': undefined,
    'accept-ranges': 'bytes',
    'content-type': 'text/plain',
    'content-length': '11',
  }
  const inline = { 'content-disposition': 'inline; filename=h.txt' }
  assertReply(await volume(`/${fid}`), 200, 'hello world', { ...shown, ...inline })
  assertReply(await volume(`/${fid}`, { method: 'HEAD' }), 200, '', { ...shown, ...inline })
  assertReply(await volume(`/${fid}?dl=true`), 200, 'hello world', {
    'content-disposition': 'attachment; filename=h.txt',
  })
  const get = (headers: Record<string, string>) => volume(`/${fid}`, { headers })
  assertReply(await get({ Range: 'bytes=0-3' }), 206, 'hell', { 'content-range': 'bytes 0-3/11' })
  assertReply(await get({ Range: 'bytes=50-60' }), 416, 'invalid range\n', {
    'content-type': 'text/plain; charset=utf-8',
  })
  assertReply(await get({ 'If-None-Match': etag }), 304, '', { etag })
  assertReply(await get({ Origin: 'http://a' }), 200, 'hello world', {
    'access-control-allow-origin': '*',
    'access-control-allow-credentials': 'true',
  })
  const other = `${fid.slice(0, -8)}00000000`
  assertReply(await volume(`/${other}`), 404, '')
  assertReply(await volume('/999,0163aabbccdd'), 404, '')
  assertReply(
    await volume(`/${other}`, { method: 'DELETE' }),
    400,
    '{"error":"File Random Cookie does not match."}',
  )
  const mismatch = await post(`/${other}`)
  assertReply(mismatch, 500, '{"error":"failed to write to local disk: mismatching cookie 00000000"}')
  assertReply(await volume('/9,99'), 400, '{"error":"KeyHash is too short."}')
  // 19 bytes of checksums more than SeaweedFS's record has.
  assertReply(await volume(`/${fid}`, { method: 'DELETE' }), 202, '{"size":74}')
  assertReply(await volume(`/${fid}`, { method: 'DELETE' }), 404, '{"size":0}')
  assertReply(await volume(`/${fid}`), 404, '')
  assertReply(await volume(`/${fid}?readDeleted=true`), 200, 'hello world')
})
