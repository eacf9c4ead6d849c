/** Docker's registry with its layers in a bucket: pushed, pulled, listed, removed and swept, as its clients and its own command do. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { freePort } from '../support/free-port.ts'
import { type ClientKit, MIB, makeBucket, noPrograms, startClients } from './client-kit.ts'

const START_MS_MAX = 20_000
const LOOK_MS = 50
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'

describe("Docker's registry", { skip: noPrograms('docker-registry') }, () => {
  let kit: ClientKit
  let registry: { url: string; child: ChildProcess }

  before(async () => {
    kit = await startClients()
    await makeBucket(kit, 'registry')
    registry = await startRegistry(kit)
  })
  after(async () => {
    if (registry !== undefined) {
      registry.child.kill()
      await once(registry.child, 'close')
    }
    await kit?.close()
  })

  const ask = (path: string, init: RequestInit = {}) => fetch(new URL(path, registry.url), init)

  /** In pieces, each of which the registry appends to what is in the bucket. */
  async function pushLayer(name: string, bytes: Buffer, pieceBytes: number): Promise<string> {
    let reply = await ask(`/v2/${name}/blobs/uploads/`, { method: 'POST' })
    assert.equal(reply.status, 202)
    for (let start = 0; start < bytes.length; start += pieceBytes) {
      const body = bytes.subarray(start, start + pieceBytes)
      const range = `${start}-${start + body.length - 1}`
      const headers = { 'Content-Type': 'application/octet-stream', 'Content-Range': range }
      reply = await ask(reply.headers.get('location')!, {
        method: 'PATCH',
        headers,
        body: new Uint8Array(body),
      })
      assert.equal(reply.status, 202, await reply.text())
    }
    const digest = digestOf(bytes)
    const end = new URL(reply.headers.get('location')!, registry.url)
    end.searchParams.set('digest', digest)
    reply = await fetch(end, { method: 'PUT' })
    assert.equal(reply.status, 201, await reply.text())
    return digest
  }

  test('an image is pushed, pulled, tagged, removed, and its layers are swept', async () => {
    const layer = readFileSync(kit.file('layer', 13 * MIB))
    const small = readFileSync(kit.file('small', 1000))
    const config = Buffer.from('{"architecture":"amd64","os":"linux"}')
    const layers = [
      { digest: await pushLayer('team/image', layer, 6 * MIB), size: layer.length },
      { digest: await pushLayer('team/image', small, 600), size: small.length },
    ]
    const manifest = JSON.stringify({
      ...{ schemaVersion: 2, mediaType: MANIFEST },
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        ...{ size: config.length, digest: await pushLayer('team/image', config, MIB) },
      },
      layers: layers.map((each) => ({
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        ...each,
      })),
    })
    const headers = { 'Content-Type': MANIFEST, Accept: MANIFEST }
    const put = { method: 'PUT', headers, body: manifest }
    for (const tag of ['1.0', 'latest'])
      assert.equal((await ask(`/v2/team/image/manifests/${tag}`, put)).status, 201)

    assert.deepEqual(await (await ask('/v2/_catalog')).json(), { repositories: ['team/image'] })
    const { tags } = (await (await ask('/v2/team/image/tags/list')).json()) as { tags: string[] }
    assert.deepEqual(tags.sort(), ['1.0', 'latest'])
    const pulled = await ask('/v2/team/image/manifests/latest', { headers })
    assert.equal(await pulled.text(), manifest)
    for (const { digest } of layers) {
      // The registry sends clients to the bucket itself, by a presigned link.
      const reply = await ask(`/v2/team/image/blobs/${digest}`)
      assert.ok(reply.redirected && reply.url.startsWith(kit.endpoint), reply.url)
      assert.equal(digestOf(Buffer.from(await reply.arrayBuffer())), digest)
    }
    const mounted = await ask(`/v2/other/blobs/uploads/?mount=${layers[0]!.digest}&from=team/image`, {
      method: 'POST',
    })
    assert.equal(mounted.status, 201)

    const digest = pulled.headers.get('docker-content-digest')
    assert.equal((await ask(`/v2/team/image/manifests/${digest}`, { method: 'DELETE' })).status, 202)
    const { stdout } = await kit.run('docker-registry', ['garbage-collect', join(kit.home, 'registry.yml')])
    assert.match(stdout, / 4 blobs and 0 manifests eligible for deletion/)
    assert.equal((await ask('/v2/team/image/manifests/latest', { headers })).status, 404)
  })
})

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

async function startRegistry(kit: ClientKit): Promise<{ url: string; child: ChildProcess }> {
  const address = `127.0.0.1:${await freePort()}`
  const settings = {
    version: 0.1,
    log: { level: 'warn' },
    storage: {
      s3: {
        accesskey: ROOT_KEY.accessKeyId,
        secretkey: ROOT_KEY.secretAccessKey,
        region: 'us-east-1',
        regionendpoint: kit.endpoint,
        forcepathstyle: true,
        secure: false,
        bucket: 'registry',
        rootdirectory: '/images',
        multipartcopythresholdsize: 5 * MIB,
        multipartcopychunksize: 5 * MIB,
      },
      delete: { enabled: true },
    },
    http: { addr: address },
  }
  const path = join(kit.home, 'registry.yml')
  // YAML reads JSON.
  writeFileSync(path, JSON.stringify(settings))
  const child = spawn('docker-registry', ['serve', path], {
    env: kit.env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (piece: Buffer) => {
    log += piece.toString()
  })
  const url = `http://${address}`
  for (let waitedMs = 0; waitedMs < START_MS_MAX && child.exitCode === null; waitedMs += LOOK_MS) {
    const reply = await fetch(`${url}/v2/`).catch(() => undefined)
    if (reply?.ok) return { url, child }
    await setTimeout(LOOK_MS)
  }
  child.kill()
  throw new Error(`the registry does not start:\n${log}`)
}
