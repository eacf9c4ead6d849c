/**
 * Clients of S3 and of memcached's protocol that the tests run, from their own packages, of exact versions. They lie in a cache of their own below `node_modules`, so
 * that neither the program nor its development tools grow by them. Installed where that is possible, never demanded.
 */
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const CACHE = join(import.meta.dirname, '..', 'node_modules', '.cache', 'cairn-clients')
const INSTALL_MS_MAX = 300_000
const ASK_MS_MAX = 30_000

/** One directory of packages each. */
const CLIENT_SETS = {
  python: {
    kind: 'python',
    packages: [
      'awscli==1.46.2',
      'boto3==1.44.5',
      'botocore[crt]==1.44.5',
      's3cmd==2.4.0',
      'minio==7.2.20',
      'obstore==0.12.1',
    ],
    newestMinor: 99,
  },
  /** What older applications still carry; boto 2 does not start on Python 3.12. */
  'python-old': {
    kind: 'python',
    packages: ['boto==2.49.0', 'minio==6.0.2'],
    newestMinor: 11,
  },
  /** They want a botocore of their own. */
  'other-python': {
    kind: 'python',
    packages: ['apache-libcloud==3.9.1', 's3fs==2026.9.0'],
    newestMinor: 99,
  },
  javascript: {
    kind: 'javascript',
    packages: [
      '@aws-sdk/client-s3@3.1169.0',
      '@aws-sdk/lib-storage@3.1169.0',
      '@aws-sdk/s3-request-presigner@3.1162.0',
    ],
    newestMinor: 0,
  },
  'other-javascript': {
    kind: 'javascript',
    packages: ['aws-sdk@2.1693.0', 'minio@8.0.7', 'aws4fetch@1.0.20'],
    newestMinor: 0,
  },
  'memcached-python': {
    kind: 'python',
    packages: ['pymemcache==4.0.0'],
    newestMinor: 99,
  },
  'memcached-javascript': {
    kind: 'javascript',
    packages: ['memcached@2.2.2'],
    newestMinor: 0,
  },
} as const

export type ClientSet = keyof typeof CLIENT_SETS

/** Where the packages of a set are; the directory exists once they are all installed. */
export function clientDirectory(set: ClientSet): string {
  const digest = createHash('sha256').update(CLIENT_SETS[set].packages.join('\n')).digest('hex')
  return join(CACHE, `${set}-${digest.slice(0, 12)}`)
}

/** For `describe(..., { skip })`: why the clients of a set cannot run here, or false. */
export function noClients(set: ClientSet): string | false {
  if (existsSync(clientDirectory(set))) return false
  return `not installed: ${CLIENT_SETS[set].packages.join(', ')}`
}

/** Installs the sets that are missing, all at once. Returns the names of those that could not be. */
export async function ensureClients(): Promise<ClientSet[]> {
  const isMissing = (set: ClientSet) => noClients(set) !== false
  const missing = (Object.keys(CLIENT_SETS) as ClientSet[]).filter(isMissing)
  if (missing.length > 0) process.stderr.write(`installing clients (once): ${missing.join(', ')}\n`)
  await Promise.all(missing.map(install))
  return missing.filter(isMissing)
}

/**
 * Into a directory of this process, which a link then names: neither a second run beside this one nor a run that was ended half-way
 * leaves a set that looks complete.
 */
async function install(set: ClientSet): Promise<void> {
  const { kind, packages, newestMinor } = CLIENT_SETS[set]
  const directory = `${clientDirectory(set)}.${process.pid}`
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const error =
    kind === 'python'
      ? await installPython(directory, packages, newestMinor)
      : await installJavascript(directory, packages)
  if (error !== undefined) {
    rmSync(directory, { recursive: true, force: true })
    process.stderr.write(`${set}: ${error}\n`)
    return
  }
  const link = `${directory}.link`
  rmSync(link, { force: true })
  symlinkSync(directory, link)
  renameSync(link, clientDirectory(set))
}

async function installPython(directory: string, packages: readonly string[], newestMinor: number) {
  const python = findPython(newestMinor)
  if (python === undefined) return `needs Python 3.8 to 3.${newestMinor} with venv`
  const flags = ['--quiet', '--disable-pip-version-check', '--no-input', '--retries', '1']
  return (
    (await run(python, ['-m', 'venv', directory])) ??
    (await run(join(directory, 'bin', 'pip'), ['install', ...flags, ...packages]))
  )
}

async function installJavascript(directory: string, packages: readonly string[]) {
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n')
  const flags = ['--save-exact', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  return await run('npm', ['install', ...flags, ...packages], directory)
}

/** A Python that runs (not only a name in the path), is not too new, and can make environments. */
function findPython(newestMinor: number): string | undefined {
  const names = ['python3', 'python3.11', 'python3.10', 'python3.9', 'python3.8']
  const ask = `import sys, venv, ensurepip; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, ${newestMinor}))`
  const asked = (name: string): SpawnSyncReturns<Buffer> =>
    spawnSync(name, ['-c', ask], { stdio: 'ignore', timeout: ASK_MS_MAX })
  return names.find((name) => asked(name).status === 0)
}

/** What it complained about, or undefined when it went well. */
function run(program: string, words: string[], cwd = CACHE): Promise<string | undefined> {
  const child = spawn(program, words, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: INSTALL_MS_MAX })
  let complaint = ''
  child.stderr.on('data', (piece: Buffer) => {
    complaint += piece.toString()
  })
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(String(error)))
    child.once('close', (code) => resolve(code === 0 ? undefined : complaint.trim() || `${program} failed`))
  })
}
