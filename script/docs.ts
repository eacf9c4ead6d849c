/** `node script/docs.ts`: writes `docs/configuration.md` from the table of settings. A test compares the two. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { allCommands, type NamedCommand } from '../src/cli/commands.ts'
import { COMMON_SETTINGS, nameOf, SETTINGS, type SettingKey, variableOf } from '../src/cli/config.ts'
import { describeFallback } from '../src/cli/describe.ts'
import type { Setting } from '../src/cli/setting.ts'

const HEAD = `# Configuration

Every setting of the program. \`node script/docs.ts\` writes this page from \`src/cli/config.ts\`.

A setting may be given in three places; the first of these that has it counts:

1. a flag, \`--volume-size-limit 10GiB\` (a list takes commas, or the flag again);
2. an environment variable, \`CAIRN_VOLUME_SIZE_LIMIT=10GiB\` (an empty one counts as not set);
3. a TOML file named by \`--config FILE\` or \`CAIRN_CONFIG\`, \`volume-size-limit = "10GiB"\` (one file may serve all commands:
   each takes what it knows; a key that no command knows is an error).

Sizes are a number with \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (powers of 1024) or \`KB\`, \`MB\`, \`GB\`, \`TB\` (powers of 1000), or plain bytes.
Times are a number with \`ms\`, \`s\`, \`m\`, \`h\` or \`d\`. Switches are \`true\` or \`false\`, as flags \`--name\` and \`--no-name\`.
A wrong value stops the program with exit code 2 and a line that says where the value came from.

| command | what it does |
|---|---|
`

/** The whole page. */
export async function configurationPage(): Promise<string> {
  const all = await allCommands()
  const commands = all.map(({ name, command }) => {
    const call = ['cairn', name, command.usage ?? ''].join(' ').trim()
    return `| \`${call}\` | ${command.summary} |\n`
  })
  const keys = Object.keys(SETTINGS) as SettingKey[]
  return `${HEAD}${commands.join('')}\n${keys.map((key) => section(key, all)).join('\n')}`
}

function section(key: SettingKey, all: readonly NamedCommand[]): string {
  const setting = SETTINGS[key] as Setting<unknown>
  const name = nameOf(key)
  const value = setting.placeholder === undefined ? '' : ` ${setting.placeholder}`
  const short = setting.short ? `\`-${setting.short}${value}\`, ` : ''
  const facts = [
    `${short}\`--${name}${value}\``,
    `\`${variableOf(key)}\``,
    `default: ${fallbackText(setting)}`,
    `for: ${usersOf(key, all)}`,
  ]
  return `## ${name}\n${setting.doc}\n\n${facts.join(' · ')}\n`
}

function fallbackText(setting: Setting<unknown>): string {
  const own = Object.entries(setting.fallbackOf).map(
    ([command, value]) => `\`${setting.format(value)}\` for ${command}`,
  )
  const common = describeFallback(setting, undefined)
  const shown = common === '' ? 'none' : setting.fallbackDoc === undefined ? `\`${common}\`` : common
  return [shown, ...own].join(', ')
}

function usersOf(key: SettingKey, all: readonly NamedCommand[]): string {
  if ((COMMON_SETTINGS as readonly SettingKey[]).includes(key)) return 'every command'
  const users = all.filter(({ command }) => (command.settings as readonly SettingKey[]).includes(key))
  return users.map(({ name }) => name).join(', ')
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, '..', 'docs', 'configuration.md'), await configurationPage())
}
