/**
 * What the status pages for people have in common: one HTML document with its style and script inside, which asks the
 * same address for JSON every few seconds. The policy names style and script by their hashes, so that nothing that a
 * file, collection or server is called can ever run; every value gets into the page as text.
 */
import { createHash } from 'node:crypto'
import { type Outcome, rawHeader } from '../net/reply.ts'

export interface StatusPage {
  title: string
  /** HTML inside `<main>`. Holds no data: the script fills it in. */
  body: string
  /** Defines `show(data, rates)`, which is called with each JSON reply. */
  script: string
}

/** How often an open page asks again. */
const REFRESH_MS = 2_000
/** Rates are means over about this time. */
const RATE_WINDOW_MS = 8_000

export function isStatusPagePath(path: string): boolean {
  return path === '/' || path === '/ui' || path === '/ui/' || path === '/ui/index.html'
}

/** Whether a request for a page wants its JSON. Browsers name `text/html`; what names nothing gets the page. */
export function wantsJson(rawHeaders: readonly string[]): boolean {
  const accept = rawHeader(rawHeaders, 'accept') ?? ''
  return accept.includes('application/json') && !accept.includes('text/html')
}

/** Makes a page's reply, once: it is the same for everyone. */
export function statusPageReply(page: StatusPage): () => Outcome {
  const script = `'use strict'\n${COMMON_SCRIPT}\n${page.script}\n${START_SCRIPT}`
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title}</title>
<link rel="icon" href="${ICON}">
<style>${STYLE}</style>
</head>
<body>
<header>
${LOGO}
<div><h1>${page.title}</h1><p id="about">…</p></div>
<p id="state" role="status">connecting</p>
</header>
<main>
<noscript><p class="note">This page needs its script to fill itself in. The same as JSON: ask with Accept: application/json.</p></noscript>
${page.body}
</main>
<script>${script}</script>
</body>
</html>
`
  const policy = [
    "default-src 'none'",
    `style-src '${hashOf(STYLE)}'`,
    `script-src '${hashOf(script)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  const headers = [
    ...['Content-Type', 'text/html; charset=utf-8', 'Content-Security-Policy', policy],
    ...['X-Content-Type-Options', 'nosniff', 'Referrer-Policy', 'no-referrer', ...UNCACHED],
  ]
  const body = Buffer.from(html)
  return () => ({ status: 200, headers: [...headers], body })
}

/** Headers of both forms: the same address gives either. */
export const UNCACHED: readonly string[] = ['Vary', 'Accept', 'Cache-Control', 'no-store']

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

/** Three stones, one on the other. */
const STONES =
  '<ellipse cx="16" cy="26" rx="13" ry="5"/><ellipse cx="17" cy="16.500" rx="9" ry="4.200"/><ellipse cx="15.500" cy="8.500" rx="5.500" ry="3.500"/>'
const LOGO = `<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">${STONES}</svg>`
const ICON = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="#3f7d6e">${STONES}</svg>`,
)}`

