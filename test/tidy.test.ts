/** Checks on the text of the source: who may import whom, what is banned where, what is dead, and what is too long. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '..')

/** The layers: a folder of `src`, and the folders it may import. Change it only with a note in `docs/decisions`. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  net: ['base'],
  disk: ['base'],
  blobs: ['disk', 'net', 'base'],
  meta: ['base'],
  objects: ['blobs', 'meta', 'base'],
  iam: ['meta', 'base'],
  protocols: ['objects', 'iam', 'net', 'base'],
  client: ['net', 'base'],
  bench: ['client', 'iam', 'net', 'base'],
  cli: ['protocols', 'bench', 'client', 'iam', 'objects', 'meta', 'blobs', 'disk', 'net', 'base'],
}

interface Ban {
  pattern: RegExp
  allowedIn: RegExp
  use: string
}

const NOWHERE = /^$/
const BANS: readonly Ban[] = [
  { pattern: /process\.(env|exit\b)/, allowedIn: /^src\/cli\//, use: 'a value passed in by src/cli' },
  {
    pattern: /Date\.now\(|new Date\(\)|Math\.random\(|(?<!\.)set(Timeout|Interval)\(/,
    allowedIn: /^src\/base\//,
    use: 'base/clock.ts, base/random.ts',
  },
  { pattern: /'node:fs(\/promises)?'/, allowedIn: /^src\/(disk|net|cli)\//, use: 'disk/' },
  { pattern: /'node:(https?|http2|net|tls|dgram)'/, allowedIn: /^src\/(net|bench|cli)\//, use: 'net/' },
  { pattern: /new Worker\(/, allowedIn: /^src\/cli\//, use: 'a port passed in by src/cli' },
  { pattern: new RegExp('\\bFIX' + 'ME\\b'), allowedIn: NOWHERE, use: 'an issue' },
  { pattern: /^export default\b/m, allowedIn: NOWHERE, use: 'a named export' },
  {
    pattern: /^(let|var) /m,
    // A kernel's are the fields of its WebAssembly instance.
    allowedIn: /^src\/(base\/random|cli\/roles\/[\w-]+-thread|objects\/content\/xxhash-kernel\/kernel)\.ts$/,
    use: 'a field of an object passed in',
  },
]

/** Longer ones are tolerated at the length they have; no other may pass these. The aim for a file is 500 lines. */
const FILE_LINES_MAX = 600
const FUNCTION_LINES_MAX = 70
const LONG_FILES: Record<string, number> = {}
const LONG_FUNCTIONS: Record<string, number> = {}

const isTest = (path: string) => /\.(test|fuzz|bench)\.ts$/.test(path)
/** A folder of `src`; each protocol is one of its own, so that none sees another. */
const moduleOf = (path: string) =>
  path
    .split('/')
    .slice(1, path.startsWith('src/protocols/') ? 3 : 2)
    .join('/')
const layerOf = (module: string) => module.split('/')[0]!
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const sources = globSync('src/**/*.ts', { cwd: ROOT }).sort()
const texts = new Map(sources.map((path) => [path, read(path)]))

/** Relative files that a text imports, the scripts of worker threads included. */
function importsOf(path: string, text: string): string[] {
  const found = [
    ...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g),
    ...text.matchAll(/new URL\(\s*'(\.[^']+\.ts)'/g),
  ]
  return found.map(([, specifier]) => normalize(join(dirname(path), specifier!)))
}

test('imports go down', () => {
  const errors: string[] = []
  for (const [path, text] of texts) {
    const from = moduleOf(path)
    if (MAY_IMPORT[layerOf(from)] === undefined) errors.push(`${path}: ${from} is not in the table of layers`)
    for (const target of importsOf(path, text)) {
      if (!target.startsWith('src/')) {
        if (!isTest(path)) errors.push(`${path}: only tests import ${target}`)
        continue
      }
      const to = moduleOf(target)
      if (from === to) continue
      if (!MAY_IMPORT[layerOf(from)]?.includes(layerOf(to)))
        errors.push(`${path}: ${from} may not import ${to}`)
      if (dirname(target) !== `src/${to}`) errors.push(`${path}: ${target} is private to ${to}`)
    }
  }
  assert.deepEqual(errors, [])
})

