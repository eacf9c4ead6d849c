/** Uploads from pages of another site in a real browser: a form with a signed policy, and requests that CORS lets through. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type BrowserContext, chromium } from 'playwright-core'
import { SignerV4 } from '../../src/iam/sign.ts'
import { ROOT_KEY } from '../support/cairn-process.ts'
import { type ClientKit, MIB, startClients } from './client-kit.ts'

const BROWSER = '/usr/bin/chromium'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']
const BUCKET = 'uploads'
const VALID_MS = 60_000

/** What the page does with a link or a form; returns what the server said, or the browser's refusal. */
const PAGE_SCRIPT = `
async function put(url, headers, sizeBytes) {
  const body = new Blob([new Uint8Array(sizeBytes).fill(7)])
  try {
    const reply = await fetch(url, { method: 'PUT', headers, body })
    return { status: reply.status, etag: reply.headers.get('ETag'), id: reply.headers.get('x-amz-request-id') }
  } catch (error) { return { refused: String(error) } }
}
async function post(url, fields, text) {
  const form = new FormData()
  for (const [name, value] of fields) form.append(name, value)
  form.append('file', new File([text], 'from page.txt', { type: 'text/plain' }))
  const reply = await fetch(url, { method: 'POST', body: form })
  return { status: reply.status, text: await reply.text() }
}
async function get(url) { return await (await fetch(url)).text() }
`

