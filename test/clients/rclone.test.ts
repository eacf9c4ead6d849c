/** rclone with its provider "Other": sync and check of many files, large ones in parts, and a bucket served by it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { freePort } from '../support/cluster-processes.ts'
import { type ClientKit, digestOf, MIB, noPrograms, startClients } from './client-kit.ts'

const FILES = 400
const READY_MS_MAX = 20_000
const LOOK_MS = 50

describe('rclone', { skip: noPrograms('rclone') }, () => {
  let kit: ClientKit
  let env: Record<string, string>
  const rclone = async (...words: string[]) => {
    const { stdout, stderr } = await kit.run('rclone', ['--retries', '1', ...words], { env })
    return { stdout, stderr }
  }

  before(async () => {
    kit = await startClients()
    writeFileSync(join(kit.home, 'rclone.conf'), '')
    env = {
      RCLONE_CONFIG: join(kit.home, 'rclone.conf'),
      RCLONE_CONFIG_CAIRN_TYPE: 's3',
      RCLONE_CONFIG_CAIRN_PROVIDER: 'Other',
      RCLONE_CONFIG_CAIRN_ENDPOINT: kit.endpoint,
      RCLONE_CONFIG_CAIRN_ACCESS_KEY_ID: ROOT_KEY.accessKeyId,
      RCLONE_CONFIG_CAIRN_SECRET_ACCESS_KEY: ROOT_KEY.secretAccessKey,
    }
    for (let i = 0; i < FILES; i++) kit.file(`many/${i % 7}/file ${i}+ü.bin`, (i * 37) % 3000)
    kit.file('many/large.bin', 13 * MIB)
    utimesSync(join(kit.home, 'many/large.bin'), 1_600_000_000, 1_600_000_000.5)
  })
  after(() => kit?.close())

  test('sync up, check, sync again, and down', async () => {
    await rclone('mkdir', 'cairn:many')
    const parts = ['--s3-chunk-size', '5Mi', '--s3-upload-cutoff', '8Mi']
    await rclone('sync', 'many', 'cairn:many/in it', '--transfers', '16', ...parts)
    assert.match(
      (await rclone('check', '--download', 'many', 'cairn:many/in it')).stderr,
      / 0 differences found/,
    )
    assert.match(
      (await rclone('check', 'many', 'cairn:many/in it')).stderr,
      new RegExp(` ${FILES + 1} matching files`),
    )
    // Times are kept as metadata, so that nothing is sent twice.
    assert.doesNotMatch((await rclone('sync', '-v', 'many', 'cairn:many/in it')).stderr, /Copied/)
    rmSync(join(kit.home, 'many/0'), { recursive: true })
    kit.file('many/new/one.bin', 100)
    const { stderr: second } = await rclone('sync', '-v', 'many', 'cairn:many/in it')
    assert.match(second, /Copied \(new\)/)
    assert.match(second, /Deleted/)
    await rclone('sync', 'cairn:many/in it', 'back', '--transfers', '16')
    assert.match((await rclone('check', '--download', 'many', 'back')).stderr, / 0 differences found/)
    assert.equal(
      await digestOf(join(kit.home, 'back/large.bin')),
      await digestOf(join(kit.home, 'many/large.bin')),
    )
  })

  test('lsjson, moveto, hashsum, size, touch, purge', async () => {
    kit.file('one', 5000)
    await rclone('copyto', 'one', 'cairn:tools/a/one')
    await rclone('moveto', 'cairn:tools/a/one', 'cairn:tools/b/two')
    const listed = JSON.parse((await rclone('lsjson', '-R', '--hash', 'cairn:tools')).stdout)
    const files = listed.filter(({ IsDir }: { IsDir: boolean }) => !IsDir)
    assert.deepEqual(
      files.map(({ Path, Size }: { Path: string; Size: number }) => [Path, Size]),
      [['b/two', 5000]],
    )
    const { stdout: sum } = await rclone('hashsum', 'MD5', '--download', 'cairn:tools/b/two')
    assert.equal(sum.slice(0, 32), files[0].Hashes.md5)
    assert.match((await rclone('size', 'cairn:tools')).stdout, /Total objects: 1/)
    await rclone('touch', 'cairn:tools/an/empty')
    await rclone('purge', 'cairn:tools')
    assert.doesNotMatch((await rclone('lsd', 'cairn:')).stdout, /tools/)
  })

  test('serve http: many files through it', async () => {
    const url = `http://127.0.0.1:${await freePort()}/`
    const child = spawn('rclone', ['serve', 'http', 'cairn:many/in it', '--addr', new URL(url).host], {
      env: { ...kit.env, ...env },
      stdio: 'ignore',
    })
    try {
      await isServed(url)
      const page = await (await fetch(url)).text()
      assert.match(page, /large\.bin/)
      for (let i = 1; i < 40; i++) {
        if (i % 7 === 0) continue
        const name = `${i % 7}/file ${i}+ü.bin`
        const reply = await fetch(`${url}${name.split('/').map(encodeURIComponent).join('/')}`)
        assert.equal(reply.status, 200, name)
        const content = Buffer.from(await reply.arrayBuffer())
        assert.deepEqual(content, readFileSync(join(kit.home, 'many', name)))
      }
    } finally {
      const ended = once(child, 'close')
      child.kill()
      await ended
    }
  })
})

async function isServed(url: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < READY_MS_MAX; waitedMs += LOOK_MS) {
    const reply = await fetch(url).catch(() => undefined)
    if (reply?.ok) return
    await setTimeout(LOOK_MS)
  }
  throw new Error(`nothing is served at ${url}`)
}
