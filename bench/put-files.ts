/** Stores the files that a benchmark reads, through the filer or sfss. */
import http from 'node:http'

const CONNECTIONS = 16

/** Throws for a reply that is neither 200 nor 201. */
export async function putAll(
  url: string,
  paths: readonly string[],
  body: Buffer | (() => Buffer),
): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  let next = 0
  const lane = async () => {
    while (next < paths.length) {
      const path = paths[next++]!
      await putOne(agent, url + path, typeof body === 'function' ? body() : body)
    }
  }
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  } finally {
    agent.destroy()
  }
}

function putOne(agent: http.Agent, url: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length }
    const request = http.request(url, { agent, method: 'PUT', headers }, (reply) => {
      reply.resume()
      reply.once('end', () =>
        reply.statusCode === 200 || reply.statusCode === 201
          ? resolve()
          : reject(new Error(`PUT ${url}: ${reply.statusCode}`)),
      )
    })
    request.once('error', reject)
    request.end(body)
  })
}
