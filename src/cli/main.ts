/** The `cairn` program: from arguments to a command, its configuration and its exit code (0 done, 1 failed, 2 wrong usage). */
import { readFileSync } from 'node:fs'
import { CommanderError, Option, Command as Parser } from 'commander'
import { systemClock } from '../base/clock.ts'
import { StoreError } from '../base/errors.ts'
import { createLog, type Log } from '../base/log.ts'
import { systemRandom } from '../base/random.ts'
import type { Context } from './command.ts'
import { loadCommands, type NamedCommand } from './commands.ts'
import { nameOf, SETTINGS, type SettingKey, variableOf } from './config.ts'
import { describeFallback } from './describe.ts'
import { logUnusedGuideVariables, withGuideVariables } from './guide-environment.ts'
import { descriptorWriter } from './log-writer.ts'
import { type Machine, thisMachine } from './machine.ts'
import { readConfig, readConfigFile, settingsOf, unknownVariables } from './read-config.ts'
import type { Setting } from './setting.ts'
import { stopOnSignals } from './signals.ts'
import { UsageError } from './usage-error.ts'

const STDERR = 2

interface Chosen extends NamedCommand {
  flags: Record<string, unknown>
  args: string[]
}

/** Runs the program once; resolves with its exit code. */
async function main(argv: readonly string[]): Promise<number> {
  // Whoever reads our output may stop early (`| head`): not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const chosen: Chosen[] = []
  try {
    const parser = await buildParser(argv[0], (each) => chosen.push(each))
    await parser.parseAsync(argv, { from: 'user' })
  } catch (error) {
    // commander has written its message by now.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    throw error
  }
  return chosen[0] ? runCommand(chosen[0]) : 2
}

async function runCommand({ name, command, flags, args }: Chosen): Promise<number> {
  const machine = thisMachine(process.env, process.stderr.isTTY === true)
  let log: Log | undefined
  try {
    const path = (flags.config as string | undefined) ?? process.env.CAIRN_CONFIG
    const config = readConfig({
      command: name,
      settings: command.settings,
      flags,
      env: withGuideVariables(name, process.env),
      file: path ? readConfigFile(path) : undefined,
      machine,
    })
    log = createLog({ level: config.logLevel, format: config.logFormat, write: descriptorWriter(STDERR) })
    logUnusedGuideVariables(name, process.env, log)
    for (const variable of unknownVariables(process.env))
      log.warn({ variable }, 'no setting has this variable')
    const context = makeContext(machine, { log, args })
    endOnBugs(log)
    return (await command.run(config as never, context)) ?? 0
  } catch (error) {
    return report(error, log)
  }
}

function makeContext(machine: Machine, { log, args }: Pick<Context, 'log' | 'args'>): Context {
  return {
    log,
    args,
    machine,
    clock: systemClock,
    random: systemRandom,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stopOnSignals(systemClock, () => process.exit(1)),
  }
}

/** A failed assertion or a lost promise is a bug: it is logged and ends the process, for what is in memory is in doubt. */
function endOnBugs(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.error({ error }, 'a bug: the process ends')
    process.exit(1)
  })
}

/** Says what went wrong, in one line for what was expected and with its stack for a bug. */
function report(error: unknown, log: Log | undefined): number {
  const expected = error instanceof UsageError || error instanceof StoreError
  if (!expected && log) log.error({ error }, 'the command failed')
  else process.stderr.write(`cairn: ${expected ? error.message : ((error as Error)?.stack ?? error)}\n`)
  return error instanceof UsageError ? 2 : 1
}

type OnCommand = (chosen: Chosen) => void

async function buildParser(asked: string | undefined, onCommand: OnCommand): Promise<Parser> {
  const parser = new Parser('cairn')
    .description('A store for very many small files.')
    .version(packageVersion(), '--version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .configureOutput({ writeErr: (text) => process.stderr.write(text.replace(/^error: /, 'cairn: ')) })
    .exitOverride()
  // A flag behind `volume check` is the action's, though `volume` may have one of that name.
  parser.enablePositionalOptions()
  for (const command of await loadCommands(asked))
    addCommand(parser, { name: command.name, command }, onCommand)
  return parser
}

function addCommand(parser: Parser, { name, command }: NamedCommand, onCommand: OnCommand): void {
  const sub = parser.command(command.name).summary(command.summary).description(`${command.summary}.`)
  sub.helpOption('-h, --help', 'show this help')
  if (command.usage) sub.arguments(command.usage)
  sub.allowExcessArguments(false)
  for (const key of settingsOf(command.settings)) addOptions(sub, key, name)
  sub.addOption(
    new Option('--config <FILE>', 'TOML file with settings, by the names of their flags (env: CAIRN_CONFIG)'),
  )
  sub.action(() => {
    const given = sub.opts()
    const flags: Record<string, unknown> = { config: given.config }
    for (const key of settingsOf(command.settings)) flags[key] = given[attributeOf(key)]
    onCommand({ name, command, flags, args: sub.args })
  })
  for (const action of command.actions ?? []) {
    addCommand(sub, { name: `${name} ${action.name}`, command: action }, onCommand)
  }
}

function addOptions(sub: Parser, key: SettingKey, commandName: string): void {
  const setting = SETTINGS[key] as Setting<unknown>
  const name = nameOf(key)
  const short = setting.short ? `-${setting.short}, ` : ''
  const value = setting.placeholder === undefined ? '' : ` <${setting.placeholder}>`
  const fallback = describeFallback(setting, commandName)
  const notes = [`env: ${variableOf(key)}`, ...(fallback ? [`default: ${fallback}`] : [])].join(', ')
  const option = new Option(`${short}--${name}${value}`, `${setting.doc} (${notes})`.replaceAll('`', ''))
  if (setting.isList) {
    option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text])
  }
  sub.addOption(option)
  if (setting.placeholder === undefined) sub.addOption(new Option(`--no-${name}`, `not --${name}`))
}

/** The property under which commander keeps the flag of a setting. */
function attributeOf(key: SettingKey): string {
  return nameOf(key).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2))
}
