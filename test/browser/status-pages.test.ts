/** The status pages and the listing of a directory in a real browser: they fill themselves in, go on by themselves, and run nothing that others wrote. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { debianNode, NodesService, noMemcached } from '../sfss/nodes-kit.ts'
import { type ServerProcess, startServer } from '../support/cairn-process.ts'

const BROWSER = '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const COLLECTION = '<img src=x onerror=document.title="broken">'
const WAIT = { timeout: 20_000 }

describe('status pages', { skip: existsSync(BROWSER) ? false : `no ${BROWSER}` }, () => {
  const profile = mkdtempSync(join(tmpdir(), 'cairn-browser-'))
  const data = mkdtempSync(join(tmpdir(), 'cairn-status-'))
  let server: ServerProcess
  let context: BrowserContext

  before(async () => {
    server = await startServer(data)
    const query = new URLSearchParams({ collection: COLLECTION })
    const assigned = await fetch(`http://${server.master}/dir/assign?${query}`)
    assert.equal(assigned.status, 200, await assigned.clone().text())
    await write(3)
    context = await chromium.launchPersistentContext(profile, {
      executablePath: BROWSER,
      args: FLAGS,
      headless: true,
    })
  })

  after(async () => {
    await context?.close()
    await server?.stop()
    for (const directory of [profile, data]) rmSync(directory, { recursive: true, force: true })
  })

  async function write(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { fid, url } = (await (await fetch(`http://${server.master}/dir/assign`)).json()) as {
        fid: string
        url: string
      }
      assert.equal((await fetch(`http://${url}/${fid}`, { method: 'PUT', body: 'twelve bytes' })).status, 201)
    }
  }

  /** A page with all that it complained about: script errors, and what its policy has refused. */
  async function open(url: string, options: BrowserContextOptions = {}) {
    const page = await context.newPage()
    if (options.viewport) await page.setViewportSize(options.viewport)
    await page.emulateMedia({ colorScheme: options.colorScheme ?? 'light' })
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    await page.goto(url)
    await page.getByText('up', { exact: true }).first().waitFor(WAIT)
    return { page, complaints }
  }

  const tile = (page: Page, label: string) => page.locator('.tile', { hasText: label }).locator('b')

  function isFilled(page: Page, files: string): Promise<void> {
    const tiles = page.locator('.tile', { hasText: /^Files/ })
    return tiles.locator('b', { hasText: new RegExp(`^${files}$`) }).waitFor(WAIT)
  }

  test('of the master and of a volume server: numbers that go on by themselves', async () => {
    const masters = await open(`http://${server.master}/`)
    const volumes = await open(`http://${server.volume}/ui/index.html`)
    await isFilled(masters.page, '3')
    await isFilled(volumes.page, '3')
    assert.equal(await tile(masters.page, 'Volume servers').textContent(), '1')
    await write(4)
    await isFilled(masters.page, '7')
    await isFilled(volumes.page, '7')
    assert.match((await tile(volumes.page, 'Writes per second').textContent())!, /^\d/)
    assert.ok(await volumes.page.getByText(data).first().isVisible())
    for (const { page, complaints } of [masters, volumes]) {
      assert.deepEqual(complaints, [])
      await page.close()
    }
  })

  test('a collection that is named like HTML is shown, not run', async () => {
    for (const address of [server.master, server.volume]) {
      const { page, complaints } = await open(`http://${address}/`)
      await page.getByText(COLLECTION).first().waitFor(WAIT)
      assert.match(await page.title(), /^Cairn/)
      assert.equal(await page.locator('img').count(), 0)
      // Should a name ever become HTML, the policy stops it still.
      await page.evaluate(`document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(COLLECTION)})`)
      await page.locator('img').waitFor({ state: 'attached', ...WAIT })
      assert.match(await page.title(), /^Cairn/)
      assert.ok(complaints.every((text) => /Content Security Policy/.test(text)))
      await page.close()
    }
  })

  test('fit a phone, and are dark where the reader likes it', async () => {
    for (const address of [server.master, server.volume]) {
      const { page } = await open(`http://${address}/`, {
        viewport: { width: 360, height: 740 },
        colorScheme: 'dark',
      })
      await isFilled(page, '7')
      const scrollWidth = await page.evaluate('document.documentElement.scrollWidth')
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      assert.equal(scrollWidth, 360)
      assert.ok(
        /^rgb\((\d+), (\d+), (\d+)\)$/
          .exec(String(background))!
          .slice(1)
          .every((each) => Number(each) < 60),
      )
      await page.close()
    }
  })

  test('of a directory of the filer: its files as links, whatever their names, on a phone too', async () => {
    const names = [
      'a file.txt',
      '<img src=x onerror=document.title="broken">',
      '50%&more.txt',
      'ä'.repeat(60),
    ]
    for (const name of names) {
      const url = `http://${server.filer}/pages/${encodeURIComponent(name)}`
      assert.equal((await fetch(url, { method: 'PUT', body: name })).status, 201)
    }
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    await page.setViewportSize({ width: 360, height: 740 })
    await page.goto(`http://${server.filer}/pages/`)
    for (const name of names) await page.getByText(name, { exact: true }).waitFor(WAIT)
    assert.equal(await page.locator('img').count(), 0)
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
    assert.deepEqual(complaints, [])
    for (const name of names) {
      const href = await page.getByRole('link', { name, exact: true }).getAttribute('href')
      const got = await fetch(new URL(href!, page.url()))
      assert.equal(await got.text(), name)
    }
    await page.close()
  })

  test('JSON for those who ask for it', async () => {
    for (const [address, role] of [
      [server.master, 'master'],
      [server.volume, 'volume'],
    ]) {
      const reply = await fetch(`http://${address}/`, { headers: { Accept: 'application/json' } })
      assert.equal(reply.headers.get('content-type'), 'application/json')
      assert.equal(reply.headers.get('vary'), 'Accept')
      const status = (await reply.json()) as { role: string; volumes: { collection: string }[] }
      assert.equal(status.role, role)
      assert.ok(status.volumes.some(({ collection }) => collection === COLLECTION))
      const page = await fetch(`http://${address}/`, {
        headers: { Accept: 'text/html,application/json;q=0.5' },
      })
      assert.match(page.headers.get('content-type')!, /^text\/html/)
      assert.match(page.headers.get('content-security-policy')!, /default-src 'none'/)
      assert.doesNotMatch(page.headers.get('content-security-policy')!, /unsafe/)
    }
  })

  test('sfss: its monitor shows the storages, and which is down', { skip: noMemcached }, async () => {
    const service = await NodesService.start([await debianNode(), await debianNode(), await debianNode()])
    try {
      const { page, complaints } = await open(`http://${service.monitorAddress}/`)
      await tile(page, 'servers that answer').filter({ hasText: '3 of 3' }).waitFor(WAIT)
      await service.nodes[1]!.kill()
      await tile(page, 'servers that answer').filter({ hasText: '2 of 3' }).waitFor(WAIT)
      await page
        .locator('tr', { hasText: service.nodes[1]!.address })
        .getByText('down', { exact: true })
        .waitFor(WAIT)
      assert.deepEqual(complaints, [])
      await page.close()
    } finally {
      await service.stop()
    }
  })
})
