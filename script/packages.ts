/** Debian packages that tests and benchmarks use, in one place. They are installed where that is possible, never demanded. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, globSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Package → the program by which it is recognised. */
export const TEST_PACKAGES = {
  curl: 'curl',
  'docker-registry': 'docker-registry',
  'libmemcached-tools': 'memccapable',
  memcached: 'memcached',
  chromium: 'chromium',
  pgbackrest: 'pgbackrest',
  postgresql: 'postgres',
  'python3-venv': 'python3',
  'rabbitmq-server': 'rabbitmq-server',
  rclone: 'rclone',
  restic: 'restic',
  s3fs: 's3fs',
} as const

const INSTALL_MS_MAX = 300_000

/** Installs what is missing, when this is root on a machine with apt. Returns the packages that are still missing. */
export function ensurePackages(packages: Readonly<Record<string, string>>): string[] {
  const missing = () => Object.keys(packages).filter((name) => !hasProgram(packages[name]!))
  const wanted = missing()
  if (wanted.length === 0 || process.getuid?.() !== 0 || !hasProgram('apt-get')) return wanted
  process.stderr.write(`installing ${wanted.join(', ')}\n`)
  if (!aptGet(['install', '-y', '--no-install-recommends', ...wanted])) {
    aptGet(['update'])
    aptGet(['install', '-y', '--no-install-recommends', ...wanted])
  }
  return missing()
}

/** Whether a program is in the search path, or where Debian puts those for root and the server programs of PostgreSQL. */
export function hasProgram(name: string): boolean {
  const postgres = globSync('/usr/lib/postgresql/*/bin')
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', ...postgres]
  return directories.some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function aptGet(words: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status } = spawnSync('apt-get', ['-qq', ...words], {
    env,
    stdio: 'ignore',
    timeout: INSTALL_MS_MAX,
  })
  return status === 0
}