describe('a browser', { skip: existsSync(BROWSER) ? false : `no ${BROWSER}` }, () => {
  const signer = new SignerV4({ accessKey: ROOT_KEY.accessKeyId, secretKey: ROOT_KEY.secretAccessKey })
  let kit: ClientKit
  let context: BrowserContext
  let site: Server
  /** The site of the pages: another origin than the store's. */
  let origin: string
  let form = ''

  before(async () => {
    kit = await startClients()
    site = createServer((request, reply) => {
      reply.setHeader('Content-Type', 'text/html; charset=utf-8')
      reply.end(request.url === '/form' ? form : `<script>${PAGE_SCRIPT}</script><p>site</p>`)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => site.once('listening', resolve))
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
    assert.equal((await send('PUT', `/${BUCKET}`)).status, 200)
    const rule = `<AllowedOrigin>${origin}</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod><AllowedMethod>GET</AllowedMethod>`
    const more =
      '<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds>'
    const rules = `<CORSConfiguration><CORSRule>${rule}${more}</CORSRule></CORSConfiguration>`
    assert.equal((await send('PUT', `/${BUCKET}`, { query: [['cors', '']], body: rules })).status, 200)
    context = await chromium.launchPersistentContext(join(kit.home, 'profile'), {
      executablePath: BROWSER,
      args: FLAGS,
      headless: true,
    })
  })

  after(async () => {
    await context?.close()
    site?.close()
    await kit?.close()
  })

  async function send(
    method: string,
    path: string,
    { query = [], body = '' }: { query?: [string, string][]; body?: string } = {},
  ): Promise<Response> {
    const bytes = Buffer.from(body)
    const digest: [string, string][] = [['Content-MD5', createHash('md5').update(bytes).digest('base64')]]
    const request = { method, host: kit.server.s3, path, query, headers: digest, body: bytes }
    const { target, headers } = signer.sign(request, Date.now())
    const init: RequestInit = { method, headers: headers.filter(([name]) => name !== 'Host') }
    return await fetch(`${kit.endpoint}${target}`, method === 'GET' ? init : { ...init, body: bytes })
  }

  const stored = async (key: string) => await send('GET', `/${BUCKET}/${key}`)

  function link(method: string, key: string, headers: [string, string][] = []): string {
    const request = { method, host: kit.server.s3, path: `/${BUCKET}/${key}`, headers }
    const { target } = signer.presign(request, { nowMs: Date.now(), expiresS: VALID_MS / 1000 })
    return `${kit.endpoint}${target}`
  }

  /** The fields of a form, the policy and its signature among them. */
  function signedFields(fields: Record<string, string>): [string, string][] {
    const nowMs = Date.now()
    const amzDate = `${new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
    const signing = {
      'x-amz-algorithm': 'AWS4-HMAC-SHA256',
      'x-amz-credential': `${ROOT_KEY.accessKeyId}/${signer.scope(amzDate)}`,
      'x-amz-date': amzDate,
    }
    const exact = Object.entries({ ...fields, ...signing })
      .filter(([name]) => name !== 'key')
      .map(([name, value]) => ({ [name]: value }))
    const limits = [
      ['starts-with', '$key', 'form/'],
      ['content-length-range', 1, 1000],
    ]
    const policy = JSON.stringify({
      expiration: new Date(nowMs + VALID_MS).toISOString(),
      conditions: [{ bucket: BUCKET }, ...exact, ...limits],
    })
    return [...Object.entries(fields), ...signer.signForm(policy, nowMs)]
  }

  const escaped = (text: string) => text.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`)

  test('a form is filled in, sent, and leads back to the site', async () => {
    const fields = signedFields({
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the form's own variable
      key: 'form/${filename}',
      success_action_redirect: `${origin}/done?a=1`,
      'Content-Type': 'text/plain',
      'x-amz-meta-from': 'a page',
    })
    const inputs = fields.map(
      ([name, value]) => `<input type="hidden" name="${name}" value="${escaped(value)}">`,
    )
    form = `<form action="${kit.endpoint}/${BUCKET}" method="post" enctype="multipart/form-data">
      ${inputs.join('')}<input type="file" name="file"><button name="submit" value="Upload">Upload</button></form>`
    const page = await context.newPage()
    const upload = async (name: string, content: string) => {
      await page.goto(`${origin}/form`)
      const file = { name, mimeType: 'text/plain', buffer: Buffer.from(content) }
      await page.locator('input[type=file]').setInputFiles(file)
      await page.locator('button').click()
      await page.waitForURL((url) => url.pathname !== '/form')
      return new URL(page.url())
    }
    const done = await upload('ein größerer Text.txt', 'chosen by hand')
    assert.equal(done.origin + done.pathname, `${origin}/done`)
    assert.equal(done.searchParams.get('a'), '1')
    assert.equal(done.searchParams.get('bucket'), BUCKET)
    assert.equal(done.searchParams.get('key'), 'form/ein größerer Text.txt')
    const reply = await stored('form/ein größerer Text.txt')
    assert.equal(await reply.text(), 'chosen by hand')
    assert.equal(reply.headers.get('x-amz-meta-from'), 'a page')
    assert.equal(done.searchParams.get('etag'), reply.headers.get('etag'))

    await upload('long.txt', 'x'.repeat(1001))
    assert.match(await page.content(), /EntityTooLarge/)
    assert.equal((await stored('form/long.txt')).status, 404)
    await page.close()
  })

  test('a script posts a form and reads the answer', async () => {
    const page = await context.newPage()
    await page.goto(origin)
    const call = (fields: [string, string][]) =>
      page.evaluate(
        `post(${JSON.stringify(`${kit.endpoint}/${BUCKET}`)}, ${JSON.stringify(fields)}, 'by script')`,
      ) as Promise<{ status: number; text: string }>
    const good = await call(signedFields({ key: 'form/script', success_action_status: '201' }))
    assert.equal(good.status, 201, good.text)
    assert.match(good.text, /<Key>form\/script<\/Key>/)
    assert.equal(await (await stored('form/script')).text(), 'by script')
    const bad = await call(signedFields({ key: 'elsewhere/script' }))
    assert.equal(bad.status, 403)
    await page.close()
  })

  test('a script puts through a presigned link where CORS allows its site', async () => {
    const page = await context.newPage()
    await page.goto(origin)
    const headers: [string, string][] = [
      ['Content-Type', 'image/x-test'],
      ['x-amz-meta-page', 'one'],
    ]
    const call = (url: string, given: [string, string][], sizeBytes: number) =>
      page.evaluate(`put(${JSON.stringify(url)}, ${JSON.stringify(given)}, ${sizeBytes})`) as Promise<
        Record<string, unknown>
      >
    const url = link('PUT', 'direct/large', headers)
    const put = await call(url, headers, 7 * MIB)
    assert.equal(put.status, 200)
    assert.match(String(put.etag), /^"[0-9a-f]{32}"$/)
    assert.equal(put.id, null, 'only what the rule exposes')
    const reply = await stored('direct/large')
    assert.equal(reply.headers.get('content-type'), 'image/x-test')
    assert.equal(reply.headers.get('x-amz-meta-page'), 'one')
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), Buffer.alloc(7 * MIB, 7))
    const read = await page.evaluate(`get(${JSON.stringify(link('GET', 'form/script'))})`)
    assert.equal(read, 'by script')

    await page.goto(origin.replace('127.0.0.1', 'localhost'))
    const refused = await call(link('PUT', 'direct/other', headers), headers, 10)
    assert.match(String(refused.refused), /Failed to fetch/)
    assert.equal((await stored('direct/other')).status, 404)
    await page.close()
  })
})
