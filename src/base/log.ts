/**
 * Structured logs. Every part takes a `Log` by constructor; pino stands behind it.
 * Where the lines go is the caller's choice: `cli/log-writer.ts` has the writer that the program uses.
 */
import { pino } from 'pino'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export const LOG_FORMATS = ['json', 'pretty'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/** Facts of one line. `error` may be anything thrown; it is written with its message, code, causes and stack. */
export type LogFields = Record<string, unknown>

export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** A log that adds `fields` to every line. */
  with(fields: LogFields): Log
}

export interface LogOptions {
  level: LogLevel
  format: LogFormat
  /** Takes one line, its newline included. */
  write: (line: string) => void
}

/** A log that writes whole lines to `options.write`. */
export function createLog(options: LogOptions): Log {
  const { format, level, write } = options
  const destination = {
    write: format === 'json' ? write : (line: string) => write(prettyLine(JSON.parse(line))),
  }
  return fromPino(
    pino(
      {
        level,
        base: null,
        messageKey: 'message',
        errorKey: 'error',
        formatters: { level: (label) => ({ level: label }) },
        timestamp: pino.stdTimeFunctions.isoTime,
      },
      destination,
    ),
  )
}

/** Drops every line; for tests and for callers that want no log. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
}

function fromPino(logger: pino.Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    with: (fields) => fromPino(logger.child(fields)),
  }
}

interface Line extends LogFields {
  level: string
  time: string
  message?: string
}

/** `12:00:00.123 warn  the message  key=value key="two words"`; the stack of an error on lines of its own. */
function prettyLine(line: Line): string {
  const { level, time, message, error, ...fields } = line
  const words = Object.entries(fields).map(([key, value]) => `${key}=${prettyValue(value)}`)
  const thrown = error as { message?: string; code?: string; stack?: string } | string | undefined
  const reason = typeof thrown === 'object' ? thrown.message : thrown
  if (reason !== undefined) words.push(`error=${prettyValue(reason)}`)
  const stack = level === 'error' && typeof thrown === 'object' && thrown.stack ? `\n${thrown.stack}` : ''
  const tail = words.length > 0 ? `  ${words.join(' ')}` : ''
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${message ?? ''}${tail}${stack}\n`
}

function prettyValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return typeof value === 'string' && !/^[^\s"=]+$/.test(text) ? JSON.stringify(text) : text
}