const STYLE = `
:root{--bg:#f5f6f4;--card:#fff;--ink:#1d2422;--soft:#66716d;--line:#e2e6e3;--accent:#2f7564;--track:#e8ece9;--warn:#a86400;--bad:#b3261e;--badbg:#fbeae8;--warnbg:#fbf1e0;--okbg:#e4f1ed}
@media (prefers-color-scheme:dark){:root{--bg:#131716;--card:#1b201f;--ink:#e6ebe9;--soft:#94a19c;--line:#2a3130;--accent:#63b8a2;--track:#2a3130;--warn:#e3ad58;--bad:#f08a82;--badbg:#3a1f1d;--warnbg:#352a17;--okbg:#1c322c}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
header{display:flex;align-items:center;gap:14px;max-width:1180px;margin:0 auto;padding:22px 20px 6px}
header div{min-width:0;flex:1}
.logo{width:40px;height:40px;flex:none;fill:var(--accent)}
h1{font-size:20px;line-height:1.2;margin:0;font-weight:650;letter-spacing:-.01em}
header p{margin:2px 0 0;color:var(--soft);font-size:13px;overflow:hidden;text-overflow:ellipsis}
#state{flex:none;margin:0;padding:3px 11px;border-radius:99px;background:var(--okbg);color:var(--accent);font-weight:600}
#state.warn{background:var(--warnbg);color:var(--warn)}
#state.bad{background:var(--badbg);color:var(--bad)}
main{max-width:1180px;margin:0 auto;padding:10px 20px 48px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(155px,1fr));gap:12px;margin:8px 0 4px}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px}
.tile{padding:11px 14px 10px;min-width:0;position:relative;overflow:hidden}
.tile b{display:block;font-size:23px;line-height:1.25;font-weight:650;letter-spacing:-.02em;white-space:nowrap}
.tile span,.tile small{display:block;color:var(--soft);font-size:12.5px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.tile small{min-height:1.45em}
.tile.bad b{color:var(--bad)}.tile.warn b{color:var(--warn)}
.tile svg{position:absolute;right:0;bottom:0;width:100%;height:38px;fill:var(--accent);opacity:.13;pointer-events:none}
h2{font-size:14px;margin:26px 2px 8px;font-weight:650}
h2 small{color:var(--soft);font-weight:400;font-size:13px;margin-left:6px}
.card{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th{font-weight:500;color:var(--soft);text-align:left;font-size:12.5px;white-space:nowrap}
th,td{padding:8px 14px;border-bottom:1px solid var(--line);vertical-align:middle}
tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;white-space:nowrap}
td.name{overflow-wrap:anywhere;min-width:120px}td.name a{white-space:nowrap}
td small{color:var(--soft);display:block;font-size:12px}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
.bar{display:block;height:5px;border-radius:3px;background:var(--track);margin-top:4px;min-width:70px;overflow:hidden}
.bar i{display:block;height:100%;background:var(--accent);border-radius:3px}
.bar.warn i{background:var(--warn)}.bar.bad i{background:var(--bad)}
.tag{display:inline-block;padding:1px 9px;border-radius:99px;font-size:12px;font-weight:600;background:var(--okbg);color:var(--accent);white-space:nowrap}
.tag.off{background:var(--track);color:var(--soft)}.tag.warn{background:var(--warnbg);color:var(--warn)}.tag.bad{background:var(--badbg);color:var(--bad)}
.note{color:var(--soft);font-size:13.5px;padding:12px 14px;margin:0}
.alert{background:var(--badbg);color:var(--bad);border-radius:12px;padding:10px 14px;margin:10px 0 0}
.alert:empty{display:none}
@media (max-width:680px){header{padding:16px 14px 4px}main{padding:8px 12px 40px}.tiles{grid-template-columns:1fr 1fr;gap:8px}.tile b{font-size:20px}.wide{display:none}th,td{padding:8px 10px}}
`

