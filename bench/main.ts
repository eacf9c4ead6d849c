/**
 * `npm run bench [-- <name>] [--quick] [--rounds N] [--seconds S] [--json FILE]`: how fast the store is.
 * `small-files` and `names`, by default both in one run, compare with nginx and others; `encryption` compares encrypted
 * objects with plain ones; `features` measures gzip, images and uploads; `sfss` and `memcached` measure those doors; `names-scale` measures what a million names change; `ten-million` fills the engine with needles;
 * `needle-index` measures the index alone, `erasure` the code of erasure volumes alone, `redundancy` what they cost,
 * `hashstore` one large file and many small ones, beside `cp` and the volume server.
 * What the figures were is in docs/performance.md.
 */
import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Contender, formatRows, type Row, takeTurns } from './contenders.ts'
import { encryptionContenders } from './encryption.ts'
import { featureContenders } from './features.ts'
import { memcachedContenders } from './memcached.ts'
import { largeContenders, NAMES_NGINX_FILES, nameContenders } from './names.ts'
import { busyShare, cleanUpAtExit } from './processes.ts'
import { sfssContenders } from './sfss.ts'
import { SMALL_NGINX_FILES, smallFileContenders } from './small-files.ts'
import { Stage } from './stage.ts'

/** Parts that can take turns in one run. */
const PARTS = ['small-files', 'names', 'encryption', 'features', 'sfss', 'memcached']
/** Without a name. */
const PARTS_DEFAULT = ['small-files', 'names']
const SCRIPTS = ['names-scale', 'ten-million', 'needle-index', 'erasure', 'redundancy', 'hashstore']
const ROUNDS = 5
const SECONDS_DEFAULT = 3
const SECONDS_QUICK = 2
/** Other work on the machine above this changes the ratios, for Cairn uses more threads than nginx. */
const BUSY_SHARE_MAX = 0.1

async function main(argv: string[]): Promise<number> {
  const name = argv[0] !== undefined && !argv[0].startsWith('-') ? argv[0] : undefined
  const args = name === undefined ? argv : argv.slice(1)
  if (name !== undefined && SCRIPTS.includes(name)) return await runScript(name, args)
  if (name !== undefined && !PARTS.includes(name)) {
    console.error(`there is no benchmark ${name}; there are ${[...PARTS, ...SCRIPTS].join(', ')}`)
    return 2
  }
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string', default: String(ROUNDS) },
      seconds: { type: 'string' },
      json: { type: 'string' },
      'cairn-flags': { type: 'string', default: '' },
    },
  })
  const programs = name === 'memcached' ? ['memcached'] : ['nginx', 'wrk']
  for (const program of programs) if (!ensureInstalled(program)) return 2
  const busy = await busyShare()
  const rows = await runParts(name === undefined ? PARTS_DEFAULT : [name], {
    rounds: wholeNumber('rounds', values.rounds, 100),
    seconds: wholeNumber('seconds', values.seconds ?? (values.quick ? SECONDS_QUICK : SECONDS_DEFAULT), 60),
    cairnFlags: values['cairn-flags'].split(' ').filter((flag) => flag !== ''),
  })
  console.log(formatRows(rows))
  if (busy > BUSY_SHARE_MAX) {
    console.log(
      `\nThe machine was ${Math.round(busy * 100)} % busy with other work: do not trust these figures.`,
    )
  }
  if (values.json !== undefined) {
    const report = { node: process.version, cores: availableParallelism(), busyShare: busy, rows }
    writeFileSync(values.json === '-' ? 1 : values.json, `${JSON.stringify(report, null, 2)}\n`)
  }
  return rows.every((row) => row.ratio >= row.passMark) ? 0 : 1
}

async function runParts(
  parts: readonly string[],
  options: { rounds: number; seconds: number; cairnFlags: string[] },
): Promise<Row[]> {
  const log = (line: string) => console.error(line)
  const files = new Map([...SMALL_NGINX_FILES, ...NAMES_NGINX_FILES])
  const stage = new Stage({ files, cairnFlags: options.cairnFlags })
  try {
    log('preparing files')
    const contenders = new Map<string, Contender>()
    const memcached = parts.includes('memcached') ? await memcachedContenders(stage) : { first: [], last: [] }
    const made = [
      ...(parts.includes('small-files') ? await smallFileContenders(stage) : []),
      ...(parts.includes('names') ? await nameContenders(stage) : []),
      ...(parts.includes('sfss') ? await sfssContenders(stage) : []),
      ...memcached.first,
      ...(parts.includes('features') ? await featureContenders(stage) : []),
      ...(parts.includes('encryption') ? await encryptionContenders(stage) : []),
    ]
    // A measure that several parts have runs once.
    for (const contender of made) contenders.set(contender.name, contender)
    const rows = await takeTurns([...contenders.values()], { ...options, log })
    // What these leave behind is compacted for a while, and would be measured with whatever takes turns beside them.
    rows.push(...(await takeTurns(memcached.last, { ...options, log })))
    if (parts.includes('names'))
      rows.push(...(await takeTurns(await largeContenders(stage), { ...options, log })))
    return rows
  } finally {
    await stage.close()
  }
}

function wholeNumber(name: string, text: string | number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > max)
    throw new Error(`--${name} is a number from 1 to ${max}`)
  return value
}

/** Runs another benchmark of this folder in a process of its own, so that its memory is its own. */
function runScript(name: string, args: string[]): Promise<number> {
  const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}

/** Whether a program is there; as root it is installed from the system's own packages when it is not. */
function ensureInstalled(program: string): boolean {
  if (hasProgram(program)) return true
  const packageName = program === 'nginx' ? 'nginx-light' : program
  if (process.getuid?.() === 0 && hasProgram('apt-get')) {
    console.error(`installing ${packageName}`)
    spawnSync('apt-get', ['install', '-y', packageName], { stdio: ['ignore', 'ignore', 'inherit'] })
    if (hasProgram(program)) return true
  }
  console.error(`this benchmark needs ${program}: install the package ${packageName} and start it again`)
  return false
}

function hasProgram(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

cleanUpAtExit()
process.exitCode = await main(process.argv.slice(2))
