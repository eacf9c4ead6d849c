/** The commands of this door's document, one by one with curl, and what they printed there. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'
import { curl as curlUrl, type Printed } from '../support/curl.ts'

const HASH = 'DrkE6D0mP4aGOU37mPqUrpauEk5LRso0LBt6jnwISv0='
const HASH_OF_TEST5 = '2MRHhgqkvILs04RzLIEpZBzpgos/9QlNKRXEh7cMngY='
const TEXT = 'text/plain; charset=utf-8'
const directory = mkdtempSync(join(tmpdir(), 'cairn-objects-door-'))
let server: ServerProcess

before(async () => {
  const flags = ['--digest', 'optional', '--bucket-redundancy', 'objects=none']
  server = await startServer(join(directory, 'data'), flags)
})

after(async () => {
  await server.kill()
  rmSync(directory, { recursive: true, force: true })
})

const curl = (target: string, ...args: string[]) => curlUrl(`${server.objects}${target}`, ...args)

const stored: Printed = { status: '200 OK', headers: { 'Content-Length': '0' }, body: '' }
const served = (body: string): Printed => ({
  status: '200 OK',
  headers: { 'Content-Length': String(body.length), 'Content-Type': TEXT },
  body,
})

test('the first chapters, which send no Digest', async () => {
  const put = ['-XPUT', '-d']
  assert.deepEqual(await curl('/objects/test', ...put, 'this is a test object'), stored)
  assert.deepEqual(await curl('/objects/test'), served('this is a test object'))
  assert.deepEqual(await curl('/objects/test2', ...put, 'this is object test2'), stored)
  assert.deepEqual(await curl('/objects/test2'), served('this is object test2'))
})

test('versions: a wrong Digest, the right one, locate, get by name, version and hash, delete', async () => {
  const put = ['-XPUT', '-d', 'This is object content version-1', '-H']
  const wrong = await curl('/objects/test', ...put, 'Digest: SHA-256=9AimTha2kCISf8bVfi1jPXo2BzY=')
  assert.equal(wrong.status, '400 Bad Request')
  assert.deepEqual(await curl('/objects/test', ...put, `Digest: SHA-256=${HASH}`), stored)
  const located = await curl(`/locate/${HASH}`)
  assert.deepEqual([located.status, located.headers['Content-Type']], ['200 OK', TEXT])
  assert.equal(located.body, JSON.stringify(server.volume))
  const version1 = served('This is object content version-1')
  assert.deepEqual(await curl('/objects/test'), version1)
  assert.deepEqual(await curl('/objects/test?version'), version1)
  assert.deepEqual(await curl(`/objects/${HASH}`), version1)
  assert.deepEqual(await curl('/objects/test', '-XDELETE'), stored)
  assert.equal((await curl('/objects/test')).status, '404 Not Found')
  assert.deepEqual(await curl('/objects/test?version=2'), version1)
  const lines = (await curl('/versions/test')).body.trim().split('\n')
  assert.deepEqual(lines.slice(1), [
    `{"name":"test","version":2,"size":32,"hash":"${HASH}"}`,
    '{"name":"test","version":3,"size":0,"hash":""}',
  ])
})

test('another object, whose hash has a slash in it', async () => {
  const text = 'this object will be seperated to 4+2'
  const put = ['-XPUT', '-d', text, '-H', `Digest: SHA-256=${HASH_OF_TEST5}`]
  assert.deepEqual(await curl('/objects/test5', ...put), stored)
  assert.deepEqual(await curl('/objects/test5'), served(text))
  assert.deepEqual(await curl(`/objects/${HASH_OF_TEST5}`), served(text))
  assert.deepEqual(await curl(`/objects/${encodeURIComponent(HASH_OF_TEST5)}`), served(text))
  assert.equal((await curl(`/locate/${encodeURIComponent(HASH_OF_TEST5)}`)).status, '200 OK')
})