test('nothing banned is used', () => {
  const errors: string[] = []
  for (const [path, text] of texts) {
    if (isTest(path)) continue
    const running = text.replace(/^import type .*$/gm, '')
    for (const { pattern, allowedIn, use } of BANS) {
      if (pattern.test(running) && !allowedIn.test(path))
        errors.push(`${path}: ${pattern.source}: use ${use}`)
    }
  }
  assert.deepEqual(errors, [])
})

test('every file is imported by the program or by its tests, and says what it is', () => {
  const roots = ['test', 'bench', 'script'].flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT }))
  const imported = new Set(['src/cli/main.ts'])
  for (const [path, text] of texts) for (const target of importsOf(path, text)) imported.add(target)
  for (const path of roots) for (const target of importsOf(path, read(path))) imported.add(target)
  const dead = sources.filter((path) => !imported.has(path) && !isTest(path))
  assert.deepEqual(dead, [], 'never imported')
  const silent = [...texts]
    .filter(([path, text]) => !isTest(path) && !text.startsWith('/**'))
    .map(([path]) => path)
  assert.deepEqual(silent, [], 'does not open with /** what and why */')
})

test('documents name files that exist', () => {
  const errors: string[] = []
  const documents = ['*.md', 'docs/**/*.md'].flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  for (const document of documents) {
    if (document === 'CHANGELOG.md') continue
    for (const [path] of read(document).matchAll(/\b(?:src|test|script|bench)\/[\w./-]+\.(?:ts|sh)\b/g)) {
      if (!existsSync(join(ROOT, path))) errors.push(`${document}: ${path} does not exist`)
    }
  }
  assert.deepEqual(errors, [])
})

test('files and functions are short', () => {
  const errors: string[] = []
  for (const [path, text] of texts) {
    if (isTest(path)) continue
    const lines = text.split('\n').length - 1
    if (lines > (LONG_FILES[path] ?? FILE_LINES_MAX)) errors.push(`${path}: ${lines} lines`)
    for (const { name, length } of functionsOf(text)) {
      const place = `${path} ${name}`
      if (length > (LONG_FUNCTIONS[place] ?? FUNCTION_LINES_MAX)) errors.push(`${place}: ${length} lines`)
    }
  }
  assert.deepEqual(errors, [])
})

/** Functions and methods by their first line; the formatter puts the closing brace at the indentation of the opening line. */
function functionsOf(text: string): { name: string; length: number }[] {
  const lines = text.split('\n')
  const found: { name: string; length: number }[] = []
  lines.forEach((line, at) => {
    const match =
      /^( *)(?:export )?(?:async )?function\*? ?(\w+)/.exec(line) ??
      /^( {2})(?:static |async |\*|get |set )*(#?\w+)(?:<.*>)?\(.*\{$/.exec(line) ??
      /^( *)(?:export )?const (\w+) = (?:async )?\(.*=> \{$/.exec(line)
    if (!match) return
    // A method of an object literal ends with a comma.
    const ends = [`${match[1]}}`, `${match[1]}},`]
    const end = lines.findIndex((each, i) => i >= at && ends.includes(each))
    if (end > at) found.push({ name: match[2]!, length: end - at + 1 })
  })
  return found
}

test('no package registry is named', () => {
  const hosts = ['registry.npm' + 'js', 'npm' + 'mirror', 'registry.yarn' + 'pkg', 'npm.pkg.git' + 'hub']
  const patterns = ['*', '{src,test,script,bench,docs,bin,.ci}/**/*'].map((each) =>
    globSync(each, { cwd: ROOT }),
  )
  const paths = ['.npmrc', ...patterns.flat()].filter((path) =>
    /(\.(ts|json|md|sh|toml)|rc|run|cairn)$/.test(path),
  )
  const naming = paths.filter((path) => {
    if (!statSync(join(ROOT, path)).isFile()) return false
    const text = read(path)
    return hosts.some((host) => text.includes(host))
  })
  assert.deepEqual(naming, [])
})

test('package.json has six scripts, and exact versions', () => {
  const { scripts, dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'))
  assert.deepEqual(Object.keys(scripts).sort(), ['bench', 'ci', 'lint', 'long', 'start', 'test'])
  for (const version of Object.values({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
    assert.match(String(version), /^\d+\.\d+\.\d+$/)
  }
})
