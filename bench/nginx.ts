/** nginx as the measure of the machine: one worker, files kept open, nothing logged. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startProcess, stopProcess, waitForHttp } from './processes.ts'

export interface NginxServer {
  url: string
  pid: number
  /** Paths of the files of each size. */
  paths: Map<number, string[]>
  stop(): Promise<void>
}

/** Starts nginx on a free port, serving so many files of each size as `files` says: bytes → count. */
export async function startNginx(options: {
  directory: string
  files: ReadonlyMap<number, number>
}): Promise<NginxServer> {
  const prefix = join(options.directory, 'nginx')
  const root = join(prefix, 'files')
  mkdirSync(join(prefix, 'temp'), { recursive: true })
  const paths = new Map<number, string[]>()
  for (const [sizeBytes, fileCount] of options.files) {
    mkdirSync(join(root, String(sizeBytes)), { recursive: true })
    const names: string[] = []
    for (let i = 0; i < fileCount; i++) {
      const name = `/${sizeBytes}/${i.toString(16).padStart(13, '0')}`
      writeFileSync(root + name, Buffer.alloc(sizeBytes, i & 0xff))
      names.push(name)
    }
    paths.set(sizeBytes, names)
  }
  const port = await freePort()
  const config = join(prefix, 'nginx.conf')
  writeFileSync(config, configuration({ prefix, root, port }))
  const args = ['-p', prefix, '-c', config, '-e', join(prefix, 'error.log')]
  const child = startProcess('nginx', args, ['ignore', 'inherit', 'inherit'])
  const url = `http://127.0.0.1:${port}`
  await waitForHttp(child, `${url}${[...paths.values()][0]![0]}`)
  return { url, pid: child.pid!, paths, stop: () => stopProcess(child) }
}

function configuration(options: { prefix: string; root: string; port: number }): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${options.prefix}/temp/${name};`,
  )
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
worker_rlimit_nofile 200000;
pid ${options.prefix}/nginx.pid;
error_log ${options.prefix}/error.log;
events { worker_connections 1024; }
http {
${temp.join('\n')}
  access_log off;
  default_type application/octet-stream;
  keepalive_requests 1000000000;
  open_file_cache max=190000 inactive=600s;
  open_file_cache_valid 600s;
  server {
    listen 127.0.0.1:${options.port};
    root ${options.root};
  }
}
`
}
