/** Gathers the values of a command's settings: flag, else variable, else file, else default. Checked once, then frozen. */
import { readFileSync } from 'node:fs'
import { parse as parseToml } from 'smol-toml'
import {
  COMMON_SETTINGS,
  type Config,
  checkTogether,
  nameOf,
  SETTINGS,
  type SettingKey,
  variableOf,
} from './config.ts'
import type { Machine } from './machine.ts'
import type { Setting } from './setting.ts'
import { UsageError } from './usage-error.ts'

export interface Sources {
  command: string
  settings: readonly SettingKey[]
  /** Raw flags by setting key: text, a list of texts for a list given several times, true or false for a switch. */
  flags: Readonly<Record<string, unknown>>
  env: Readonly<Record<string, string | undefined>>
  /** Text of `--config` or `CAIRN_CONFIG`; undefined when neither is given. */
  file: ConfigFile | undefined
  machine: Machine
}

export interface ConfigFile {
  path: string
  values: Readonly<Record<string, unknown>>
}

const KEYS = Object.keys(SETTINGS) as SettingKey[]

/** Reads and checks a TOML file: every key must be a setting's name. Throws `UsageError`. */
export function readConfigFile(path: string): ConfigFile {
  let values: Record<string, unknown>
  try {
    values = parseToml(readFileSync(path, 'utf8'))
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw new UsageError(`cannot read the configuration file ${path}: ${reason}`)
  }
  const names = KEYS.map(nameOf)
  for (const name of Object.keys(values)) {
    if (!names.includes(name)) {
      throw new UsageError(`${path}: there is no setting ${name}; docs/configuration.md lists them`)
    }
  }
  return { path, values }
}

/** The values of a command's settings. Throws `UsageError` naming where a bad value came from. */
export function readConfig(sources: Sources): Config<SettingKey> {
  const values: Record<string, unknown> = {}
  for (const key of settingsOf(sources.settings)) values[key] = readSetting(key, sources)
  checkTogether(values)
  return Object.freeze(values) as unknown as Config<SettingKey>
}

/** A command's settings and those of every command, each once, in the table's order. */
export function settingsOf(settings: readonly SettingKey[]): SettingKey[] {
  const wanted = new Set<SettingKey>([...settings, ...COMMON_SETTINGS])
  return KEYS.filter((key) => wanted.has(key))
}

/** Variables that look like settings and are none: most likely misspelt. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(['CAIRN_CONFIG', ...KEYS.map(variableOf)])
  return Object.keys(env).filter((name) => name.startsWith('CAIRN_') && !known.has(name))
}

function readSetting(key: SettingKey, sources: Sources): unknown {
  const setting = SETTINGS[key] as Setting<unknown>
  const [name, variable] = [nameOf(key), variableOf(key)]
  const { flags, env, file } = sources
  if (flags[key] !== undefined) {
    const given = flags[key]
    const value = setting.isList && Array.isArray(given) ? given.join(',') : given
    return parsed(setting, value, `--${name}`)
  }
  // An empty variable is an unset one, as shells and containers write it.
  if (env[variable]) return parsed(setting, env[variable], variable)
  if (file && file.values[name] !== undefined)
    return parsed(setting, file.values[name], `${file.path}: ${name}`)
  return fallbackOf(setting, sources)
}

function parsed(setting: Setting<unknown>, value: unknown, origin: string): unknown {
  try {
    return setting.parse(value)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const shown = setting.secret ? '' : `, not ${JSON.stringify(value)}`
    throw new UsageError(`${origin} ${error.message}${shown}`)
  }
}

function fallbackOf(setting: Setting<unknown>, { command, machine }: Sources): unknown {
  const own = setting.fallbackOf[command]
  if (own !== undefined) return own
  const { fallback } = setting
  const value = typeof fallback === 'function' ? fallback(machine) : fallback
  return Array.isArray(value) ? Object.freeze([...value]) : value
}
