/** Runs wrk, the load generator of every row of the table, and reads what it says. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const CONNECTIONS = 16
/** wrk ends by itself; this is for the case that it does not. */
const GRACE_MS = 20_000

export interface WrkRun {
  requestsPerSecond: number
  /** Replies whose status is not 2xx or 3xx, and connections that broke. */
  errors: number
  latencyMs: { p50: number; p99: number }
}

export interface WrkOptions {
  url: string
  script: string
  seconds: number
  /** Default 16. */
  connections?: number
}

/** One run of one load thread. Throws when wrk fails. */
export async function runWrk(options: WrkOptions): Promise<WrkRun> {
  const args = [
    '-t1',
    `-c${options.connections ?? CONNECTIONS}`,
    `-d${options.seconds}s`,
    '--latency',
    '-s',
    options.script,
    options.url,
  ]
  const { code, output } = await runToEnd('wrk', args, options.seconds * 1_000 + GRACE_MS)
  if (code !== 0) throw new Error(`wrk failed (${code}): ${output}`)
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]
  if (rate === undefined) throw new Error(`wrk printed no rate: ${output}`)
  const sockets =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? []
  const statuses = /Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0
  return {
    requestsPerSecond: Number(rate),
    errors: [...sockets, statuses].reduce<number>((sum, each) => sum + Number(each), 0),
    latencyMs: { p50: percentile(output, 50), p99: percentile(output, 99) },
  }
}

function percentile(output: string, percent: number): number {
  const match = new RegExp(`\\s${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(output)
  if (match === null) return Number.NaN
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1_000 }[match[2] as 'us' | 'ms' | 's']
}

/** Runs a program to its end and gives its output, both streams joined. */
function runToEnd(
  program: string,
  args: string[],
  timeoutMs: number,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
    let output = ''
    child.stdout.on('data', (piece: Buffer) => {
      output += piece.toString()
    })
    child.stderr.on('data', (piece: Buffer) => {
      output += piece.toString()
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

/** Writes a script and gives its path. */
export function writeScript(directory: string, name: string, text: string): string {
  const script = join(directory, `${name}.lua`)
  writeFileSync(script, text)
  return script
}

/** A script that asks for the paths of a list in random order. */
export function writeGetScript(directory: string, name: string, paths: readonly string[]): string {
  const list = join(directory, `${name}.paths`)
  writeFileSync(list, paths.join('\n'))
  return writeScript(
    directory,
    name,
    `local requests = {}
for path in io.lines(${JSON.stringify(list)}) do
  requests[#requests + 1] = "GET " .. path .. " HTTP/1.1\\r\\nHost: bench\\r\\n\\r\\n"
end
local count, random = #requests, math.random
math.randomseed(os.time())
request = function() return requests[random(count)] end
`,
  )
}

export interface AssignedRange {
  volumeId: number
  firstKey: number
  cookie: number
  count: number
}

/**
 * A script that posts a form, or puts the bytes as they are, under ids that were assigned before, each once, going round the ranges, which lie in
 * different volumes, in bursts as the master gives ids out. The content begins with a number that never repeats, so that no write finds its bytes there already.
 */
export function writePostScript(
  directory: string,
  name: string,
  options: { ranges: readonly AssignedRange[]; contentBytes: number; isPut?: boolean },
): string {
  const { isPut = false } = options
  const boundary = 'bench-9b1c0de5f00d'
  const start = `--${boundary}\\r\\nContent-Disposition: form-data; name=\\"file\\"; filename=\\"b\\"\\r\\nContent-Type: application/octet-stream\\r\\n\\r\\n`
  const end = `\\r\\n--${boundary}--\\r\\n`
  const ranges = options.ranges.map((range) => {
    const cookie = range.cookie.toString(16).padStart(8, '0')
    return `  { volume = "${range.volumeId}", key = ${range.firstKey}, cookie = "${cookie}", left = ${range.count} },`
  })
  return writeScript(
    directory,
    name,
    `local ranges = {
${ranges.join('\n')}
}
math.randomseed(os.time())
local noise = {}
for i = 1, ${options.contentBytes} - 16 do noise[i] = string.char(math.random(0, 255)) end
local rest = table.concat(noise)${isPut ? '' : ` .. "${end}"`}
local start = "${isPut ? '' : start}"
local length = #start + 16 + #rest
local head = " HTTP/1.1\\r\\nHost: bench\\r\\nContent-Type: ${isPut ? 'application/octet-stream' : `multipart/form-data; boundary=${boundary}`}\\r\\nContent-Length: " .. length .. "\\r\\n\\r\\n" .. start
local format = string.format
local at, sent, burst = 0, 0, 256
request = function()
  if sent % burst == 0 then at = at % #ranges + 1 end
  local range = ranges[at]
  if range.left == 0 then error("the assigned ids are used up") end
  local key = format("%x", range.key)
  if #key % 2 == 1 then key = "0" .. key end
  range.key, range.left, sent = range.key + 1, range.left - 1, sent + 1
  return "${isPut ? 'PUT' : 'POST'} /" .. range.volume .. "," .. key .. range.cookie .. head .. format("%016d", sent) .. rest
end
`,
  )
}

/** A script that puts files of new names, in so many directories below `root`, through the filer. */
export function writeFilerPutScript(
  directory: string,
  name: string,
  options: { root: string; directories: number; contentBytes: number },
): string {
  const { root, directories, contentBytes } = options
  return writeScript(
    directory,
    name,
    `math.randomseed(os.time())
local noise = {}
for i = 1, ${contentBytes} - 16 do noise[i] = string.char(math.random(0, 255)) end
local rest, format, sent = table.concat(noise), string.format, 0
local head = " HTTP/1.1\\r\\nHost: bench\\r\\nContent-Type: application/octet-stream\\r\\nContent-Length: ${contentBytes}\\r\\n\\r\\n"
request = function()
  sent = sent + 1
  return "PUT ${root}/" .. sent % ${directories} .. "/" .. sent .. head .. format("%016d", sent) .. rest
end
`,
  )
}
