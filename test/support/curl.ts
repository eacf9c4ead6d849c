/** curl, as guides use it: what `-v` prints of a reply, and its body. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'

export interface Printed {
  status: string
  /** Names as they came; without Date, which differs. */
  headers: Record<string, string>
  body: string
}

export function curl(url: string, ...args: string[]): Promise<Printed> {
  const child = spawn('curl', ['-sv', '-m', '20', url, ...args])
  let [body, spoken] = ['', '']
  child.stdout.on('data', (piece: Buffer) => {
    body += piece.toString()
  })
  child.stderr.on('data', (piece: Buffer) => {
    spoken += piece.toString()
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => {
      const lines = spoken.split('\n').filter((line) => line.startsWith('< '))
      const [first = '', ...rest] = lines.map((line) => line.slice(2).trim()).filter((line) => line !== '')
      const headers = Object.fromEntries(rest.map((line) => line.split(': ') as [string, string]))
      assert.match(headers.Date ?? '', / GMT$/, spoken)
      assert.match(spoken, /left intact/)
      delete headers.Date
      resolve({ status: first.replace('HTTP/1.1 ', ''), headers, body })
    })
  })
}
