/** A directory as one plain page: no script, nothing from elsewhere, every name escaped. */
import { createHash } from 'node:crypto'
import type { Outcome } from '../../../net/reply.ts'
import type { TreeEntry } from '../../../objects/object-store.ts'
import { encodeKey } from './filer-path.ts'
import type { FilerQuery } from './filer-query.ts'

export interface DirectoryListing {
  /** As it was asked for: `/a/b`; '' is the root. */
  path: string
  entries: TreeEntry[]
  limit: number
  /** Name of the last entry, or what the client gave. */
  lastFileName: string
  hasMore: boolean
}

const STYLE = `
:root{--bg:#f5f6f4;--card:#fff;--ink:#1d2422;--soft:#66716d;--line:#e2e6e3;--accent:#2f7564}
@media (prefers-color-scheme:dark){:root{--bg:#131716;--card:#1b201f;--ink:#e6ebe9;--soft:#94a19c;--line:#2a3130;--accent:#63b8a2}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
header,main{max-width:1000px;margin:0 auto;padding:22px 20px 4px}
main{padding:8px 20px 48px}
h1{font-size:20px;line-height:1.3;margin:0;font-weight:650;overflow-wrap:anywhere}
h1 a,h1 span{padding:0 1px}h1 i{font-style:normal;color:var(--soft);font-weight:400;padding:0 3px}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:500;color:var(--soft);text-align:left;font-size:12.5px}
th,td{padding:7px 16px;border-bottom:1px solid var(--line)}
tr:last-child td{border-bottom:0}
td:first-child{overflow-wrap:anywhere}
.n{text-align:right;white-space:nowrap;width:1%;color:var(--soft)}
.dir{font-weight:600}
.note{color:var(--soft);padding:14px 16px;margin:0}
nav{display:flex;justify-content:space-between;padding:14px 2px;color:var(--soft)}
@media (max-width:600px){.date{display:none}th,td{padding:7px 12px}}
`
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function directoryPage(listing: DirectoryListing, query: FilerQuery): Outcome {
  const { path, entries } = listing
  const title = path === '' ? '/' : path
  const rows = entries.map((entry) => rowOf(path, entry)).join('\n')
  const up = path === '' ? '' : rowOfParent(path)
  const table = `<table><thead><tr><th scope="col">Name</th><th scope="col" class="n">Size</th><th scope="col" class="n date">Modified (UTC)</th></tr></thead>
<tbody>
${up}${rows}
</tbody></table>`
  const note = entries.length === 0 ? `<p class="note">${emptyNote(query)}</p>` : ''
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header><h1>${breadcrumbs(path)}</h1></header>
<main>
<div class="card">
${entries.length > 0 || up !== '' ? table : ''}${note}
</div>
${navigation(listing, query)}</main>
</body>
</html>
`
  const headers = ['Content-Type', 'text/html; charset=utf-8', 'Content-Security-Policy', POLICY]
  headers.push('X-Content-Type-Options', 'nosniff', 'Referrer-Policy', 'no-referrer')
  return { status: 200, headers, body: Buffer.from(html) }
}

function emptyNote(query: FilerQuery): string {
  return query.text('lastFileName') === '' && query.text('namePattern') === ''
    ? 'Nothing here yet.'
    : 'No more.'
}

/** Each directory on the way as a link; where we are is none. */
function breadcrumbs(path: string): string {
  if (path === '') return '<span>files</span>'
  const names = path.slice(1).split('/')
  const links = names.slice(0, -1).map((name, at) => {
    const href = `/${encodeKey(names.slice(0, at + 1).join('/'))}/`
    return `<a href="${href}">${escapeHtml(name)}</a><i>/</i>`
  })
  return `<a href="/">files</a><i>/</i>${links.join('')}<span>${escapeHtml(names.at(-1)!)}</span>`
}

function rowOfParent(path: string): string {
  const parent = path.slice(1, Math.max(1, path.lastIndexOf('/')))
  const href = parent === '' ? '/' : `/${encodeKey(parent)}/`
  return `<tr><td class="dir"><a href="${href}">..</a></td><td class="n"></td><td class="n date"></td></tr>\n`
}

function rowOf(path: string, { name, isDirectory, info }: TreeEntry): string {
  const href = `${encodeKey(path)}/${encodeURIComponent(name)}${isDirectory ? '/' : ''}`
  const label = `${escapeHtml(name)}${isDirectory ? '/' : ''}`
  const size = isDirectory || info === undefined ? '' : sizeText(info.sizeBytes)
  const date = info === undefined ? '' : dateText(info.modifiedMs)
  const kind = isDirectory ? ' class="dir"' : ''
  return `<tr><td${kind}><a href="${href}">${label}</a></td><td class="n">${size}</td><td class="n date">${date}</td></tr>`
}

function navigation(listing: DirectoryListing, query: FilerQuery): string {
  const { path, hasMore, lastFileName, limit } = listing
  const isFirst = query.text('lastFileName') === ''
  if (!hasMore && isFirst) return ''
  const link = (after: string, text: string) => {
    const parameters = new URLSearchParams({ limit: String(limit) })
    if (after !== '') parameters.set('lastFileName', after)
    for (const name of ['namePattern', 'namePatternExclude'])
      if (query.text(name) !== '') parameters.set(name, query.text(name))
    return `<a href="${encodeKey(path)}/?${escapeHtml(parameters.toString())}">${text}</a>`
  }
  const first = isFirst ? '' : link('', '« first')
  const next = hasMore ? link(lastFileName, 'next »') : ''
  return `<nav><span>${first}</span><span>${next}</span></nav>\n`
}

/** `1.5 MiB`. */
function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0]
  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024
    unit++
  }
  const digits = unit === 0 || value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
  return `${digits} ${UNITS[unit]}`
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