/** Browser code: making elements, numbers for people, rates out of totals. */
const COMMON_SCRIPT = String.raw`
const byId = (id) => document.getElementById(id)
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
function bytes(value) {
  let unit = 0
  while (value >= 1000 && unit < UNITS.length - 1) { value /= 1024; unit++ }
  return (unit === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3).replace(/\.?0+$/, '')) + ' ' + UNITS[unit]
}
function count(value) { return Math.round(value).toLocaleString('en-US').replaceAll(',', '\u202f') }
function rate(value) { return value === undefined ? '–' : value > 0 && value < 10 ? value.toFixed(1) : count(value) }
function plural(value, noun) { return count(value) + ' ' + noun + (value === 1 ? '' : 's') }
function percent(part, whole) { return whole > 0 ? Math.round((1000 * part) / whole) / 10 + ' %' : '–' }
function ago(seconds) {
  if (seconds < 90) return Math.max(0, Math.round(seconds)) + ' s'
  if (seconds < 5400) return Math.round(seconds / 60) + ' min'
  if (seconds < 172800) return Math.round(seconds / 3600) + ' h'
  return Math.round(seconds / 86400) + ' d'
}
function el(tag, attributes, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes ?? {})) if (value !== undefined) element.setAttribute(name, value)
  element.append(...children.filter((child) => child !== undefined))
  return element
}
function bar(part, whole, warnAbove) {
  const share = whole > 0 ? Math.min(1, part / whole) : 0
  const level = share > (warnAbove + 1) / 2 ? ' bad' : share > warnAbove ? ' warn' : ''
  const inner = el('i')
  inner.style.width = share * 100 + '%'
  return el('span', { class: 'bar' + level }, inner)
}
function tag(text, level) { return el('span', { class: 'tag ' + (level ?? '') }, text) }
const LEVELS = { writable: '', full: 'off', 'read only': 'warn', 'disk full': 'bad', failed: 'bad', moving: 'warn' }
function stateTag(state) { return tag(state, LEVELS[state] ?? 'warn') }
const histories = new Map()
function spark(name, value) {
  const history = histories.get(name) ?? []
  histories.set(name, history)
  history.push(value ?? 0)
  if (history.length > 60) history.shift()
  const top = Math.max(...history)
  if (history.length < 2 || !(top > 0)) return undefined
  const points = history.map((each, at) => ((at + 60 - history.length) * 100) / 59 + ',' + (38 - (each / top) * 34))
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 100 38')
  svg.setAttribute('preserveAspectRatio', 'none')
  svg.setAttribute('aria-hidden', 'true')
  const shape = document.createElementNS('http://www.w3.org/2000/svg', 'polygon')
  const start = ((60 - history.length) * 100) / 59
  shape.setAttribute('points', start + ',38 ' + points.join(' ') + ' 100,38')
  svg.append(shape)
  return svg
}
function tile(label, value, detail, options) {
  return el('div', { class: 'tile ' + (options?.level ?? '') }, el('span', {}, label), el('b', {}, value), el('small', {}, detail ?? ''), options?.graph)
}
function table(columns, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'note' }, empty)
  const classes = columns.map((column) => (column.number ? 'n ' : '') + (column.wide ? 'wide ' : '') + (column.name ? 'name' : ''))
  const head = el('tr', {}, ...columns.map((column, at) => el('th', { class: classes[at], scope: 'col' }, column.title)))
  const lines = rows.map((row) => el('tr', {}, ...columns.map((column, at) => {
    const parts = column.cell(row)
    return el('td', { class: classes[at] }, ...(Array.isArray(parts) ? parts : [parts]))
  })))
  return el('table', {}, el('thead', {}, head), el('tbody', {}, ...lines))
}
function fill(id, ...children) { byId(id).replaceChildren(...children.filter((child) => child !== undefined)) }
function heading(id, text, detail) { fill(id, text, el('small', {}, detail ?? '')) }
function setState(text, level) { byId('state').textContent = text; byId('state').className = level ?? '' }
const ROWS_SHOWN = 500
function shown(rows) { return rows.length > ROWS_SHOWN ? 'the first ' + ROWS_SHOWN + ' of ' + count(rows.length) : String(rows.length) }
const samples = []
function ratesOf(data) {
  if (data.traffic === undefined) return {}
  samples.push({ atMs: data.atMs, totals: data.traffic })
  while (samples.length > 2 && data.atMs - samples[1].atMs > ${RATE_WINDOW_MS}) samples.shift()
  const first = samples[0]
  const seconds = (data.atMs - first.atMs) / 1000
  const restarted = seconds < 0 || Object.keys(first.totals).some((name) => data.traffic[name] < first.totals[name])
  if (restarted) samples.splice(0, samples.length - 1)
  if (seconds <= 0 || restarted) return {}
  return Object.fromEntries(Object.keys(data.traffic).map((name) => [name, (data.traffic[name] - first.totals[name]) / seconds]))
}
`

const START_SCRIPT = `
async function refresh() {
  try {
    const reply = await fetch(location.pathname, { headers: { Accept: 'application/json' }, cache: 'no-store', signal: AbortSignal.timeout(10000) })
    if (!reply.ok) throw new Error('status ' + reply.status)
    const data = await reply.json()
    setState('up')
    show(data, ratesOf(data))
  } catch (error) {
    setState('no answer', 'bad')
    document.body.dataset.error = String(error)
  }
  window.setTimeout(refresh, document.hidden ? ${5 * REFRESH_MS} : ${REFRESH_MS})
}
refresh()
`
