/** Scripts for wrk with requests that were signed before, version 4 in the Authorization header, as S3 clients do. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignerV4, type SigningKey } from '../src/iam/sign.ts'
import { writeScript } from './wrk.ts'

/** What the load generator keeps of requests with their bodies. */
const KEPT_BYTES_MAX = 128 * 1024 * 1024

export interface SignedScript {
  /** As the Host header says it. */
  host: string
  key: SigningKey
  /** Bucket and key, `/` before each. Letters, digits and `/.-_` only. */
  paths: readonly string[]
}

/** Asks for the objects in random order. */
export function signedGetScript(directory: string, name: string, options: SignedScript): string {
  const heads = writeHeads(directory, name, { ...options, method: 'GET', body: undefined })
  return writeScript(
    directory,
    name,
    `${readHeads(heads, '')}
math.randomseed(os.time())
local count, random = #requests, math.random
request = function() return requests[random(count)] end
`,
  )
}

/**
 * Puts each object once, then from the beginning again. All of them have the same bytes, whose digest is signed. A request is put
 * together when it is first sent, and kept where all of them fit: to do so each time costs the load generator more than sending
 * it, where bodies are long.
 */
export function signedPutScript(
  directory: string,
  name: string,
  options: SignedScript & { sizeBytes: number },
): string {
  const body = randomBytes(options.sizeBytes)
  const bodyFile = join(directory, `${name}.body`)
  writeFileSync(bodyFile, body)
  const heads = writeHeads(directory, name, { ...options, method: 'PUT', body })
  return writeScript(
    directory,
    name,
    `local file = io.open(${JSON.stringify(bodyFile)}, "rb")
local body = file:read("*a")
file:close()
${readHeads(heads, `Content-Length: ${body.length}\\r\\n`)}
local count, at = #requests, 0
local keeps = count * #body <= ${KEPT_BYTES_MAX}
local whole = {}
request = function()
  at = at % count + 1
  local request = whole[at] or requests[at] .. body
  if keeps then whole[at] = request end
  return request
end
`,
  )
}

function writeHeads(
  directory: string,
  name: string,
  { host, key, paths, method, body }: SignedScript & { method: string; body: Buffer | undefined },
): string {
  const signer = new SignerV4(key)
  const nowMs = Date.now()
  // The digest of the body is computed once.
  const first = signer.sign({ method, host, path: '/', ...(body === undefined ? {} : { body }) }, nowMs)
  const payload = first.headers.find(([header]) => header === 'x-amz-content-sha256')![1]
  const lines = paths.map((path) => {
    const { target, headers } = signer.sign({ method, host, path, payload }, nowMs)
    return `${method} ${target} HTTP/1.1\t${headers.map((pair) => pair.join(': ')).join('\t')}`
  })
  const file = join(directory, `${name}.heads`)
  writeFileSync(file, lines.join('\n'))
  return file
}

/** Lua that reads the heads, one in a line, with tabs between their lines. */
function readHeads(file: string, lastLines: string): string {
  return `local requests = {}
for line in io.lines(${JSON.stringify(file)}) do
  requests[#requests + 1] = line:gsub("\\t", "\\r\\n") .. "\\r\\n${lastLines}\\r\\n"
end`
}
