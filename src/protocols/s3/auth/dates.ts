/** Dates that signatures carry. */
import { REQUEST_SKEW_MS_MAX } from '../../../base/limits.ts'
import { S3Error } from '../s3-error.ts'

/** `20130524T000000Z` in milliseconds; undefined for anything else. */
export function parseAmzDate(text: string): number | undefined {
  if (text.length !== 16 || !/^[0-9]{8}T[0-9]{6}Z$/.test(text)) return undefined
  const number = (from: number, to: number) => Number(text.slice(from, to))
  const [month, day] = [number(4, 6), number(6, 8)]
  const [hour, minute, second] = [number(9, 11), number(11, 13), number(13, 15)]
  const ms = Date.UTC(number(0, 4), month - 1, day, hour, minute, second)
  // Dates that do not exist would be counted on into the next month.
  const date = new Date(ms)
  const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return exists && hour < 24 && minute < 60 && second < 60 ? ms : undefined
}

export function formatAmzDate(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
}

const HTTP_DATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (?:GMT|UTC|[+-][0-9]{4})$/

/** The forms that clients send in Date and x-amz-date: RFC 1123, and ISO 8601 with or without dashes. */
export function parseRequestDate(text: string): number | undefined {
  const short = parseAmzDate(text)
  if (short !== undefined) return short
  const isIso = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$/.test(text)
  if (!isIso && !HTTP_DATE.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

/** Throws RequestTimeTooSkewed for a time that is not now. `text`: as the client wrote it. */
export function assertNow(ms: number, nowMs: number, text: string): void {
  if (Math.abs(nowMs - ms) <= REQUEST_SKEW_MS_MAX) return
  throw new S3Error('RequestTimeTooSkewed', undefined, {
    extra: {
      RequestTime: text,
      ServerTime: isoTime(nowMs),
      MaxAllowedSkewMilliseconds: String(REQUEST_SKEW_MS_MAX),
    },
  })
}

export function isoTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

export function invalidDate(): S3Error {
  return new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
}

/** Throws AccessDenied for a link whose time is over. */
export function assertNotExpired(untilMs: number, nowMs: number, expires?: string): void {
  if (nowMs < untilMs) return
  throw new S3Error('AccessDenied', 'Request has expired', {
    extra: {
      ...(expires === undefined ? {} : { 'X-Amz-Expires': expires }),
      Expires: isoTime(untilMs),
      ServerTime: isoTime(nowMs),
    },
  })
}
